# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is known to go wrong with external providers before a pod starts."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2 import Reason
from configs import checks
from configs.eras import Era
from configs.errors import ConfigError, Findings
from tests.support.config_specs import errors, generate, refused, spec_of, warnings
from tests.support.installing import provider


def found(era: Era | None, *variables: str, **external: Any) -> dict[str, str]:
    """Path → message and hint of what ``checks.external`` says of an override of an era."""
    findings = Findings()
    checks.external(spec_of({"externalProviders": external}), era, variables, findings)
    try:
        findings.raise_errors()
    except ConfigError as error:
        return {each.path: f"{each.message} ({each.hint})" for each in error.errors}
    return {}


# --- APIs -----------------------------------------------------------------------------------------


def test_section_that_the_era_has_no_api_for_is_refused_once() -> None:
    two = [provider("a"), provider("b")]

    said = errors(externalProviders={"postTraining": two, "inference": [provider("c")]})

    assert list(said) == ["spec.externalProviders.postTraining"]
    assert "servers of era 0.7 have no such API" in said["spec.externalProviders.postTraining"]
    assert "another era" in said["spec.externalProviders.postTraining"]


@pytest.mark.parametrize(
    ("era", "section", "refused"),
    [
        ("0.5-0.6", "postTraining", False),
        ("0.7", "postTraining", True),
        ("ogx", "safety", True),
        ("ogx", "agents", False),
        (None, "postTraining", False),
    ],
)
def test_override_is_held_against_its_own_era(era: Era | None, section: str, refused: bool) -> None:
    paths = [f"spec.externalProviders.{section}"] if refused else []

    assert list(found(era, **{section: [provider()]})) == paths


# --- variables ------------------------------------------------------------------------------------


def test_variable_that_nothing_sets_is_refused_at_its_place() -> None:
    config = {"tls": {"key": "${env.VLLM_KEY}"}, "url": "${env.VLLM_URL:=http://v}"}

    said = errors(externalProviders={"inference": [provider("a"), provider("b", config=config)]})

    (path,) = said
    assert path == "spec.externalProviders.inference[1].config.tls.key"
    assert "needs the environment variable VLLM_KEY" in said[path]


def test_variable_that_the_user_sets_is_fine() -> None:
    external = {"inference": [provider(config={"key": "${env.VLLM_KEY}"})]}
    env = [{"name": "VLLM_KEY", "value": "x"}]

    generate(externalProviders=external, workload={"overrides": {"env": env}})

    assert found("0.7", "VLLM_KEY", **external) == {}
    assert list(found("0.7", "OTHER", **external)) == [
        "spec.externalProviders.inference[0].config.key"
    ]


def test_reference_that_the_server_does_not_expand_is_refused() -> None:
    (said,) = found("0.7", inference=[provider(config={"key": "${env.lower-case}"})]).values()

    assert "has an environment reference that the server does not expand" in said


@pytest.mark.parametrize("config", [{}, {"config": {}}, {"config": {"cost": "$5 or $(X)"}}])
def test_config_without_references_is_fine(config: dict[str, Any]) -> None:
    assert found("0.7", inference=[provider(**config)]) == {}


@pytest.mark.parametrize(
    ("value", "inner"), [({"a": ["x ${TOKEN}"]}, ".a[0]"), ({"a": {"b": "${TOKEN}"}}, ".a.b")]
)
def test_variable_of_a_shell_is_told_that_it_is_text(value: Any, inner: str) -> None:
    said = warnings(externalProviders={"safety": [provider(config=value)]})

    assert list(said) == [f"spec.externalProviders.safety[0].config{inner}"]
    (text,) = said.values()
    assert "${TOKEN} is not expanded" in text
    assert "write ${env.TOKEN}, and set that variable in spec.workload.overrides.env" in text


