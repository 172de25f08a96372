# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The children of a resource with external providers that is in no cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import UNKNOWN_IMAGE, preview
from controller.llamastack.render.init_containers import merge_image_of
from controller.llamastack.render.inputs import DEFAULT_OPTIONS, Options
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.installing import OPTIONS, TWO, inputs, named, rendered
from tests.support.rendering import resource

Json = dict[str, Any]


def shown(external: Json, options: Options = DEFAULT_OPTIONS, **spec: Any) -> dict[str, Json]:
    """By kind."""
    obj = resource(externalProviders=external, **spec)
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.problem is None, plan.problem
    made = preview(obj, plan, options)
    assert len({each["kind"] for each in made}) == len(made)
    return {each["kind"]: each for each in made}


def volumes(children: dict[str, Json]) -> dict[str, Json]:
    return {v["name"]: v for v in children["Deployment"]["spec"]["template"]["spec"]["volumes"]}


def test_pods_are_shown_as_a_cluster_would_have_them() -> None:
    made = shown(TWO, OPTIONS)
    found = inputs(TWO)

    assert made["ConfigMap"]["metadata"]["name"] == named(found).installs_name
    assert made["Deployment"]["spec"] == rendered(found)["spec"]


def test_image_that_is_known_in_a_cluster_only_is_shown_as_unknown() -> None:
    assert merge_image_of(shown(TWO)["Deployment"]) == UNKNOWN_IMAGE
    assert merge_image_of(shown(TWO, OPTIONS)["Deployment"]) == OPTIONS.merge_image
    assert UNKNOWN_IMAGE not in json.dumps(shown({}))


def test_one_config_map_has_the_configuration_and_the_input() -> None:
    made = shown(TWO)
    name = made["ConfigMap"]["metadata"]["name"]

    assert {"config.yaml", "00-one.json", "01-two.json"} <= set(made["ConfigMap"]["data"])
    for volume in ("llama-stack-config", "external-providers-input"):
        assert volumes(made)[volume]["configMap"]["name"] == name


@pytest.mark.parametrize(
    ("namespace", "mounted"), [({}, "mine"), ({"configMapNamespace": "shared"}, "demo-config-")]
)
def test_config_map_beside_the_users_own_has_the_input_alone(
    namespace: dict[str, str], mounted: str
) -> None:
    made = shown(TWO, overrideConfig={"configMapName": "mine", **namespace})

    assert "config.yaml" not in made["ConfigMap"]["data"]
    assert volumes(made)["llama-stack-config"]["configMap"]["name"].startswith(mounted)
    source = volumes(made)["external-providers-input"]["configMap"]["name"]
    assert source == made["ConfigMap"]["metadata"]["name"]


def test_without_external_providers_nothing_is_shown_of_them() -> None:
    made = shown({})

    assert "ConfigMap" not in made
    assert "initContainers" not in json.dumps(made)
