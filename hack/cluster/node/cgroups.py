# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The cgroups below which the kubelet keeps its Pods, in both versions of cgroups.

Version 1 has a tree for each controller, version 2 one tree in which controllers have to be enabled
from the root down. The kubelet makes everything below a directory of ours; when the node's
processes are gone the directories are empty and can be removed, the deepest first.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from hack.cluster.errors import ClusterError

ROOT = Path("/sys/fs/cgroup")
_NEEDED = ("cpu", "memory", "pids")
_USED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
_SECONDS = 10.0


def is_unified(root: Path = ROOT) -> bool:
    """Whether this machine has version 2, and it alone."""
    return (root / "cgroup.controllers").exists()


def trees(root: Path = ROOT) -> list[Path]:
    """Where a directory has to be made: the one tree, or each controller's."""
    if is_unified(root):
        return [root]
    # Names such as cpu,cpuacct have links to them; a directory counts once.
    found = [path for path in sorted(root.glob("*")) if not path.is_symlink()]
    return [path for path in found if os.access(path / "cgroup.procs", os.W_OK)]


def make(name: str, root: Path = ROOT) -> None:
    """Make the directory, with the controllers that the kubelet needs.

    Raises:
        ClusterError: a controller is missing and cannot be enabled.
    """
    if is_unified(root):
        _enable(root)
    else:
        missing = [c for c in _NEEDED if not os.access(root / c / "cgroup.procs", os.W_OK)]
        _complain(missing)
    for tree in trees(root):
        (tree / name).mkdir(exist_ok=True)


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the directory and all below it, as soon as no process is in there.

    Raises:
        ClusterError: a process stays.
    """
    deadline = time.monotonic() + _SECONDS
    while left := [tree / name for tree in trees(root) if (tree / name).is_dir()]:
        for top in left:
            for directory, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):  # a process is still about to end
                    os.rmdir(directory)
        if time.monotonic() > deadline:
            raise ClusterError(f"processes stay in {left[0]}")
        if any(top.is_dir() for top in left):
            time.sleep(0.02)


def _enable(root: Path) -> None:
    offered = (root / "cgroup.controllers").read_text().split()
    for controller in _USED:
        if controller in offered:
            with contextlib.suppress(OSError):  # what matters is looked at below
                (root / "cgroup.subtree_control").write_text(f"+{controller}")
    enabled = (root / "cgroup.subtree_control").read_text().split()
    _complain([controller for controller in _NEEDED if controller not in enabled])


def _complain(missing: list[str]) -> None:
    if missing:
        raise ClusterError(f"the cgroup controllers {', '.join(missing)} cannot be used here")
