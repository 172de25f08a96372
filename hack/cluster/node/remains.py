# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a node leaves behind if nobody stops it, on record, and how to remove it.

The node's namespaces, and all that is in them, end with its first process. A pair of interfaces, if
it was not given to the node yet, and the cgroups do not. The record lies in the node's directory
beside the one of its processes (``hack.cluster.state``), so another process can sweep it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from hack.cluster import state
from hack.cluster.node import cgroups, network

RECORD = "node.json"


@dataclass(frozen=True, slots=True)
class Remains:
    """What is outside of the node's namespaces.

    Attributes:
        link: the interface on this machine.
        cgroup: the directory in each tree of cgroups.
        name: of the node.
        socket: containerd's.
    """

    link: str
    cgroup: str
    name: str
    socket: str

    def write(self, directory: Path) -> None:
        """Put it on record."""
        (directory / RECORD).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Remains | None:
        """The record of a directory, or None if it has none, or an unfinished one."""
        try:
            return cls(**json.loads((directory / RECORD).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def remove(self) -> None:
        """Remove it; the node's processes have been told to end.

        Raises:
            ClusterError: a process does not end.
        """
        network.release(self.link)
        cgroups.remove(self.cgroup)


def sweep(directory: Path) -> bool:
    """End a node by its record, and remove all of it.

    Returns:
        Whether there was a node.

    Raises:
        ClusterError: a process does not end.
    """
    record = state.Record.read(directory)
    if record is None:
        return False
    for process in reversed(list(record.processes.values())):
        process.stop(grace=0)
    remains = Remains.read(directory)
    if remains is not None:
        remains.remove()
    state.remove(directory)
    return True
