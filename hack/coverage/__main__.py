# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the last measured run of the tests executed: ``python -m hack.coverage``.

The exit code is 0, or 1 if a figure fell, or 2 if nothing was measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hack.coverage import report
from hack.coverage.exceptions import EXCEPTIONS
from hack.coverage.figures import (
    PYTHON,
    Committed,
    compare,
    executed_parts,
    format_figures,
    parse_figures,
)
from hack.coverage.modules import Module
from hack.coverage.reader import NotMeasuredError, read_modules

FIGURES: Final = Path("hack/coverage/figures.json")
"""The committed figures, from the root of the repository."""


PART: Final = Path("build/coverage/part")
"""There while only some of the tests were measured: nothing can be said of the whole."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Show what was asked for; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        modules = read_modules()
    except NotMeasuredError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.paths:
        return _show_details(modules, options.paths)
    if options.map:
        _show(report.format_map(modules))
    if options.part or PART.exists():
        print("only some tests ran: the figures are not compared")
        return 0
    _show(report.format_missed(modules, EXCEPTIONS))
    return _update(modules) if options.update else _compare(modules)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hack.coverage",
        description="What the last run of the tests executed that was measured (make coverage).",
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="modules or folders: all that is known of them"
    )
    parser.add_argument("--map", action="store_true", help="which test files cover which module")
    parser.add_argument("--update", action="store_true", help=f"write {FIGURES}")
    parser.add_argument(
        "--part", action="store_true", help="only some tests ran: compare no figures"
    )
    return parser


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _show_details(modules: Iterable[Module], paths: Sequence[str]) -> int:
    found = [m for m in modules if any(Path(m.path).is_relative_to(path) for path in paths)]
    for module in found:
        _show(report.format_details(module))
    if not found:
        print(f"error: no module is at {' or '.join(paths)}", file=sys.stderr)
    return 0 if found else 1


def _update(modules: Iterable[Module]) -> int:
    executed = executed_parts(modules)
    figures = {part: share.figures for part, share in executed.items()}
    _show(report.format_figures_table(executed, _committed().parts))
    FIGURES.write_text(format_figures(Committed(PYTHON, figures)), "utf-8")
    return 0


def _compare(modules: Iterable[Module]) -> int:
    executed, committed = executed_parts(modules), _committed()
    _show(report.format_figures_table(executed, committed.parts))
    if committed.python != PYTHON:
        print(f"not compared: this is Python {PYTHON}, {FIGURES} is of {committed.python}")
        return 0
    comparison = compare(committed.parts, executed)
    _show(report.format_comparison(comparison))
    return 0 if comparison.holds else 1


def _committed() -> Committed:
    if not FIGURES.exists():
        return Committed(PYTHON, {})
    return parse_figures(FIGURES.read_text("utf-8"))


if __name__ == "__main__":
    sys.exit(main())
