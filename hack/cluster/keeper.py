# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Cleans up after whoever started a control plane, however that one ended.

A test run may be killed with SIGKILL and then tidies up nothing, and a forgotten API server costs
its user 500 MiB. So each control plane that belongs to a process starts this one: it reads from a
pipe whose other end only its owner holds, and the kernel closes that end when the owner is gone. It
then stops what the directory's record names and removes the directory; after an orderly stop there
is nothing left to do. (``PR_SET_PDEATHSIG`` would be the alternative: it is Linux only, follows the
*thread* that forked, and leaves the directory.)
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hack.cluster.state import sweep
from hack.root import ROOT


def start_keeper(directory: Path, module: str = __name__) -> subprocess.Popen[bytes]:
    """Have ``directory`` swept as soon as this process is gone, or closes the pipe.

    Args:
        directory: of what this process starts.
        module: calls ``keep`` when it is run.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        start_new_session=True,
    )


def release_keeper(keeper: subprocess.Popen[bytes]) -> None:
    """Let the keeper go, and wait until it has swept what was left."""
    if keeper.stdin is not None:
        keeper.stdin.close()
    keeper.wait(timeout=30)


def keep(clean_up: Callable[[Path], object]) -> None:
    """Wait for the owner's end, then clean up the directory on the command line."""
    while os.read(0, 1):
        pass
    clean_up(Path(sys.argv[1]))


if __name__ == "__main__":
    keep(sweep)
