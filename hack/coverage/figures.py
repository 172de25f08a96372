# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The figures that may not fall: how much of each part of the product the tests execute."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import PurePosixPath
from typing import Final

from hack.coverage.modules import Module, Share

TOLERANCE: Final = 3
"""Thousandths by which a figure may fall; in a small part, one branch or line however many that is.

A few branches depend on what is faster.
"""

PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The release of Python that measures; what counts as a branch differs a little among them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a part of the product, in thousandths.

    Attributes:
        branches: that were taken.
        lines: that were executed.
    """

    branches: int
    lines: int


@dataclass(frozen=True, slots=True)
class Executed:
    """What the tests executed of a part of the product.

    Attributes:
        branches: that were taken, of all.
        lines: that were executed, of all.
    """

    branches: Share
    lines: Share

    @property
    def figures(self) -> Figures:
        """The same in thousandths."""
        return Figures(self.branches.permille, self.lines.permille)


@dataclass(frozen=True, slots=True)
class Committed:
    """What `figures.json` says.

    Attributes:
        python: the release that the figures were measured with.
        parts: figures by the name of the part.
    """

    python: str
    parts: Mapping[str, Figures]


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that differs from the committed one by more than the tolerance.

    Attributes:
        part: of the product.
        kind: ``branches`` or ``lines``.
        before: the committed figure, in thousandths.
        after: the measured one.
    """

    part: str
    kind: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """How measured figures stand against the committed ones.

    Attributes:
        fallen: what fell.
        risen: what rose, so that the committed figure no longer guards it.
        new: parts without a committed figure.
        gone: committed figures of parts that are no more.
    """

    fallen: tuple[Change, ...]
    risen: tuple[Change, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the committed figures are those of this product, and none fell."""
        return not (self.fallen or self.new or self.gone)


def part_of(module: str) -> str:
    """The part of the product that a module's lines and branches count for: its package.

    Args:
        module: The path of a module, from the root of the repository.
    """
    return ".".join(PurePosixPath(module).parent.parts)


def executed_parts(modules: Iterable[Module]) -> dict[str, Executed]:
    """What was executed of every part of the product that has a statement, by its name.

    Args:
        modules: All of the product.
    """
    parts: dict[str, list[Module]] = defaultdict(list)
    for module in modules:
        if module.lines.total:
            parts[part_of(module.path)].append(module)
    return {
        part: Executed(
            branches=_sum(module.branches for module in members),
            lines=_sum(module.lines for module in members),
        )
        for part, members in sorted(parts.items())
    }


def _sum(shares: Iterable[Share]) -> Share:
    return reduce(add, shares, Share(0, 0))


def compare(committed: Mapping[str, Figures], executed: Mapping[str, Executed]) -> Comparison:
    """Hold what was executed against the committed figures.

    Args:
        committed: Figures by the name of the part.
        executed: What was executed, likewise.
    """
    changes = [
        change
        for part in sorted(committed.keys() & executed.keys())
        for change in _changes(part, committed[part], executed[part])
    ]
    return Comparison(
        fallen=tuple(change for change in changes if change.after < change.before),
        risen=tuple(change for change in changes if change.after > change.before),
        new=tuple(sorted(executed.keys() - committed.keys())),
        gone=tuple(sorted(committed.keys() - executed.keys())),
    )


def _changes(part: str, committed: Figures, executed: Executed) -> Iterator[Change]:
    for kind, before, share in (
        ("branches", committed.branches, executed.branches),
        ("lines", committed.lines, executed.lines),
    ):
        if _differs(before, share):
            yield Change(part, kind, before, share.permille)


def _differs(before: int, share: Share) -> bool:
    one = 1 if share.permille < before else -1
    closer = Share(share.hit + one, share.total).permille
    return abs(share.permille - before) > TOLERANCE and (before - closer) * one > 0


def parse_figures(text: str) -> Committed:
    """Read committed figures.

    Args:
        text: JSON, as `format_figures` makes it.
    """
    committed = json.loads(text)
    return Committed(
        python=committed["python"],
        parts={
            part: Figures(round(figures["branches"] * 10), round(figures["lines"] * 10))
            for part, figures in committed["percent"].items()
        },
    )


def format_figures(committed: Committed) -> str:
    """Figures as they are committed: JSON, a line a part, in percent.

    Args:
        committed: The figures, in thousandths.
    """
    rows = (
        f"    {json.dumps(part)}: "
        + json.dumps({"branches": figures.branches / 10, "lines": figures.lines / 10})
        for part, figures in sorted(committed.parts.items())
    )
    return (
        f'{{\n  "python": {json.dumps(committed.python)},\n'
        '  "percent": {\n' + ",\n".join(rows) + "\n  }\n}\n"
    )
