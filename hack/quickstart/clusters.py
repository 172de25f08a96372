# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the sample goes: into the cluster of ``KUBECONFIG``, or into one of our own.

Somebody's cluster is somebody's: nothing in it is replaced, no simulated node is added, and
which one it is stands in the first line. Ours lives as long as the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes_asyncio.config import list_kube_config_contexts

from hack.cluster.binaries import as_directory, obtain
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.progress import Progress
from hack.cluster.versions import KUBERNETES
from llamastack_operator.kube.config import Source, connect

OWN_READY_S = 60.0  # simulated Pods are Ready at once; this is for a machine with much else to do
FOREIGN_READY_S = 900.0  # pulling the server's image takes minutes
_NODES = 2


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster to work in.

    Attributes:
        title: what it is, for the first line.
        kubeconfig: as ``KUBECONFIG`` has it.
        namespace: where the sample goes.
        ours: whether it ends with us.
        ready_s: how long the sample may take to become Ready there.
        environment: what has to be set so that kubectl reaches it.
    """

    title: str
    kubeconfig: str
    namespace: str
    ours: bool
    ready_s: float
    environment: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def cluster(environment: Mapping[str, str] = os.environ) -> Iterator[Cluster]:
    """The cluster that the environment asks for.

    Raises:
        ClusterError: there is none to be had.
        KubeConfigError: ``KUBECONFIG`` does not name one.
    """
    kubeconfig = environment.get("KUBECONFIG", "")
    if kubeconfig:
        yield _foreign(kubeconfig)
        return
    progress = Progress()
    programs = obtain(progress=progress, environment=environment)
    plane = ControlPlane(programs, PlaneOptions(scheduler=True, nodes=_NODES))
    with progress.step("starting"):
        plane.up()
    try:
        yield _own(plane, programs)
    finally:
        plane.down()


def _own(plane: ControlPlane, programs: Mapping[str, Path]) -> Cluster:
    environment = {"KUBECONFIG": str(plane.kubeconfig)}
    if shutil.which("kubectl") is None:
        environment["PATH"] = f"{as_directory(programs)}:$PATH"
    return Cluster(
        title=f"a control plane of its own ({KUBERNETES}, {plane.server}, simulated nodes)",
        kubeconfig=str(plane.kubeconfig),
        namespace="default",
        ours=True,
        ready_s=OWN_READY_S,
        environment=environment,
    )


def _foreign(kubeconfig: str) -> Cluster:
    connection = asyncio.run(connect(Source(kubeconfig)))
    context = list_kube_config_contexts(config_file=kubeconfig)[1] or {}
    return Cluster(
        title=f'context "{context.get("name")}" of KUBECONFIG={kubeconfig}, {connection.server}',
        kubeconfig=kubeconfig,
        namespace=context.get("context", {}).get("namespace") or "default",
        ours=False,
        ready_s=FOREIGN_READY_S,
    )