@pytest.mark.parametrize("key", ["secretKeyRef", "valueFrom"])
def test_reference_to_a_secret_is_told_that_nobody_reads_it(key: str) -> None:
    config = {"token": {key: {"name": "creds", "key": "token"}}}

    said = warnings(externalProviders={"safety": [provider(config=config)]})

    assert list(said) == ["spec.externalProviders.safety[0].config.token"]
    (text,) = said.values()
    assert "no Secret is read for it" in text
    assert "write ${env.NAME}" in text


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("https://registry.example/a:1", "is no image reference; it should look like"),
        ("registry.example/Team/a:1", "is no image reference; it should look like"),
        ("registry.example/a:", "the part after the last colon is no tag"),
        ("registry.example/a@sha256:abc", "the part after @ is no digest"),
    ],
)
def test_image_that_no_node_can_pull_is_refused(image: str, problem: str) -> None:
    said = errors(externalProviders={"safety": [provider("a"), provider("b", image=image)]})

    assert list(said) == ["spec.externalProviders.safety[1].image"]
    assert problem in said["spec.externalProviders.safety[1].image"]


def test_override_is_checked_as_far_as_no_config_is_needed() -> None:
    override = {"configMapName": "mine"}
    wrong = {"safety": [provider("a", image="https://registry.example/a:1")]}
    odd = {"safety": [provider("a", config={"token": "${TOKEN}"})]}
    container = {"overrides": {"containerName": "merge-config"}}

    said = errors(overrideConfig=override, externalProviders=wrong, workload=container)

    assert sorted(said) == [
        "spec.externalProviders.safety[0].image", "spec.workload.overrides.containerName",
    ]  # fmt: skip
    assert list(warnings(overrideConfig=override, externalProviders=odd)) == [
        "spec.externalProviders.safety[0].config.token"
    ]


@pytest.mark.parametrize("image", ["a", "localhost:5000/a", f"a/b:1@sha256:{'0' * 64}"])
def test_short_image_references_are_fine(image: str) -> None:
    assert found("0.7", safety=[provider(image=image)]) == {}


# --- the server's container -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["merge-config", "preflight", "install-provider-one"])
def test_server_cannot_have_the_name_of_a_container_that_installs(name: str) -> None:
    workload = {"overrides": {"containerName": name}}

    said = errors(externalProviders={"inference": [provider("one")]}, workload=workload)

    assert list(said) == ["spec.workload.overrides.containerName"]
    assert name in said["spec.workload.overrides.containerName"]
    assert warnings(workload=workload, disabled=["eval"]) == {}


def test_server_may_have_the_name_of_a_provider_that_is_not_there() -> None:
    workload = {"overrides": {"containerName": "install-provider-other"}}

    assert warnings(externalProviders={"inference": [provider()]}, workload=workload) == {}


# --- the distribution's own providers -------------------------------------------------------------


def test_replacing_a_provider_of_the_distribution_is_worth_a_warning() -> None:
    said = warnings(externalProviders={"vectorIo": [provider("new"), provider("faiss")]})

    assert list(said) == ["spec.externalProviders.vectorIo[1].providerId"]
    assert said["spec.externalProviders.vectorIo[1].providerId"].startswith(
        "Provider ID 'faiss' defined in both base config and externalProviders. "
        "Using external provider (image: registry.example/faiss:1)"
    )


def test_provider_that_the_base_has_only_under_a_condition_is_replaced_by_its_name() -> None:
    said = warnings(externalProviders={"inference": [provider("ollama")]})

    assert list(said) == ["spec.externalProviders.inference[0].providerId"]


def test_one_id_in_two_apis_is_two_providers() -> None:
    assert warnings(externalProviders={"safety": [provider("faiss")]}) == {}


def test_api_whose_providers_the_spec_replaces_has_none_of_the_distribution_left() -> None:
    # That the spec itself has the id twice is a warning of another place.
    said = warnings(
        providers={"vectorIo": {"provider": "inline::faiss", "id": "faiss"}},
        externalProviders={"vectorIo": [provider("faiss")]},
    )

    assert said == {}


# --- what makes a config --------------------------------------------------------------------------


def test_external_providers_alone_make_a_config_to_merge_into() -> None:
    assert generate(externalProviders={"inference": [provider()]}).source == "generated"
    assert generate(externalProviders={"inference": []}).source == "default"


def test_image_of_which_no_config_is_known_is_refused() -> None:
    error = refused(
        distribution={"image": "example.com/i:1"}, externalProviders={"inference": [provider()]}
    )

    assert error.reason is Reason.BASE_CONFIG_REQUIRED
