# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reads what the tests have executed from the data that they left."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from coverage import Coverage
from coverage.exceptions import NoDataError

from hack.coverage.modules import Module, Share, function_lines

_NO_FILE: Final = ""
"""The name under which coverage keeps what ran before the first test."""


class NotMeasuredError(Exception):
    """There are no data of a run of the tests."""


def read_modules() -> list[Module]:
    """Every module of the packages that are measured, also those that no test imported.

    Works in the current directory, with the settings in its ``pyproject.toml``.

    Raises:
        NotMeasuredError: No run of the tests was measured.
    """
    coverage = Coverage()
    try:
        coverage.combine(strict=True, keep=True)
    except NoDataError:
        raise NotMeasuredError("the tests were not measured: run `make coverage`") from None
    packages = cast("list[str]", coverage.get_option("run:source"))
    paths = sorted(path for package in packages for path in Path(package).rglob("*.py"))
    return [_read(coverage, path) for path in paths]


def _read(coverage: Coverage, path: Path) -> Module:
    _, statements, excluded, missing, shown = coverage.analysis2(str(path))
    ways = coverage.branch_stats(str(path))
    in_functions = function_lines(path.read_text("utf-8")).intersection(statements)
    executed = executed_by_file(
        coverage.get_data().contexts_by_lineno(str(path)),
        sorted(statements),
        frozenset(excluded),
    )
    reached = {file: lines & in_functions for file, lines in executed.items()}
    at_import = reached.pop(_NO_FILE, frozenset())
    return Module(
        path=path.as_posix(),
        lines=Share(len(statements) - len(missing), len(statements)),
        branches=Share(
            sum(taken for _, taken in ways.values()), sum(total for total, _ in ways.values())
        ),
        in_functions=in_functions,
        at_import=at_import,
        reached={file: lines for file, lines in reached.items() if lines},
        missing=shown,
        partial=tuple(sorted(line for line, (total, taken) in ways.items() if 0 < taken < total)),
    )


def executed_by_file(
    executed: Mapping[int, Iterable[str]], statements: Sequence[int], excluded: frozenset[int]
) -> dict[str, frozenset[int]]:
    """The statements that each test file executed.

    Python may report a statement of several lines by another one than its first.

    Args:
        executed: The test files by number of the line that they executed.
        statements: The first lines of all statements, sorted.
        excluded: Lines that do not count.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for line, files in executed.items():
        place = bisect_right(statements, line) - 1
        if line not in excluded and place >= 0:
            for file in files:
                found[file].add(statements[place])
    return {file: frozenset(lines) for file, lines in found.items()}
