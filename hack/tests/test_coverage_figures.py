# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re

from hack.coverage.__main__ import FIGURES
from hack.coverage.exceptions import EXCEPTIONS
from hack.coverage.figures import (
    TOLERANCE,
    Change,
    Committed,
    Comparison,
    Figures,
    compare,
    format_figures,
    measured_figures,
    parse_figures,
    part_of,
)
from hack.coverage.modules import Module, Share
from hack.coverage.report import format_comparison, format_missed
from hack.root import ROOT

_PACKAGES = ("llamastack_operator", "controller", "informers", "workqueue", "api", "configs")


def _module(path: str, lines: Share, branches: Share, *tests: str) -> Module:
    reached = {test: frozenset({10}) for test in tests}
    return Module(path, lines, branches, frozenset({10}), frozenset(), reached)


def test_module_counts_for_its_package() -> None:
    assert part_of("api/meta.py") == "api"
    assert part_of("controller/llamastack/render/pod.py") == "controller.llamastack.render"


def test_figures_of_a_part_are_those_of_all_its_lines_and_branches() -> None:
    modules = [
        _module("api/big.py", Share(900, 1000), Share(1, 3)),
        _module("api/small.py", Share(0, 1), Share(1, 1)),
        _module("configs/straight.py", Share(2, 2), Share(0, 0)),
        _module("controller/__init__.py", Share(0, 0), Share(0, 0)),
    ]

    assert measured_figures(modules) == {
        "api": Figures(branches=500, lines=899),
        "configs": Figures(branches=1000, lines=1000),
    }


def test_figures_are_read_as_they_were_written() -> None:
    committed = Committed(
        "3.11", {"api": Figures(branches=987, lines=1000), "configs": Figures(1, 555)}
    )

    assert parse_figures(format_figures(committed)) == committed


def test_figure_falls_or_rises_beyond_the_tolerance() -> None:
    committed = {"api": Figures(branches=900, lines=900)}

    within = compare(committed, {"api": Figures(900 - TOLERANCE, 900 + TOLERANCE)})
    beyond = compare(committed, {"api": Figures(900 - TOLERANCE - 1, 900 + TOLERANCE + 1)})

    assert within == Comparison((), (), (), ())
    assert within.holds
    assert beyond.fallen == (Change("api", "branches", 900, 899 - TOLERANCE),)
    assert beyond.risen == (Change("api", "lines", 900, 901 + TOLERANCE),)
    assert not beyond.holds


def test_figure_that_only_rose_holds() -> None:
    assert compare({"api": Figures(900, 900)}, {"api": Figures(950, 950)}).holds


def test_each_part_needs_a_figure_and_each_figure_a_part() -> None:
    some = Figures(900, 900)

    comparison = compare({"api": some, "old": some}, {"api": some, "young": some})

    assert (comparison.new, comparison.gone) == (("young",), ("old",))
    assert not comparison.holds
    assert list(format_comparison(comparison)) == [
        "error: young has no figure: commit the figures of `make coverage UPDATE=1`",
        "error: old has a figure but no module: commit the figures of `make coverage UPDATE=1`",
    ]


def test_who_made_a_figure_fall_is_told_what_to_do() -> None:
    before, after = {"controller.llamastack": Figures(934, 950)}, Figures(928, 958)

    fell, rose = format_comparison(compare(before, {"controller.llamastack": after}))

    assert fell.startswith(
        "error: controller.llamastack: coverage of branches fell from 93.4 % to 92.8 %."
    )
    assert "python -m hack.coverage controller/llamastack" in fell
    assert "make coverage UPDATE=1" in fell
    assert rose.startswith("controller.llamastack: coverage of lines rose from 95.0 % to 95.8 %")


def test_module_that_is_missed_is_named_with_what_was_expected_where() -> None:
    whole = Share(1, 1)
    modules = [
        _module("api/a.py", whole, whole, "tests/unit/api/test_a.py"),
        _module("api/b.py", whole, whole, "tests/unit/configs/test_b.py"),
        _module("api/c.py", whole, whole),
    ]

    missed = list(format_missed(modules, {"api/c.py": "a reason", "api/a.py": "none any more"}))

    assert [re.sub(" +", " ", line).strip() for line in missed[1:]] == [
        "api/b.py 0 of 1, by others 1, expected in tests/unit/api",
        "api/a.py is reached: take it out of hack/coverage/exceptions.py",
    ]


def test_exceptions_are_modules_with_a_reason() -> None:
    for path, reason in EXCEPTIONS.items():
        assert (ROOT / path).is_file(), path
        assert reason, path


def test_every_part_of_the_product_has_a_figure() -> None:
    parts = {
        part_of(path.relative_to(ROOT).as_posix())
        for package in _PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }

    assert parse_figures((ROOT / FIGURES).read_text("utf-8")).parts.keys() == parts
