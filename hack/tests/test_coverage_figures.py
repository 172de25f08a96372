# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re

import pytest

from hack.coverage.__main__ import FIGURES
from hack.coverage.exceptions import EXCEPTIONS
from hack.coverage.figures import (
    Change,
    Committed,
    Executed,
    Figures,
    compare,
    executed_parts,
    format_figures,
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

    figures = {part: executed.figures for part, executed in executed_parts(modules).items()}

    assert figures == {
        "api": Figures(branches=500, lines=899),
        "configs": Figures(branches=1000, lines=1000),
    }


def test_figures_are_read_as_they_were_written() -> None:
    committed = Committed(
        "3.11", {"api": Figures(branches=987, lines=1000), "configs": Figures(1, 555)}
    )

    assert parse_figures(format_figures(committed)) == committed


@pytest.mark.parametrize(
    ("before", "share", "changed"),
    [
        (900, Share(9000, 10_000), False),
        (900, Share(8970, 10_000), False),
        (900, Share(8969, 10_000), True),
        (900, Share(9039, 10_000), False),
        (900, Share(9040, 10_000), True),
        (900, Share(17, 20), False),
        (900, Share(16, 20), True),
        (900, Share(19, 20), False),
        (900, Share(20, 20), True),
        (1000, Share(0, 0), False),
    ],
)
def test_figure_changes_by_more_than_the_tolerance_and_by_more_than_one(
    before: int, share: Share, changed: bool
) -> None:
    after = share.permille
    change = (Change("api", "branches", before, after),) if changed else ()

    comparison = compare({"api": Figures(before, 1000)}, {"api": Executed(share, Share(1, 1))})

    assert comparison.fallen == (change if after < before else ())
    assert comparison.risen == (change if after > before else ())
    assert comparison.holds == (comparison.fallen == ())


def test_each_part_needs_a_figure_and_each_figure_a_part() -> None:
    figures, executed = Figures(1000, 1000), Executed(Share(1, 1), Share(1, 1))

    comparison = compare({"api": figures, "old": figures}, {"api": executed, "young": executed})

    assert (comparison.new, comparison.gone) == (("young",), ("old",))
    assert not comparison.holds
    assert list(format_comparison(comparison)) == [
        "error: young has no figure: commit the figures of `make coverage UPDATE=1`",
        "error: old has a figure but no module: commit the figures of `make coverage UPDATE=1`",
    ]


def test_who_made_a_figure_fall_is_told_what_to_do() -> None:
    executed = Executed(branches=Share(928, 1000), lines=Share(958, 1000))

    fell, rose, advice = format_comparison(
        compare({"controller.runtime": Figures(934, 950)}, {"controller.runtime": executed})
    )

    assert fell.startswith(
        "error: controller.runtime: coverage of branches fell from 93.4 % to 92.8 %."
    )
    assert "python -m hack.coverage controller/runtime" in fell
    assert "make coverage UPDATE=1" in fell
    assert rose == "controller.runtime: coverage of lines rose from 95.0 % to 95.8 %"
    assert "make coverage UPDATE=1" in advice


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
