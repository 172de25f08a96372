# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Why an external provider cannot be used, as a message.

It names the provider, its image, its init container, what is wrong and what to do (FR-X030). It
ends up as the termination message of a container, of which the kubelet keeps 4096 bytes, and the
first line of it in the status of the resource. So it is cut in its details, never in what says whom
it is about or what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.printable import printable

MOST: Final = 4096
"""Bytes of a termination message."""

_SHOWN: Final = 200  # characters of a value in a message
_CUT: Final = "[...]"


def one_line(value: object, most: int = _SHOWN) -> str:
    """A value of a stranger as one printable line.

    Args:
        value: text, or a value out of YAML or JSON; collections are named, not shown.
        most: characters of text that are shown.
    """
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "(a mapping)"
    if isinstance(value, list | tuple):
        return "(a list)"
    text = str(value)
    return printable(text if len(text) <= most else f"{text[: most - 3]}...")


@dataclass(frozen=True, slots=True)
class Provider:
    """An external provider, as messages name it.

    Attributes:
        provider_id: its id.
        image: the image that brings it.
        init_container: the container that installs it.
    """

    provider_id: str
    image: str
    init_container: str

    @property
    def lines(self) -> tuple[str, ...]:
        """What tells people, and the status, whom a message is about."""
        return (
            f"Provider: {self.provider_id}",
            f"Image: {self.image}",
            f"Init Container: {self.init_container}",
        )


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """Why a provider cannot be used.

    Attributes:
        headline: what is wrong, in one line, without ``ERROR:``.
        provider: whose it is.
        resolution: what to do about it.
        statement: lines that belong to the headline.
        details: lines about the cause, of which the middle can be left out.
        facts: lines beside those that name the provider.
    """

    headline: str
    provider: Provider
    resolution: str
    statement: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    def text(self, most: int = MOST) -> str:
        """The message, ending in a newline.

        Args:
            most: bytes of it; where there are more, the middle of the details is left out.
        """
        head = _block((f"ERROR: {self.headline}",)) + _block(self.statement)
        head += _block((*self.provider.lines, *self.facts))
        tail = f"Resolution: {self.resolution}\n"
        room = most - len((head + tail).encode())
        return head + _cut(self.details, room) + tail


class ProviderError(Exception):
    """An external provider cannot be used.

    Attributes:
        failure: what is said of it.
    """

    def __init__(self, failure: ProviderFailure) -> None:
        super().__init__(failure.headline)
        self.failure = failure


def _block(lines: Sequence[str]) -> str:
    """Lines and an empty one; nothing for none."""
    return "".join(f"{line}\n" for line in lines) + "\n" if lines else ""


def _cut(lines: Sequence[str], room: int) -> str:
    """A block of at most so many bytes: the first lines and the last ones."""
    whole = _block(lines).encode()
    if len(whole) <= room:
        return whole.decode()
    left = room - len(f"{_CUT}\n\n".encode())
    if left < 0:
        return ""
    first: list[str] = []
    last: list[str] = []
    sizes = [len(line.encode()) + 1 for line in lines]
    start, end = 0, len(lines)
    while start < end:
        at_start = len(first) <= len(last)
        index = start if at_start else end - 1
        left -= sizes[index]
        if left < 0:
            break
        (first if at_start else last).append(lines[index])
        start, end = (start + 1, end) if at_start else (start, end - 1)
    return _block((*first, _CUT, *reversed(last)))
