# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``docs/status.md`` names every word of the status, once, and no other."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from api.v1alpha2.reasons import ConditionType, Phase, Reason
from hack.root import ROOT

DOCS = ROOT / "docs"
TEXT = (DOCS / "status.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("section", "words"), [("Conditions", ConditionType), ("Phases", Phase), ("Reasons", Reason)]
)
def test_every_word_is_explained_once(section: str, words: type[StrEnum]) -> None:
    body = TEXT.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]

    explained = re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE)

    assert sorted(explained) == sorted(str(word) for word in words)


def test_troubleshooting_speaks_of_reasons_that_exist() -> None:
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    cells = re.findall(r"^\| (`[A-Z][A-Za-z]+`(?:, `[A-Z][A-Za-z]+`)*) \|", text, re.MULTILINE)
    named = {word for cell in cells for word in re.findall(r"\w+", cell)}

    assert len(named) > 20
    assert sorted(named - {str(reason) for reason in Reason}) == []
