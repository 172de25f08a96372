# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""cert-manager as a process beside a running control plane."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hack.cluster import keeper, state
from hack.cluster.cert_manager.programs import CertManager
from hack.cluster.pki import ADMIN_GROUP
from hack.cluster.plane import ControlPlane
from hack.cluster.process import Program


@contextlib.contextmanager
def running(plane: ControlPlane, found: CertManager) -> Iterator[Program]:
    """Install the definitions, and run the program until the block is left.

    Raises:
        ClusterError: the definitions are refused, or the program cannot be started.
    """
    plane.kubectl("apply", "--server-side", "-f", str(found.definitions))
    plane.wait_for_definitions()
    directory = Path(tempfile.mkdtemp(prefix="llsc-"))
    state.claim(directory)
    kept = keeper.start_keeper(directory)
    kubeconfig = plane.kubeconfig_for("cert-manager", groups=(ADMIN_GROUP,))
    program = Program(
        name="cert-manager",
        command=[str(found.program), f"--kubeconfig={kubeconfig}"],
        log=directory / "cert-manager.log",
        directory=directory,
    )
    try:
        program.start()
        if program.id is not None:
            state.Record(str(kubeconfig), {program.name: program.id}).write(directory)
        yield program
    finally:
        program.stop(grace=0)
        keeper.release_keeper(kept)
        state.remove(directory)
