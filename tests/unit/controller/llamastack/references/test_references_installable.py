# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether external providers can be merged into a configuration, and what is said if not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from configs.eras import Era
from controller.llamastack.planning.plan import Plan, make_plan
from controller.llamastack.references.configuration import Configuration
from controller.llamastack.references.installable import NO_IMAGE, installable
from controller.llamastack.render.inputs import Options
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.installing import OPTIONS, provider
from tests.support.rendering import resource

NO_OPERATOR_IMAGE = Options()
Json = dict[str, Any]

OVERRIDE: Json = {"overrideConfig": {"configMapName": "mine"}}


def judged(
    external: Json | None, options: Options = OPTIONS, *, era: Era | None = "0.7", **spec: Any
) -> Configuration:
    obj = resource(**spec, **({} if external is None else {"externalProviders": external}))
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.generated is not None, plan.problem
    return installable(obj, plan, Configuration(replace(plan.generated, era=era)), options)


@pytest.mark.parametrize("spec", [{}, OVERRIDE], ids=["generated", "override"])
def test_operator_that_does_not_know_its_image_cannot_merge(spec: Json) -> None:
    found = judged({"inference": [provider()]}, NO_OPERATOR_IMAGE, **spec)

    assert found.generated is None
    assert found.problem is not None
    assert found.problem.reason == Reason.VALIDATION_FAILED
    assert found.problem.message == f"spec.externalProviders: {NO_IMAGE}"
    assert "--operator-image" in found.problem.message


@pytest.mark.parametrize("external", [None, {}, {"inference": []}])
def test_nobody_needs_the_image_without_external_providers(external: Json | None) -> None:
    assert judged(external, NO_OPERATOR_IMAGE, **OVERRIDE).problem is None


def test_configuration_that_is_in_order_is_handed_on_as_it_is() -> None:
    found = judged({"inference": [provider()]}, **OVERRIDE)

    assert found.problem is None
    assert found.generated is not None


def test_override_of_an_era_without_the_api_is_refused_at_the_section() -> None:
    found = judged({"postTraining": [provider()]}, era="0.7", **OVERRIDE)

    assert found.generated is None
    assert found.problem is not None
    assert found.problem.reason == Reason.CONFIG_GENERATION_FAILED
    assert found.problem.message.startswith(
        "spec.externalProviders.postTraining: servers of era 0.7 have no such API"
    )


@pytest.mark.parametrize("era", ["0.5-0.6", None])
def test_override_of_another_or_an_unknown_era_takes_it(era: Era | None) -> None:
    assert judged({"postTraining": [provider()]}, era=era, **OVERRIDE).problem is None


def test_override_needs_every_variable_of_a_providers_config() -> None:
    external = {"inference": [provider(config={"key": "${env.MINE}"})]}
    env: Json = {"workload": {"overrides": {"env": [{"name": "MINE", "value": "x"}]}}}

    refused = judged(external, **OVERRIDE).problem
    assert refused is not None
    assert "spec.externalProviders.inference[0].config.key" in refused.message
    assert "MINE" in refused.message
    assert judged(external, **OVERRIDE, **env).problem is None


def test_every_mistake_is_told_at_once() -> None:
    external = {
        "inference": [provider("a", config={"key": "${env.MINE}"})],
        "postTraining": [provider("b")],
    }

    found = judged(external, **OVERRIDE).problem

    assert found is not None
    assert found.message.count("spec.externalProviders.") == 2


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (OPTIONS, "spec.server.externalProviders.postTraining"),
        (NO_OPERATOR_IMAGE, "spec.server.externalProviders"),
    ],
)
def test_finding_is_at_the_path_that_the_author_wrote(options: Options, path: str) -> None:
    obj = {
        **resource(),
        "apiVersion": "llamastack.io/v1alpha1",
        "spec": {
            "server": {
                "distribution": {"name": "starter"},
                "userConfig": {"configMapName": "mine"},
                "externalProviders": {"postTraining": [provider()]},
            }
        },
    }
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.generated is not None, plan.problem

    found = installable(obj, plan, Configuration(replace(plan.generated, era="0.7")), options)

    assert found.problem is not None
    assert found.problem.message.startswith(f"{path}: ")


def test_problem_that_there_was_before_stays() -> None:
    plan = make_plan(resource(externalProviders={"inference": [provider()]}), DISTRIBUTIONS)
    nothing = Configuration(problem=plan.problem)

    assert installable(resource(), plan, nothing, NO_OPERATOR_IMAGE) is nothing
    empty = Configuration(plan.generated)
    assert installable(resource(), Plan(), empty, NO_OPERATOR_IMAGE) is empty
