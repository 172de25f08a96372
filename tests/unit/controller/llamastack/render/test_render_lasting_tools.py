# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Another version of the operator merges in pods that start anyway, and restarts none for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.llamastack.objects.compare import stamped
from controller.llamastack.objects.kinds import MERGE_REVISION
from controller.llamastack.render import init_containers
from controller.llamastack.render.deployment import with_lasting_tools
from controller.llamastack.render.init_containers import merge_image_of
from controller.llamastack.render.inputs import Inputs
from tests.support.installing import (
    MERGE_IMAGE,
    OPTIONS,
    TWO,
    inputs,
    named,
    provider,
    rendered,
    with_merge_image,
)

NEW_IMAGE = "registry.example/operator:2"

Json = dict[str, Any]


def live(found: Inputs) -> Json:
    """The Deployment as it was applied."""
    return stamped(rendered(found))


def wanted(found: Inputs, deployment: Json | None) -> Json:
    return with_lasting_tools(found, named(found), deployment).manifest


def test_another_image_alone_changes_nothing_of_what_runs() -> None:
    before = inputs(TWO)

    after = wanted(with_merge_image(before, NEW_IMAGE), live(before))

    assert stamped(after) == live(before)
    assert merge_image_of(after) == MERGE_IMAGE


def test_image_that_moves_is_one_alone_too() -> None:
    before = with_merge_image(inputs(TWO), "registry.example/operator:latest")

    assert stamped(wanted(inputs(TWO), live(before))) == live(before)


@pytest.mark.parametrize(
    ("external", "spec"),
    [
        pytest.param({"inference": [provider("one", image="r.example/o:2")]}, {}, id="image"),
        pytest.param({**TWO, "install": {"sizeLimit": "8Gi"}}, {}, id="size"),
        pytest.param(TWO, {"workload": {"overrides": {"env": [{"name": "A"}]}}}, id="env"),
        pytest.param(TWO, {"disabled": ["eval"]}, id="config"),
    ],
)
def test_any_other_change_brings_the_new_image(external: Json, spec: Json) -> None:
    before, after = inputs(TWO), with_merge_image(inputs(external, **spec), NEW_IMAGE)

    found = wanted(after, live(before))

    assert merge_image_of(found) == NEW_IMAGE
    assert found == rendered(after)


@pytest.mark.parametrize(
    ("changed", "spec"),
    [
        pytest.param({}, {"workload": {"replicas": 3}}, id="replicas"),
        pytest.param({}, {"workload": {"autoscaling": {"maxReplicas": 3}}}, id="autoscaling"),
        pytest.param({"config_maps_seen": "another/version"}, {}, id="label-of-a-config-map"),
    ],
)
def test_what_concerns_no_pod_does_not_bring_the_new_image(changed: Json, spec: Json) -> None:
    before = inputs(TWO)
    after = replace(inputs(TWO, **spec), **changed)

    found = wanted(with_merge_image(after, NEW_IMAGE), live(before))

    assert found == rendered(after)
    assert stamped(found) != live(before)
    assert found["spec"]["template"] == live(before)["spec"]["template"]


def test_another_revision_of_the_merge_brings_the_new_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = inputs(TWO)
    running = live(before)
    template: Json = running["spec"]["template"]["metadata"]["annotations"]
    assert template[MERGE_REVISION] == init_containers.REVISION

    monkeypatch.setattr(init_containers, "REVISION", "another")
    found = wanted(with_merge_image(before, NEW_IMAGE), running)

    assert merge_image_of(found) == NEW_IMAGE
    assert found["spec"]["template"]["metadata"]["annotations"][MERGE_REVISION] == "another"


def test_image_that_somebody_wrote_into_the_deployment_does_not_last() -> None:
    before = inputs(TWO)
    edited = live(before)
    for container in edited["spec"]["template"]["spec"]["initContainers"]:
        if container["name"] == "merge-config":
            container["image"] = "evil.example/i:1"

    assert merge_image_of(wanted(before, edited)) == MERGE_IMAGE
    assert merge_image_of(wanted(with_merge_image(before, NEW_IMAGE), edited)) == NEW_IMAGE


def test_image_is_the_operators_where_nothing_runs_yet() -> None:
    found = with_merge_image(inputs(TWO), NEW_IMAGE)

    assert merge_image_of(wanted(found, None)) == NEW_IMAGE
    assert merge_image_of(wanted(found, live(inputs(None)))) == NEW_IMAGE


def test_drift_is_undone_with_the_image_that_runs() -> None:
    before = inputs(TWO)
    drifted = live(before)
    drifted["spec"]["replicas"] = 7

    assert stamped(wanted(with_merge_image(before, NEW_IMAGE), drifted)) == live(before)


def test_external_providers_that_are_removed_leave_nothing_behind() -> None:
    found = wanted(inputs(None), live(inputs(TWO)))

    assert found == rendered(inputs(None))
    assert merge_image_of(found) == ""
    assert "annotations" not in found["spec"]["template"]["metadata"]


def test_other_options_bring_the_new_image() -> None:
    before = inputs(TWO)
    options = replace(OPTIONS, preflight=False, merge_image=NEW_IMAGE)

    assert merge_image_of(wanted(replace(before, options=options), live(before))) == NEW_IMAGE
