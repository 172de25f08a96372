# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A module of the product, and which tests reach it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

WIDE_LEVELS: Final = ("property", "virtual", "golden", "faults")
"""Folders of tests that are grouped by their tool, not by the package that they are about."""

REACHED: Final = 500
"""Thousandths of the lines inside functions that a module's own level of tests has to execute."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many out of so many.

    Attributes:
        hit: those that were executed.
        total: all that there are.
    """

    hit: int
    total: int

    def __add__(self, other: Share) -> Share:
        return Share(self.hit + other.hit, self.total + other.total)

    @property
    def permille(self) -> int:
        """Of a thousand, rounded down; 1000 if there is nothing to execute."""
        return self.hit * 1000 // self.total if self.total else 1000

    @property
    def percent(self) -> float:
        """Of a hundred, rounded down to one decimal; 100 if there is nothing to execute."""
        return self.permille / 10


@dataclass(frozen=True, slots=True)
class Module:
    """What is known of one file of the product.

    Attributes:
        path: from the root of the repository, with slashes.
        lines: statements, each of which counts as one line.
        branches: ways out of the statements that have several.
        in_functions: lines of the statements inside functions.
        at_import: those of them that ran while modules were imported, for no test in particular.
        reached: those of them that a test file executed, by its path.
        missing: lines that were never executed, as ``12-14, 20``.
        partial: lines of which not every way out was taken.
    """

    path: str
    lines: Share
    branches: Share
    in_functions: frozenset[int]
    at_import: frozenset[int]
    reached: Mapping[str, frozenset[int]]
    missing: str = ""
    partial: tuple[int, ...] = ()

    @property
    def own_tests(self) -> tuple[str, ...]:
        """The test files of its own level that reach it, those that reach most of it first."""
        return self._most_first(file for file in self.reached if is_own_test(self.path, file))

    @property
    def other_tests(self) -> tuple[str, ...]:
        """The test files of other levels that reach it, those that reach most of it first."""
        return self._most_first(file for file in self.reached if not is_own_test(self.path, file))

    @property
    def own_lines(self) -> Share:
        """Of the lines inside functions, those that its own level of tests executes.

        What only ran while modules were imported does not count: nobody knows for whom.
        """
        hit = frozenset[int]().union(*(self.reached[file] for file in self.own_tests))
        return Share(len(hit), len((self.in_functions - self.at_import) | hit))

    @property
    def is_missed(self) -> bool:
        """Whether its own level of tests executes little or nothing but what an import does."""
        return self.own_lines.permille < REACHED

    def _most_first(self, files: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(files, key=lambda file: (-len(self.reached[file]), file)))


def is_own_test(module: str, test_file: str) -> bool:
    """Whether a test file is of the level that a module's own tests are on.

    Such a file lies in the folder of ``tests/unit`` that mirrors the module's package, or in one
    above it, or in the folder of a tool that is not grouped by package.

    Args:
        module: The path of a module, from the root of the repository.
        test_file: The path of a test file, likewise.
    """
    match PurePosixPath(test_file).parts:
        case ("tests", "unit", first, *rest, _):
            folders = (first, *rest)
            return PurePosixPath(module).parent.parts[: len(folders)] == folders
        case ("tests", level, *_, _):
            return level in WIDE_LEVELS
        case _:
            return False


def expected_tests(module: str) -> str:
    """The folder that the tests of a module belong into first.

    Args:
        module: The path of a module, from the root of the repository.
    """
    return str("tests/unit" / PurePosixPath(module).parent)


def function_lines(source: str) -> frozenset[int]:
    """The numbers of the lines in bodies of functions and methods.

    A body that begins on the line of its ``def`` is left out: an import executes that line.

    Args:
        source: The text of a module.
    """
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            begin, end = node.body[0].lineno, node.end_lineno or node.lineno
            if begin > node.lineno:
                lines.update(range(begin, end + 1))
    return frozenset(lines)
