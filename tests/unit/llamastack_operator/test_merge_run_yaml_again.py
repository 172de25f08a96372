# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``merge-run-yaml`` after an earlier run: one that was whole, or one that was killed anywhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llamastack_operator.merge_run_yaml import main
from tests.support.staged_pod import Pod


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    made = Pod(tmp_path)
    monkeypatch.setenv("TERMINATION_LOG", str(made.termination_log))
    return made


def run_twice(pod: Pod, between: Callable[[], None] = lambda: None) -> None:
    assert main(pod.arguments) == 0
    before = pod.tree(), {path.name: path.read_bytes() for path in pod.config.iterdir()}
    between()
    assert main(pod.arguments) == 0
    after = pod.tree(), {path.name: path.read_bytes() for path in pod.config.iterdir()}
    assert after == before


def test_second_run_gives_the_same(pod: Pod) -> None:
    pod.add("a", files={"org/__init__.py": "", "org/a.py": "1"}, units={"a 1": ()})
    pod.add("b", files={"org/__init__.py": "", "org/b.py": "2"}, units={"b 1": ()})

    run_twice(pod)


def test_link_that_is_in_the_way_is_removed_and_not_followed(pod: Pod) -> None:
    pod.add(files={"a.py": "x"})
    kept = pod.root / "kept"
    kept.mkdir()
    (kept / "file").write_text("")

    run_twice(pod, lambda: pod.packages.with_name(".python-packages.new").symlink_to(kept))

    assert (kept / "file").exists()


def test_what_an_earlier_run_left_is_gone(pod: Pod) -> None:
    pod.add(files={"a.py": "x"})

    def leave() -> None:
        (pod.packages / "of_a_provider_that_is_gone.py").write_text("")
        for suffix in ("new", "old"):
            half = pod.packages.with_name(f".python-packages.{suffix}")
            half.mkdir()
            (half / "a.py").write_text("half")
        for folder in (pod.config, pod.packages.parent):
            (folder / ".run.yaml.new").write_text("half")
        (pod.packages.parent / ".run.yaml.new").unlink()

    run_twice(pod, leave)


CHANGES = ("link", "mkdir", "chmod", "rename", "replace", "unlink", "rmdir", "fchmod")
"""Calls by which a run changes something."""


class Killed(BaseException):
    """The process ends here."""


def killed_at(number: int, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Runs until the call of that number; whether the run came so far."""
    left = [number]

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*args, **more)

        return call

    with monkeypatch.context() as patched:
        for name in CHANGES:
            patched.setattr(os, name, dying(getattr(os, name)))
        try:
            main(arguments)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("is_first", [True, False])
def test_run_that_is_killed_anywhere_leaves_a_whole_tree_or_none(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, *, is_first: bool
) -> None:
    pod.add(files={"a.py": "1", "b/c.py": "1"})
    assert main(pod.arguments) == 0
    whole = pod.tree()
    number = 0
    while True:
        if is_first:
            shutil.rmtree(pod.packages, ignore_errors=True)
        if not killed_at(number, pod.arguments, monkeypatch):
            break
        number += 1
        found = {path: each for path, each in pod.tree().items() if path[0] != "."}
        if pod.packages.exists():
            assert found == whole
        else:
            assert set(found) <= {"installed-packages.txt"}

    assert pod.tree() == whole
    assert number > 10
