# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which version a program that lies on the machine really has.

The name says nothing: ``kubectl`` in PATH may be a dispatcher of a cloud vendor, years old, or a
shim that waits for a prompt. So a program is asked, with a deadline, and believed only if its
answer contains the version of what we look for.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from hack.cluster.versions import ProgramSpec

_DEADLINE_S = 10.0  # a cold 100 MB executable on a slow disk takes a few seconds

# "etcd Version: 3.6.5", "Kubernetes v1.36.3", "Client Version: v1.36.3", "kwok version v0.8.0 ..."
_VERSION = re.compile(
    r"^(?:etcd Version:|Kubernetes|Client Version:|kwok version)\s+(v?\d+\.\d+\S*)", re.MULTILINE
)


def reported_version(path: Path, spec: ProgramSpec, *, deadline: float = _DEADLINE_S) -> str | None:
    """What a program says its version is; None if it does not say so within the deadline."""
    try:
        process = subprocess.Popen(
            [str(path), *spec.version_arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            # A wrapper may hand over to a child that keeps our pipe open: both must go.
            start_new_session=True,
        )
    except OSError:
        return None
    with process:
        try:
            output, _ = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None
    match = _VERSION.search(output)
    return match[1] if match and process.returncode == 0 else None
