# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Plans are made once, for a while, and their warnings said once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from configs.distributions import Distributions
from controller.llamastack.planning.plan import Plan, make_plan
from controller.llamastack.planning.planner import Planner

DISTRIBUTIONS = Distributions.load()


def resource(uid: str = "u", generation: int = 1, port: int = 8321) -> dict[str, Any]:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "n", "uid": uid, "generation": generation},
        "spec": {
            "distribution": {"name": "starter"},
            "networking": {"port": port},
            "disabled": ["postTraining"],
        },
    }


def test_plan_is_made_once_per_generation() -> None:
    planner = Planner(DISTRIBUTIONS)

    first = planner.plan(resource())

    assert planner.plan(resource()) is first
    assert planner.plan(resource(generation=2, port=9000)) is not first


def test_namesake_of_a_deleted_resource_has_its_own_plan() -> None:
    planner = Planner(DISTRIBUTIONS)

    assert planner.plan(resource("u")) is not planner.plan(resource("v"))


def test_only_the_busiest_plans_are_kept() -> None:
    planner = Planner(DISTRIBUTIONS, remembered=2)
    busy = planner.plan(resource("busy"))

    for number in range(5):
        planner.plan(resource(f"other-{number}"))
        assert planner.plan(resource("busy")) is busy

    assert len(vars(planner)["_plans"]) == 2


def test_warning_is_said_once_per_generation_although_plans_are_forgotten() -> None:
    planner = Planner(DISTRIBUTIONS, remembered=1)

    with structlog.testing.capture_logs() as said:
        plan = planner.plan(resource("u"))
        for _ in range(3):
            planner.plan(resource("v"))
            planner.plan(resource("u"))
        planner.plan(resource("u", generation=2))

    assert plan.warnings, "the sample must be questionable for this test"
    assert len(said) == 3 * len(plan.warnings)


def edited(context: int) -> dict[str, Any]:
    """A generation in which a registered model differs."""
    obj = resource(generation=context)
    provider = {"provider": "vllm", "endpoint": "http://vllm:8000"}
    model = {"name": "m", "contextLength": context}
    obj["spec"] |= {"providers": {"inference": provider}, "resources": {"models": [model]}}
    return obj


def registry_of(plan: Plan) -> str:
    assert plan.generated is not None
    assert plan.generated.registry is not None
    return plan.generated.registry.dump()


def test_new_registry_is_reported_until_the_plan_is_carried_out() -> None:
    planner = Planner(DISTRIBUTIONS)
    before = registry_of(planner.plan(edited(1)))

    first = planner.plan(edited(2), before)
    settled = planner.plan(edited(2), registry_of(first))

    assert planner.plan(edited(2), before) is first
    assert planner.plan(edited(2), registry_of(first)) is settled
    assert first.generated is not None
    assert settled.generated is not None
    assert first.generated.registry_reset == ("model vllm/m",)
    assert settled.generated == replace(first.generated, registry_reset=())
    assert settled == make_plan(edited(2), DISTRIBUTIONS, registry_of(first))


def test_plan_follows_the_state_of_the_registry() -> None:
    planner = Planner(DISTRIBUTIONS)
    first = planner.plan(edited(1))

    by_hand = planner.plan(edited(1), '{"key":7,"registered":{}}')

    assert by_hand.generated is not None
    assert "registry-7.db" in str(by_hand.generated.config_yaml)
    assert by_hand is not first
