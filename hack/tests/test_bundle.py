# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One file of a kustomization: its objects, in order, with its labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.yaml_reader import load_all
from hack.bundle import bundle


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _object(name: str, labels: str = "{}") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {labels}}}\n"


def _two_bases(root: Path) -> Path:
    _write(root / "one" / "kustomization.yaml", "resources: [a.yaml]\n")
    _write(root / "one" / "a.yaml", _object("a", "{own: label}"))
    _write(root / "two" / "kustomization.yaml", "resources: [b.yaml]\n")
    _write(root / "two" / "b.yaml", f"{_object('b')}---\n{_object('c')}")
    text = "resources: [../two, ../one]\nlabels: [{pairs: {team: x}}]\n"
    return _write(root / "all" / "kustomization.yaml", text).parent


def test_objects_come_in_the_order_of_the_bases_with_the_labels(tmp_path: Path) -> None:
    found = load_all(bundle(_two_bases(tmp_path), {}))

    assert [(o["metadata"]["name"], o["metadata"]["labels"]) for o in found] == [
        ("b", {"team": "x"}),
        ("c", {"team": "x"}),
        ("a", {"own": "label", "team": "x"}),
    ]


def test_text_that_is_not_written_yet_is_taken(tmp_path: Path) -> None:
    directory = _two_bases(tmp_path)

    found = load_all(bundle(directory, {tmp_path / "one" / "a.yaml": _object("new")}))

    assert [o["metadata"]["name"] for o in found] == ["b", "c", "new"]


@pytest.mark.parametrize(
    ("more", "named"),
    [("patches: []\n", "patches"), ("labels: [{pairs: {}, includeSelectors: true}]\n", "include")],
)
def test_what_it_does_not_understand_is_said(tmp_path: Path, more: str, named: str) -> None:
    path = _write(tmp_path / "kustomization.yaml", f"resources: []\n{more}")

    with pytest.raises(ValueError, match=named):
        bundle(path.parent, {})
