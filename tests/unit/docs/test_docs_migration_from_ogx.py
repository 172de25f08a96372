# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""docs/migration-from-ogx.md has every field of the tables that convert."""

from __future__ import annotations

import re

import pytest

from api.conversion.ogx import spec
from api.conversion.ogx.vendors import APIS, SECTIONS, VENDORS
from hack.root import ROOT

PAGE = (ROOT / "docs" / "migration-from-ogx.md").read_text("utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]


def row_of(first: str) -> list[str]:
    (found,) = (row for row in ROWS if first in re.findall(r"`([^`]+)`", row[0]) and len(row) > 1)
    return found


@pytest.mark.parametrize(("old", "new"), spec.MOVES.items(), ids=".".join)
def test_a_field_that_moves_has_a_row(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    assert f"`{'.'.join(new)}`" in row_of(".".join(old))[1]


@pytest.mark.parametrize("names", spec.WITHOUT_COUNTERPART, ids=".".join)
def test_a_field_without_a_counterpart_is_on_the_page(names: tuple[str, ...]) -> None:
    assert f"`{'.'.join(names)}`" in PAGE


@pytest.mark.parametrize("place", VENDORS, ids=".".join)
def test_a_vendor_has_a_row(place: tuple[str, str, str]) -> None:
    vendor = VENDORS[place]
    named = ", ".join(f"`{name}`" for name in vendor.secrets)
    texts = (SECTIONS[place[0]], vendor.provider, vendor.endpoint, vendor.key)

    cells = row_of(".".join(place))[1:]

    assert cells == [*(f"`{text}`" if text else "" for text in texts), named]


def test_there_is_a_row_for_each_vendor_and_no_other() -> None:
    rows = [row for row in ROWS if len(row) == 6 and row[0].startswith("`")]

    assert len(rows) == len(VENDORS)


def test_apis_that_are_called_otherwise_are_on_the_page() -> None:
    text = row_of("disabledAPIs")[1]

    assert all(f"`{there}` → `{here}`" in text for there, here in APIS.items() if there != here)
