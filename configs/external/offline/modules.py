# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether a module could be imported, by the names of installed files."""

from __future__ import annotations

from collections.abc import Collection

_SUFFIXES = (".py", ".pyc", ".so")


def missing(module: str, files: Collection[str]) -> str:
    """What Python would say that there is no module of; empty if there is one.

    Args:
        module: its dotted name.
        files: that are installed.
    """
    parts = module.split(".")
    for level in range(1, len(parts) + 1):
        path = "/".join(parts[:level])
        if any(file.startswith(f"{path}/") for file in files):
            continue  # a package, with or without code of its own
        name = ".".join(parts[:level])
        if not any(_is_module(file, path) for file in files):
            return f"'{name}'"
        if level < len(parts):
            return f"'{name}.{parts[level]}'; '{name}' is not a package"
    return ""


def _is_module(file: str, path: str) -> bool:
    """Whether a file has the code of a module; libraries have tags between name and suffix."""
    return file.startswith(f"{path}.") and "/" not in file[len(path) :] and file.endswith(_SUFFIXES)
