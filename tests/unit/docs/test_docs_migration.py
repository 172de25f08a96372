# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""docs/migration-v1alpha1-to-v1alpha2.md says what the conversion does."""

from __future__ import annotations

import re

import pytest

from api import ANNOTATIONS, OLD_VERSION, VERSION
from api.conversion import convert, hidden_paths
from api.conversion.spec import MOVES
from api.validation import validate
from configs.yaml_reader import load
from hack.root import ROOT
from tests.support.apicase import Json

PAGE = (ROOT / "docs" / "migration-v1alpha1-to-v1alpha2.md").read_text("utf-8")
_FENCE = re.compile(r"```yaml\n(.*?)```\n", re.DOTALL)


def _pairs() -> list[tuple[Json, Json]]:
    texts = [text for text in _FENCE.findall(PAGE) if text.startswith("apiVersion")]
    objects = [load(text) for text in texts]
    return list(zip(objects[::2], objects[1::2], strict=True))


PAIRS = _pairs()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0]["metadata"]["name"])
def test_examples_are_each_other_in_the_other_version(pair: tuple[Json, Json]) -> None:
    old, new = pair

    assert convert(old, VERSION) == new
    assert convert(new, OLD_VERSION) == old
    assert validate(old).errors == validate(new).errors == ()


def test_there_are_examples() -> None:
    assert len(PAIRS) == 3


def test_every_field_that_moves_is_named() -> None:
    table = PAGE[PAGE.index("## Every field") : PAGE.index("### Examples")]
    missing = [
        ".".join(path)
        for move in MOVES
        for path in (move.old, move.new)
        if re.search(rf"[`.]{path[-1]}[`.\[]", table) is None
    ]
    assert missing == []


def test_the_annotation_that_is_shown_is_read() -> None:
    (name, value) = re.findall(r"^(llamastack\.io/\S+): '(.*)'$", PAGE, re.MULTILINE)[0]
    obj = {
        "apiVersion": "llamastack.io/v1alpha1",
        "metadata": {"annotations": {name: value}},
        "spec": {"network": {"exposeRoute": True}},
    }

    assert name == ANNOTATIONS[VERSION]
    assert hidden_paths(obj) == ["spec.networking.expose"]
    assert convert(obj, VERSION)["spec"]["networking"] == {
        "expose": {"hostname": "llama.example.com"}
    }
