# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the offline commands say, line by line.

Findings quote what strangers wrote: a name with a line break would look like two findings, one with
an escape sequence would paint the terminal, and one of a megabyte would hide all others. So every
finding becomes one printable line of bounded length, and of very many the first are shown.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from api.errors import Finding

MAX_LINE = 1_000
"""Characters of a line. The longest of ours, a list of all known providers, has 700."""

MAX_FINDINGS = 100
"""Findings shown of one resource."""


def one_line(text: str) -> str:
    """The text without anything but printable characters, cut if it is long."""
    cut = text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 3]}..."
    if cut.isprintable():
        return cut
    from api.printable import printable  # noqa: PLC0415 -- what prints the help needs no models

    return printable(cut)


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a line that whatever encoding the stream has can carry."""
    write(f"{text}\n", stream)


def write(text: str, stream: TextIO | None = None) -> None:
    """Likewise, for text of several lines. Nothing happens if the stream is closed."""
    target = sys.stdout if stream is None else stream
    if target is None:
        return
    encoding = target.encoding or "utf-8"
    target.write(text.encode(encoding, "backslashreplace").decode(encoding))


def say_findings(
    findings: Sequence[Finding], *, prefix: str = "", stream: TextIO | None = None
) -> None:
    """One line each, the prefix before it."""
    for finding in findings[:MAX_FINDINGS]:
        say(one_line(f"{prefix}{finding}"), stream)
    rest = len(findings) - MAX_FINDINGS
    if rest > 0:
        say(one_line(f"{prefix}and {rest} more"), stream)


def say_warnings(warnings: Sequence[Finding], *, prefix: str = "") -> None:
    """Likewise on standard error, and called warnings."""
    say_findings(warnings, prefix=f"{prefix}warning: ", stream=sys.stderr)


def prefixes(labels: Iterable[tuple[str, str]]) -> list[str]:
    """What tells findings of several resources apart: nothing, the resource, or the file, too.

    Args:
        labels: file and name of each resource.
    """
    pairs = list(labels)
    if len(pairs) == 1:
        return [""]
    several = len({file for file, _ in pairs}) > 1
    return [f"{file}: {name}: " if several else f"{name}: " for file, name in pairs]
