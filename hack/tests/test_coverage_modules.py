# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hack.coverage.modules import Module, Share, expected_tests, function_lines, is_own_test
from hack.coverage.reader import executed_by_file

_SOURCE = """\
import os
LIMIT = 3
class Queue:
    size = LIMIT
    def add(self, item):
        if item:
            self.size += 1
        async def later(
            first,
        ):
            return first
        return later
    def one(self): return 1
"""


_OWN = "tests/unit/workqueue/test_core.py"
_OTHER = "tests/unit/configs/test_engine.py"


def _module(
    reached: Mapping[str, set[int]],
    in_functions: frozenset[int] = frozenset({10, 11, 12, 13}),
    at_import: frozenset[int] = frozenset(),
) -> Module:
    return Module(
        path="workqueue/core.py",
        lines=Share(9, 10),
        branches=Share(3, 4),
        in_functions=in_functions,
        at_import=at_import,
        reached={file: frozenset(lines) for file, lines in reached.items()},
    )


def test_lines_of_functions_are_those_that_no_import_executes() -> None:
    assert function_lines(_SOURCE) == {6, 7, 8, 9, 10, 11, 12}


@pytest.mark.parametrize(
    ("module", "test_file", "own"),
    [
        ("api/conditions.py", "tests/unit/api/test_api_conditions.py", True),
        ("api/v1alpha2/rules.py", "tests/unit/api/test_api_validation.py", True),
        ("api/conditions.py", "tests/unit/api/v1alpha2/test_rules.py", False),
        ("api/conditions.py", "tests/unit/test_everything.py", False),
        ("api/conditions.py", "tests/unit/configs/test_configs_engine.py", False),
        ("apis/conditions.py", "tests/unit/api/test_api_conditions.py", False),
        ("workqueue/core.py", "tests/property/test_workqueue_core.py", True),
        ("workqueue/queue.py", "tests/virtual/test_workqueue_queue.py", True),
        ("informers/runner.py", "tests/faults/test_informers_proxy.py", True),
        ("configs/engine.py", "tests/golden/test_configs_golden.py", True),
        ("configs/engine.py", "tests/apiserver/test_crd.py", False),
        ("configs/engine.py", "hack/tests/test_catalogue.py", False),
    ],
)
def test_own_tests_are_beside_a_module_or_above_it_or_use_a_tool_of_their_own(
    module: str, test_file: str, own: bool
) -> None:
    assert is_own_test(module, test_file) is own


def test_tests_are_expected_in_the_folder_that_mirrors_the_package() -> None:
    assert expected_tests("controller/llamastack/render/pod.py") == (
        "tests/unit/controller/llamastack/render"
    )


@pytest.mark.parametrize(
    ("reached", "missed"),
    [
        ({}, True),
        ({_OTHER: {10, 11, 12, 13}}, True),
        ({_OTHER: {10, 11, 12, 13}, _OWN: {10}}, True),
        ({_OWN: {10, 11}}, False),
        ({_OWN: {10}, "tests/property/test_workqueue_core.py": {11}}, False),
    ],
)
def test_module_is_missed_if_its_own_tests_execute_less_than_half(
    reached: Mapping[str, set[int]], missed: bool
) -> None:
    assert _module(reached).is_missed is missed


def test_module_is_not_missed_if_an_import_executes_all_that_it_has() -> None:
    assert not _module({}, in_functions=frozenset()).is_missed
    assert not _module({}, at_import=frozenset({10, 11, 12, 13})).is_missed
    assert _module({}, at_import=frozenset({10, 11, 12})).is_missed


def test_line_of_an_import_counts_for_the_tests_that_execute_it_too() -> None:
    assert _module({_OWN: {10}}, at_import=frozenset({10, 11})).own_lines == Share(1, 3)


def test_own_lines_are_what_its_own_tests_execute_together() -> None:
    second = "tests/unit/workqueue/test_second.py"
    module = _module({_OWN: {10}, second: {10, 12}, _OTHER: {13}})

    assert module.own_lines == Share(2, 4)
    assert module.own_tests == (second, _OWN)
    assert module.other_tests == (_OTHER,)


@pytest.mark.parametrize(
    ("share", "percent"),
    [(Share(0, 0), 100.0), (Share(0, 3), 0.0), (Share(2, 3), 66.6), (Share(999, 1000), 99.9)],
)
def test_percent_is_rounded_down(share: Share, percent: float) -> None:
    assert share.percent == percent


def test_line_inside_a_statement_counts_for_the_statement() -> None:
    executed = {1: [""], 4: ["", "a"], 5: ["a", "b"], 7: ["b"], 9: ["a"]}

    found = executed_by_file(executed, [3, 6, 7], excluded=frozenset({9}))

    assert found == {"": {3}, "a": {3}, "b": {3, 7}}
