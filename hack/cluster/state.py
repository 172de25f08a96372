# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is on disk about a control plane: enough to stop it without the process that started it.

``up`` and ``down`` are two commands, and a test run may be killed; so the directory holds a record
of the processes, rewritten atomically each time one is started. A directory without that record is
not ours, and is never removed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.process import ProcessId

RECORD = "control-plane.json"
"""File name of the record; also the proof that a directory is ours."""


@dataclass(frozen=True, slots=True)
class Record:
    """The processes of one control plane by name, and where to reach it."""

    kubeconfig: str
    processes: Mapping[str, ProcessId] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Replace the record in one step: a reader sees the old one or the new one."""
        document = {
            "kubeconfig": self.kubeconfig,
            "processes": {name: [p.pid, p.started] for name, p in self.processes.items()},
        }
        temporary = directory / f".{RECORD}.{os.getpid()}"
        temporary.write_text(json.dumps(document, indent=2), encoding="utf-8")
        temporary.replace(directory / RECORD)

    @classmethod
    def read(cls, directory: Path) -> Record | None:
        """The record of a directory, or None if it has none.

        Raises:
            ClusterError: the file is not such a record.
        """
        path = directory / RECORD
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            processes = {
                str(name): ProcessId(int(pid), str(started))
                for name, (pid, started) in document["processes"].items()
            }
            return cls(str(document["kubeconfig"]), processes)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{path} is not the record of a control plane ({error}): remove it by hand"
            raise ClusterError(msg) from error


def default_directory() -> Path:
    """Where ``up`` keeps its control plane unless told otherwise: one place for each user."""
    return Path(tempfile.gettempdir()) / f"llamastack-control-plane-{os.getuid()}"


def claim(directory: Path) -> None:
    """Make an empty or new directory ours, readable by its owner only.

    The record is created exclusively, so of two who try at the same time one gets it.

    Raises:
        ClusterError: it belongs to something or somebody else.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if directory.stat().st_uid != os.getuid():
            msg = f"{directory} belongs to another user: choose another directory"
            raise ClusterError(msg)
        if any(path.name != RECORD for path in directory.iterdir()):
            msg = f"{directory} is not empty: stop what runs there, or choose another directory"
            raise ClusterError(msg)
        with (directory / RECORD).open("x", encoding="utf-8") as file:
            file.write('{"kubeconfig": "", "processes": {}}')
        directory.chmod(0o700)
    except FileExistsError as error:
        msg = f"{directory} is in use: stop what runs there, or choose another directory"
        raise ClusterError(msg) from error
    except OSError as error:
        msg = f"{directory} cannot be used ({error.strerror}): choose another directory"
        raise ClusterError(msg) from error


def sweep(directory: Path) -> bool:
    """Stop every recorded process that still is the recorded one, and remove the directory.

    Returns:
        Whether there was a control plane.

    Raises:
        ClusterError: the record cannot be read, or a process does not end.
    """
    record = Record.read(directory)
    if record is None:
        return False
    # The last one started uses the ones before it. There is nothing to save: no grace.
    for process in reversed(list(record.processes.values())):
        process.stop(grace=0)
    remove(directory)
    return True


def remove(directory: Path) -> None:
    """Remove a control plane's directory; it may be gone, or go at the same time."""
    shutil.rmtree(directory, ignore_errors=True)
