# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The facts that are checked in say what the API server says."""

from __future__ import annotations

import json

import pytest

from controller.llamastack.children.table import RESOURCES
from controller.llamastack.objects.shapes import OUR_LISTS, OURS
from hack.api_fields import PATH, api_fields, render
from hack.cluster.plane import ControlPlane


@pytest.mark.apiserver
def test_file_made_again_is_what_is_checked_in(control_plane: ControlPlane) -> None:
    assert render(api_fields(control_plane.client)) == PATH.read_text("utf-8")


def test_every_kind_of_child_is_in_it() -> None:
    kinds = json.loads(PATH.read_text("utf-8"))["kinds"]

    assert kinds.keys() >= {resource.kind for resource in RESOURCES}


@pytest.mark.parametrize("name", [*OURS, *OUR_LISTS])
def test_types_of_our_own_decisions_are_reached_from_it(name: str) -> None:
    facts = json.loads(PATH.read_text("utf-8"))
    fields = [told for made in facts["types"].values() for told in made.get("fields", {}).values()]

    assert name in {told.get("items", told).get("type") for told in fields}
