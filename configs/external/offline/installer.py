# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether an image can run the installer: a Python that is not too old, and pip.

Nothing of the image is run, so it is the names of files that tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from configs.external.offline.contents import Closed, Tree

DEFAULT_SEARCH_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin")
"""Where programs are if the image does not say it."""

_OLDEST: Final = 11
_PROGRAM = re.compile(r"python3\.([0-9]{1,2})", re.ASCII)
_LIBRARIES: Final = ("lib", "lib64")
_PACKAGES: Final = ("site-packages", "dist-packages")


def what_is_missing(tree: Tree, search_path: Sequence[str]) -> str:
    """What the installer lacks; empty for nothing.

    Args:
        tree: the image.
        search_path: directories with programs.
    """
    programs = [f"{folder}/python3" for folder in search_path]
    found = next(filter(None, (_found(tree, program) for program in programs)), "")
    if not found:
        return "python3"
    version = _PROGRAM.fullmatch(found.rpartition("/")[2])
    if version and int(version[1]) < _OLDEST:
        return f"Python 3.{_OLDEST} or later (python3 is 3.{version[1]})"
    return "" if any(_has_pip(tree, folder) for folder in search_path) else "pip"


def _found(tree: Tree, path: str) -> str:
    try:
        found = tree.find(path)
    except Closed:
        return ""
    return found[0] if found and found[1].kind == "file" else ""


def _has_pip(tree: Tree, folder: str) -> bool:
    """Whether a Python that belongs to a directory of programs has pip."""
    prefix = folder.rstrip("/").rpartition("/")[0]
    return any(_found(tree, f"{path}/pip/__init__.py") for path in _package_folders(tree, prefix))


def _package_folders(tree: Tree, prefix: str) -> Iterator[str]:
    for library in _LIBRARIES:
        try:
            names = tree.names(f"{prefix}/{library}")
        except Closed:
            continue
        for name in names:
            if name.startswith("python3"):
                yield from (f"{prefix}/{library}/{name}/{packages}" for packages in _PACKAGES)
