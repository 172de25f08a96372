# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Cleans up after whoever started a node, however that one ended.

As `tests.support.cluster.keeper` does for a control plane, and for the same reasons: it reads from
a pipe whose other end only the owner holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.cluster.node.remains import sweep

_ROOT = Path(__file__).parents[4]


def start_keeper(directory: Path) -> subprocess.Popen[bytes]:
    """Have the node in ``directory`` swept as soon as this process is gone, or closes the pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.cluster.node.keeper", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        start_new_session=True,
    )


def main() -> None:
    """Wait for the owner's end, then sweep."""
    while os.read(0, 1):
        pass
    sweep(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
