# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the status says of external providers, and what their failures do to the rest of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from api.conditions import condition
from api.v1alpha2 import parse
from api.v1alpha2.reasons import ConfigSource, Phase, Reason
from configs.engine import Generated
from controller.llamastack.cache.observed import Observed
from controller.llamastack.objects.pods import TROUBLE, keep_trouble
from controller.llamastack.objects.problem import Problem
from controller.llamastack.planning.asked_installs import asked_installs
from controller.llamastack.planning.plan import Plan
from controller.llamastack.references.configuration import Configuration
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.server.status import OperatorFacts
from controller.llamastack.status import events
from controller.llamastack.status.compute import compute
from controller.llamastack.status.facts import Facts, facts_of, facts_of_deletion
from controller.llamastack.status.outcome import Outcome
from tests.support.installing import (
    DONE,
    INPUT,
    RUNNING,
    TWO,
    crash_loop,
    ended,
    pod,
    provider,
    waiting,
)
from tests.support.rendering import resource

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
ALL_DONE = {"one": DONE, "two": DONE, "merge-config": DONE, "preflight": DONE}
GENERATED = Generated("config", "f" * 64, "image:1", "generated", base_source=ConfigSource.EMBEDDED)
RESOLVED = Resolution(Reason.SECRETS_RESOLVED, (), "h")

Json = dict[str, Any]


def deployment(available: int, *, updated: int = 1, total: int = 1) -> Json:
    answer = "True" if available else "False"
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": 1},
        "status": {
            "observedGeneration": 1,
            "replicas": total,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "conditions": [{"type": "Available", "status": answer}],
        },
    }


def cr(external: Json | None = TWO, status: Json | None = None, **metadata: Any) -> Json:
    made = resource(**({} if external is None else {"externalProviders": external}))
    made["metadata"] |= {"generation": 3, **metadata}
    return {**made, "status": status or {}}


def facts(
    *pods: Json,
    external: Json | None = TWO,
    live: Json | None = None,
    status: Json | None = None,
    now: str = NOW,
    problem: Problem | None = None,
    refused: Problem | None = None,
) -> Facts:
    """As a reconcile puts them together that found these pods.

    Args:
        pods: of the resource.
        external: what the spec asks for.
        live: the Deployment.
        status: before.
        now: when.
        problem: why there is no configuration.
        refused: why the children are not written.
    """
    obj = cr(external, status)
    parsed = parse({k: v for k, v in obj.items() if k != "status"})
    kept = tuple(found for each in pods if (found := keep_trouble(each)) is not None)
    observed = Observed(
        obj,
        now,
        deployment=live,
        pods=tuple(each for each in kept if TROUBLE in each),
        installing=kept,
    )
    outcome = Outcome(live, problem=refused)
    if problem is None and refused is None:
        outcome = replace(outcome, config_map_name=INPUT, installs_name=INPUT if external else "")
    return facts_of(
        observed,
        Plan(cr=parsed, installs=asked_installs(obj, parsed)),
        RESOLVED,
        Configuration(None if problem else GENERATED, problem),
        outcome,
        operator_facts=OperatorFacts(),
    )


def said(status: Mapping[str, Any], kind: str = "ExternalProvidersReady") -> tuple[str, str]:
    found = condition({"status": status}, kind)
    return str(found.get("status", "")), str(found.get("reason", ""))


def phases(status: Mapping[str, Any]) -> list[str]:
    return [each["phase"] for each in status["externalProviders"]]


# --- the list and the condition -------------------------------------------------------------------


def test_providers_are_listed_with_a_condition_of_the_generation() -> None:
    status = compute(facts(pod(ALL_DONE), live=deployment(1)))

    assert status["externalProviders"][0] == {
        "providerId": "one",
        "image": "registry.example/one:1",
        "phase": "Ready",
        "message": "Provider installed successfully",
        "initContainerName": "install-provider-one",
        "lastTransitionTime": NOW,
    }
    assert [each["providerId"] for each in status["externalProviders"]] == ["one", "two"]
    found = condition({"status": status}, "ExternalProvidersReady")
    assert (found["status"], found["reason"]) == ("True", "AllProvidersReady")
    assert found["observedGeneration"] == 3
    assert said(status, "Ready")[0] == "True"
    assert status["phase"] == Phase.READY


def test_second_look_at_the_same_pods_is_the_same_status() -> None:
    first = compute(facts(pod({"one": ended(1, "x")}), live=deployment(0)))
    again = facts(pod({"one": ended(1, "x")}), live=deployment(0), status=first, now=LATER)

    assert compute(again) == first


def test_recovery_needs_no_edit() -> None:
    broken = compute(facts(pod({"one": crash_loop(1, "x")}), live=deployment(0)))
    fixed = compute(facts(pod(ALL_DONE), live=deployment(1), status=broken, now=LATER))

    assert (said(broken)[0], broken["phase"]) == ("False", Phase.FAILED)
    assert (said(fixed), fixed["phase"]) == (("True", "AllProvidersReady"), Phase.READY)
    assert [each["lastTransitionTime"] for each in fixed["externalProviders"]] == [LATER, LATER]


def test_pods_that_have_not_started_are_pending_at_once() -> None:
    status = compute(facts(live=deployment(0, updated=0, total=0)))

    assert phases(status) == ["Pending", "Pending"]
    assert said(status) == ("Unknown", "ProvidersPending")
    assert status["phase"] == Phase.INITIALIZING


def test_new_image_is_pending_until_a_pod_installs_it() -> None:
    other = pod({"one": DONE, "two": DONE}, source="demo-config-0")

    status = compute(facts(other, live=deployment(1)))

    assert phases(status) == ["Pending", "Pending"]


