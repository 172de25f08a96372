# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Files that others read: each is there whole or not at all, and readable by every user."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from configs.external.failures import MOST

_FILE: Final = 0o644
_TERMINATION_LOG: Final = "/dev/termination-log"


def write(path: Path, text: str) -> None:
    """Puts a file in the place of what is there.

    Args:
        path: of the file; its directory exists.
        text: its content.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # of a run that was killed
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE)
    with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
        os.fchmod(descriptor, _FILE)
        file.write(text)
    temporary.replace(path)


def write_termination_message(text: str) -> None:
    """Writes what the kubelet puts into the status of the container.

    It makes the file. Without one, somebody runs the merge outside of a pod.

    Args:
        text: the message; what is too long for the kubelet is cut off.
    """
    path = os.environ.get("TERMINATION_LOG", _TERMINATION_LOG)
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace")[:MOST])
