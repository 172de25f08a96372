# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Files of packages that would run instead of Python's own modules.

Installed as usual they would not: the standard library comes before installed packages. Packages of
external providers come by ``PYTHONPATH``, which is before both, and old wheels such as ``argparse``
or ``dataclasses`` are still required here and there. Their files are left out, so that Python's own
modules run, as everywhere else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from typing import Final

_MODULE = re.compile(r"([A-Za-z]\w*)(/__init__)?(?:\.[A-Za-z0-9_-]+)*\.(?:py|pyc|so)", re.ASCII)

_NOT_EVERYWHERE: Final = frozenset(
    {
        "aifc",
        "asynchat",
        "asyncore",
        "audioop",
        "cgi",
        "cgitb",
        "chunk",
        "crypt",
        "distutils",
        "imghdr",
        "imp",
        "lib2to3",
        "mailcap",
        "msilib",
        "nis",
        "nntplib",
        "ossaudiodev",
        "pipes",
        "smtpd",
        "sndhdr",
        "spwd",
        "sunau",
        "telnetlib",
        "uu",
        "xdrlib",
    }
)
"""Modules that a supported Python no longer has; packages bring them back."""

_RUN_AT_START: Final = frozenset({"sitecustomize", "usercustomize"})
"""Modules that each Python runs before anything else, also the one that checks providers."""

_OWN: Final = (sys.stdlib_module_names - _NOT_EVERYWHERE) | _RUN_AT_START


def hiding(files: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The files that would hide modules of Python.

    Args:
        files: of a provider, by path.

    Returns:
        Module → its files, sorted.
    """
    found: dict[str, set[str]] = {}
    packages = set()
    for path in files:
        match = _MODULE.fullmatch(path)
        if match and match[1] in _OWN:
            found.setdefault(match[1], set()).add(path)
            if match[2]:
                packages.add(match[1])
    for path in files if packages else ():
        top, below, _ = path.partition("/")
        if below and top in packages:
            found[top].add(path)
    return {module: tuple(sorted(found[module])) for module in sorted(found)}