# --- removal, deletion, unreadable specs ----------------------------------------------------------


@pytest.mark.parametrize("external", [None, {}, {"inference": []}])
def test_list_and_condition_go_with_the_field(external: Json | None) -> None:
    before = compute(facts(pod(ALL_DONE), live=deployment(1)))
    status = compute(facts(external=external, live=deployment(1), status=before))

    assert "externalProviders" not in status
    assert said(status) == ("", "")
    assert not condition({"status": compute(facts(external=external))}, "ExternalProvidersReady")


def test_one_that_is_removed_goes_from_the_list() -> None:
    before = compute(facts(pod(ALL_DONE), live=deployment(1)))
    one = {"inference": [provider("one")]}
    status = compute(facts(pod({"one": DONE}), external=one, live=deployment(1), status=before))

    assert [each["providerId"] for each in status["externalProviders"]] == ["one"]


@pytest.mark.parametrize("spec", [5, {"externalProviders": 5}])
def test_spec_that_cannot_be_read_takes_no_provider_away_and_says_why_none_is_installed(
    spec: Any,
) -> None:
    before = compute(facts(pod(ALL_DONE), live=deployment(1)))
    obj = {**cr(status=before), "spec": spec}
    unreadable = Facts(
        cr=obj,
        now=LATER,
        config_problem=Problem("ValidationFailed", "m"),
        deployment=deployment(1),
        installs=asked_installs(obj, None),
    )

    status = compute(unreadable)

    assert status["externalProviders"] == before["externalProviders"]
    assert said(status) == ("False", "ValidationFailed")


def test_deletion_keeps_what_was_told() -> None:
    before = compute(facts(pod(ALL_DONE), live=deployment(1)))
    observed = Observed(cr(status=before, deletionTimestamp=LATER), LATER, deployment=deployment(1))

    status = compute(facts_of_deletion(observed, OperatorFacts()))

    assert status["externalProviders"] == before["externalProviders"]
    assert status["phase"] == Phase.TERMINATING


# --- problems before any pod ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [Reason.VALIDATION_FAILED, Reason.BASE_CONFIG_REQUIRED, Reason.CONFIG_GENERATION_FAILED],
)
def test_problem_of_the_configuration_is_the_conditions_and_leaves_what_runs(reason: str) -> None:
    before = compute(facts(pod(ALL_DONE), live=deployment(1)))
    problem = Problem(reason, "spec.x: m")
    status = compute(facts(live=deployment(1), status=before, problem=problem, now=LATER))

    found = condition({"status": status}, "ExternalProvidersReady")
    assert (found["status"], found["reason"], found["message"]) == ("False", reason, "spec.x: m")
    assert phases(status) == ["Ready", "Ready"]
    assert status["externalProviders"] == before["externalProviders"]
    assert said(status, "Available")[0] == "True"
    assert said(status, "Ready") == ("False", reason)


def test_write_that_failed_is_told_likewise() -> None:
    refused = Problem("DeploymentFailed", "refused")
    status = compute(facts(live=deployment(1), refused=refused))

    assert said(status) == ("False", "DeploymentFailed")
    assert phases(status) == ["Pending", "Pending"]


# --- what it does to the rest ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ({"one": crash_loop(1, "ERROR: x")}, "ProviderInstallFailed"),
        ({"one": waiting("ImagePullBackOff")}, "ProviderImagePullFailed"),
        ({**ALL_DONE, "merge-config": crash_loop(1, "ERROR: x")}, "ConfigMergeFailed"),
        ({**ALL_DONE, "preflight": crash_loop(1, "ERROR: x")}, "PreflightFailed"),
    ],
)
def test_new_pods_that_fail_are_told_while_the_old_ones_serve(states: Json, reason: str) -> None:
    live = deployment(1, updated=1, total=2)

    status = compute(facts(pod(states), live=live))

    assert status["phase"] == Phase.FAILED
    assert said(status) == ("False", reason)
    assert said(status, "DeploymentReady") == ("False", reason)
    assert said(status, "Ready") == ("False", reason)
    assert said(status, "Available") == ("True", "MinimumReplicasAvailable")
    assert said(status, "HealthCheck")[0] == "True"
    assert status["availableReplicas"] == 1
    told = events.between({}, status, deployment_changed=False)
    assert reason in [event.reason for event in told]


def test_installing_is_initializing_and_no_failure() -> None:
    status = compute(facts(pod({"one": RUNNING}), live=deployment(0)))

    assert said(status) == ("Unknown", "ProvidersInstalling")
    assert status["phase"] == Phase.INITIALIZING
    assert said(status, "DeploymentReady") == ("False", "Progressing")


def test_failure_is_told_by_one_event_however_often_it_is_looked_at() -> None:
    first = compute(facts(pod({"one": crash_loop(1, "a")}), live=deployment(0)))
    again = compute(facts(pod({"one": crash_loop(1, "a")}), live=deployment(0), status=first))

    told = events.between(first, again, deployment_changed=False)

    assert "ProviderInstallFailed" not in [event.reason for event in told]


# --- what must not be shown -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "merge-config", "preflight"])
def test_credential_in_a_termination_message_is_in_no_status_and_no_event(name: str) -> None:
    text = "ERROR: x\n\nProvider: one\npostgresql://u:XQZJKVWQ@db\ntoken=XQZJKVWQ"
    status = compute(facts(pod({**ALL_DONE, name: crash_loop(1, text)}), live=deployment(0)))
    told = events.between({}, status, deployment_changed=True)

    assert said(status)[0] == "False"
    assert "XQZJKVWQ" not in json.dumps(status)
    assert not any("XQZJKVWQ" in event.note for event in told)
