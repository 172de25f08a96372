# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The offline commands with anything at all in place of any part of a resource."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llamastack_operator.__main__ import main

VALID: dict[str, Any] = {
    "apiVersion": "llamastack.io/v1alpha2",
    "kind": "LlamaStackDistribution",
    "metadata": {"name": "demo", "namespace": "team", "labels": {"a": "b"}, "annotations": {}},
    "spec": {
        "distribution": {"name": "starter"},
        "providers": {
            "inference": [
                {
                    "id": "a",
                    "provider": "vllm",
                    "endpoint": "http://a/v1",
                    "apiKey": {"secretKeyRef": {"name": "s", "key": "k"}},
                    "secretRefs": {"x": {"secretKeyRef": {"name": "s", "key": "k"}}},
                    "settings": {"refresh_models": True},
                }
            ],
            "vectorIo": {"provider": "pgvector", "endpoint": "postgresql://h:1/d"},
        },
        "resources": {"models": ["m", {"name": "n", "provider": "a"}], "tools": ["t"]},
        "storage": {"kv": {"type": "redis", "endpoint": "redis://r"}, "sql": {"type": "sqlite"}},
        "disabled": ["eval"],
        "networking": {"port": 1, "tls": {"enabled": True, "secretName": "t"}, "expose": False},
        "workload": {
            "replicas": 1,
            "resources": {"limits": {"cpu": "1"}},
            "overrides": {"env": [{"name": "A", "value": "b"}], "labels": {}, "volumes": []},
        },
    },
    "status": {"conditions": []},
}  # fmt: skip


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something else can be put."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items:
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))


PLACES = [path for path in places(VALID) if path not in {("kind",), ("apiVersion",)}]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["", "a", "${env.A}", "${env.A:=", "__disabled__", "\x1b[31m", "\n", "../x"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "id", "provider", "endpoint", "settings", "enabled"])
            | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def replaced(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(VALID)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    whole: dict[str, Any] = changed
    return whole


def run(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(words))
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING), min_size=1, max_size=1))
@example(changes=[(("metadata",), None)])
@example(changes=[(("spec",), [])])
@example(changes=[(("metadata", "name"), "a\nb")])
@example(changes=[(("metadata", "namespace"), {"a": []})])
def test_commands_agree_and_say_in_lines_what_is_wrong(
    folder: Path, changes: list[tuple[tuple[str | int, ...], Any]]
) -> None:
    path, value = changes[0]
    new, old = folder / "new.yaml", folder / "old.yaml"
    new.write_text(json.dumps(replaced(path, value)))
    old.write_text(json.dumps(VALID))

    valid, errors, _ = run("validate", "-f", str(new))
    rendered, objects, complaints = run("render", "-f", str(new))
    compared, difference, _ = run("diff", "-f", str(new), "--against", str(old))

    assert valid == rendered
    assert bool(errors) == (valid == 1)
    assert bool(objects) == (rendered == 0)
    assert compared in ({2} if rendered else {0, 1, 2})  # 2: another name than the old one
    assert bool(difference) == (compared in {0, 1})
    for line in (errors + complaints).splitlines():
        assert line.isprintable()
        assert ": " in line
