# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What users are told: one answer a condition, and the truth about what runs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from api.conditions import condition
from api.errors import FieldError
from api.v1alpha2 import parse
from api.v1alpha2.reasons import ConfigSource, Phase, Reason
from configs.engine import Generated
from controller.llamastack.objects.pods import TROUBLE
from controller.llamastack.objects.problem import Problem
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.status.claim import Volume
from controller.llamastack.status.compute import compute
from controller.llamastack.status.facts import Facts
from tests.support.apicase import with_workload
from tests.support.claims import claim

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T01:00:00Z"

GENERATED = Generated(
    "config",
    "f" * 64,
    "image:1",
    "generated",
    provider_count=1,
    resource_count=2,
    config_version=2,
    models=("vllm/m",),
    base_source=ConfigSource.EMBEDDED,
)
RESOLVED = Resolution(Reason.SECRETS_RESOLVED, (), "h")
MISSING = Resolution(Reason.SECRET_NOT_FOUND, (FieldError("spec.x", "no Secret"),), "h")


def deployment(available: int = 1) -> dict[str, Any]:
    answer = "True" if available else "False"
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": 1},
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": available,
            "conditions": [{"type": "Available", "status": answer}],
        },
    }


def cr(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    meta = {"name": "demo", "namespace": "n", "uid": "u", "generation": 3, **metadata}
    return {"metadata": meta, "status": status or {}}


READY = Facts(
    cr=cr(),
    now=NOW,
    generated=GENERATED,
    resolution=RESOLVED,
    deployment=deployment(),
    config_map_name="demo-config-1",
    service_url="http://x",
)


def ready_of(status: dict[str, Any]) -> Mapping[str, Any]:
    return condition({"status": status}, "Ready")


def test_everything_in_place_is_ready() -> None:
    status = compute(READY)

    assert status["phase"] == Phase.READY
    assert {c["status"] for c in status["conditions"]} == {"True"}
    assert {c["observedGeneration"] for c in status["conditions"]} == {3}
    assert status["configGeneration"]["generatedAt"] == NOW
    assert status["serviceURL"] == "http://x"
    assert status["resolvedDistribution"]["configSource"] == "embedded"


OTHER_PORT = 'Service "demo-service" does not lead to the server: it differs in spec.ports[0]'


def test_pods_that_the_service_does_not_lead_to_are_not_available() -> None:
    status = compute(replace(READY, service_problem=OTHER_PORT))

    for kind in ("ServiceReady", "Available", "HealthCheck", "Ready"):
        told = condition({"status": status}, kind)
        assert (told["status"], told["reason"]) == ("False", Reason.SERVICE_NOT_READY), kind
        assert told["message"] == OTHER_PORT
    assert condition({"status": status}, "DeploymentReady")["status"] == "True"
    assert status["phase"] == Phase.INITIALIZING
    assert status["serviceURL"] == "http://x"


def test_second_look_at_the_same_world_is_the_same_status() -> None:
    first = compute(READY)

    second = compute(replace(READY, cr=cr(first), now=LATER))

    assert second == first


def test_transition_time_moves_with_the_answer_only() -> None:
    first = compute(READY)
    worse = compute(replace(READY, cr=cr(first), now=LATER, deployment=deployment(0)))

    assert ready_of(worse)["lastTransitionTime"] == LATER
    generated = condition({"status": worse}, "ConfigGenerated")
    assert generated["lastTransitionTime"] == NOW


def test_new_configuration_gets_a_new_time() -> None:
    first = compute(READY)
    other = compute(replace(READY, cr=cr(first), now=LATER, config_map_name="demo-config-2"))

    assert other["configGeneration"]["generatedAt"] == LATER


def test_input_is_left_alone() -> None:
    first = compute(READY)
    facts = replace(READY, cr=cr(first), deployment=deployment(0), now=LATER)
    before = copy.deepcopy(facts.cr)

    compute(facts)

    assert facts.cr == before


def test_pods_that_start_are_no_failure() -> None:
    status = compute(replace(READY, deployment=deployment(0)))

    assert status["phase"] == Phase.INITIALIZING
    assert ready_of(status)["reason"] == Reason.PROGRESSING


def test_failed_configuration_keeps_what_runs_available_and_says_why() -> None:
    first = compute(READY)
    problem = Problem(Reason.CONFIG_GENERATION_FAILED, "spec.providers.x: wrong")
    facts = Facts(cr=cr(first), now=LATER, config_problem=problem, deployment=deployment())

    status = compute(facts)

    assert status["phase"] == Phase.FAILED
    assert ready_of(status)["reason"] == Reason.CONFIG_GENERATION_FAILED
    assert ready_of(status)["message"] == "spec.providers.x: wrong"
    assert condition({"status": status}, "Available")["status"] == "True"
    updated = condition({"status": status}, "DeploymentUpdated")
    assert updated["message"] == "No configuration: what runs was left as it is"
    assert status["configGeneration"] == first["configGeneration"], "it is still what runs"
    assert status["serviceURL"] == "http://x"


def test_conditions_nobody_looked_at_are_unknown_on_the_first_visit() -> None:
    problem = Problem(Reason.VALIDATION_FAILED, "spec.x: wrong")

    status = compute(Facts(cr=cr(), now=NOW, config_problem=problem))

    assert condition({"status": status}, "SecretsResolved")["status"] == "Unknown"
    assert len(status["conditions"]) == 8


def test_missing_secret_is_the_reason_of_ready() -> None:
    facts = replace(READY, resolution=MISSING, deployment=None, service_url="")

    status = compute(facts)

    assert ready_of(status)["reason"] == Reason.SECRET_NOT_FOUND
    assert status["phase"] == Phase.FAILED
    assert "serviceURL" not in status


@pytest.mark.parametrize(
    ("permanent", "phase"), [(True, Phase.FAILED), (False, Phase.INITIALIZING)]
)
def test_write_that_failed_is_not_ready_and_only_lasting_ones_are_failures(
    permanent: bool, phase: Phase
) -> None:
    problem = Problem(Reason.RECONCILE_FAILED, "quota", permanent=permanent)

    status = compute(replace(READY, update_problem=problem))

    assert ready_of(status)["status"] == "False"
    assert ready_of(status)["message"] == "quota"
    assert status["phase"] == phase


def test_deletion_is_shown() -> None:
    facts = replace(READY, cr=cr(deletionTimestamp=NOW), generated=None, resolution=None)

    status = compute(facts)

    assert status["phase"] == Phase.TERMINATING
    assert ready_of(status)["reason"] == Reason.DELETING


def test_counts_are_spoken_correctly() -> None:
    message = condition({"status": compute(READY)}, "ConfigGenerated")["message"]

    assert message == "Generated config.yaml with 1 provider and 2 resources"


def test_status_follows_the_source_of_the_configuration() -> None:
    default = Generated(None, "", "image:1", "default")

    status = compute(replace(READY, generated=default, config_map_name=""))

    assert condition({"status": status}, "ConfigGenerated")["reason"] == "DistributionDefault"
    assert status["resolvedDistribution"] == {"image": "image:1", "configSource": "default"}
    assert "configGeneration" not in status


def test_trouble_of_a_pod_is_the_reason_of_ready_and_a_failure() -> None:
    trouble = {"reason": "CrashLoop", "message": "container c ends: BoomError: x"}
    pod = {"metadata": {"name": "p"}, "trouble": trouble}

    status = compute(replace(READY, deployment=deployment(0), pods=(pod,)))

    for kind in ("Ready", "DeploymentReady"):
        answer = condition({"status": status}, kind)
        assert (answer["status"], answer["reason"]) == ("False", Reason.CRASH_LOOP)
        assert "BoomError: x" in answer["message"]
    assert status["phase"] == Phase.FAILED
    assert condition({"status": status}, "HealthCheck")["reason"] == Reason.HEALTH_CHECK_FAILED


def test_health_claims_no_more_than_the_probe_tells() -> None:
    starting = compute(replace(READY, deployment=deployment(0)))

    assert condition({"status": starting}, "HealthCheck")["status"] == "Unknown"
    passed = condition({"status": compute(READY)}, "HealthCheck")
    assert passed["status"] == "True"
    assert "do not tell whether their providers work" in passed["message"]


def test_service_stays_ready_while_another_child_has_a_problem() -> None:
    first = compute(READY)
    problem = Problem(Reason.RECONCILE_FAILED, "quota")

    status = compute(replace(READY, cr=cr(first), update_problem=problem, service_url=""))

    assert condition({"status": status}, "ServiceReady")["status"] == "True"


def test_scaled_to_zero_is_ready() -> None:
    none: dict[str, Any] = {
        "metadata": {"generation": 1},
        "spec": {"replicas": 0},
        "status": {
            "observedGeneration": 1,
            "conditions": [{"type": "Available", "status": "True"}],
        },
    }

    status = compute(replace(READY, deployment=none))

    assert ready_of(status)["status"] == "True"
    assert condition({"status": status}, "DeploymentReady")["reason"] == Reason.SCALED_TO_ZERO


# --- storage -------------------------------------------------------------------------------------


def stored(live: dict[str, Any] | None = None, failure: str = "", **storage: Any) -> Facts:
    asked = parse(with_workload(storage=storage)).spec.workload.storage
    return replace(READY, volume=Volume(asked, live, failure))


def told(facts: Facts) -> tuple[str, str, str]:
    """Phase, and the reasons of Ready and of StorageReady."""
    status = compute(facts)
    storage = condition({"status": status}, "StorageReady")
    return status["phase"], ready_of(status)["reason"], storage.get("reason", "")


def test_resource_without_a_volume_says_nothing_of_one() -> None:
    before = compute(stored(claim()))
    assert condition({"status": before}, "StorageReady")["status"] == "True"

    after = compute(replace(READY, cr=cr(before), volume=Volume(None, claim())))

    assert condition({"status": after}, "StorageReady") == {}
    assert ready_of(after)["status"] == "True"


def test_spec_that_cannot_be_read_leaves_the_word_on_storage_as_it_was() -> None:
    before = compute(stored(claim()))
    problem = Problem(Reason.VALIDATION_FAILED, "spec.x: no")
    unread = replace(READY, volume=None, generated=None, config_problem=problem)

    after = compute(replace(unread, cr=cr(before)))

    found = [c for c in before["conditions"] if c["type"] == "StorageReady"]
    assert found == [c for c in after["conditions"] if c["type"] == "StorageReady"]
    assert condition({"status": compute(unread)}, "StorageReady") == {}


def test_volume_that_nobody_looked_at_is_unknown() -> None:
    assert condition({"status": compute(stored())}, "StorageReady")["status"] == "Unknown"


def test_ready_waits_for_the_volume_that_the_pods_wait_for() -> None:
    waiting = replace(stored(claim(phase="Pending")), deployment=deployment(0))

    assert told(waiting) == (Phase.INITIALIZING, "StoragePending", "StoragePending")


def test_pod_that_is_in_trouble_for_another_reason_comes_first() -> None:
    trouble = {"reason": "Unschedulable", "message": "not enough cpu"}
    pods = ({"metadata": {"name": "p"}, "trouble": trouble},)
    waiting = replace(stored(claim(phase="Pending")), deployment=deployment(0), pods=pods)

    assert told(waiting)[1:] == ("Unschedulable", "StoragePending")


def test_server_that_is_scaled_to_zero_needs_no_bound_volume() -> None:
    none = deployment(0)
    none["spec"]["replicas"] = 0
    none["status"] |= {"replicas": 0, "updatedReplicas": 0}

    told_ = told(replace(stored(claim(phase="Pending")), deployment=none))

    assert told_ == (Phase.READY, "AllReady", "StoragePending")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (stored(claim(phase="Lost")), "StorageFailed"),
        (stored(claim("20Gi"), size="10Gi"), "StorageChangeRefused"),
        (stored(claim(), "class", size="20Gi"), "StorageChangeRefused"),
    ],
)
def test_broken_volume_is_a_failure_even_while_pods_serve(facts: Facts, reason: str) -> None:
    assert told(facts) == (Phase.FAILED, reason, reason)


def test_growing_volume_keeps_a_server_from_being_called_ready() -> None:
    growing = stored(claim("20Gi", capacity="10Gi"), size="20Gi")

    assert told(growing) == (Phase.INITIALIZING, "StorageResizing", "StorageResizing")
    pods = replace(growing, deployment=deployment(0))
    assert told(pods)[1] == "Progressing", "what keeps the server from serving comes first"


@pytest.mark.parametrize(
    ("phase", "message", "reason"),
    [
        ("Pending", "no volume", Reason.PROGRESSING),
        ("Bound", "pod has unbound immediate PersistentVolumeClaims", Reason.PROGRESSING),
        ("Bound", "no node can mount the volume", Reason.VOLUME_PENDING),
    ],
)
def test_pod_that_waits_for_a_claim_to_be_bound_is_no_trouble_of_the_deployment(
    phase: str, message: str, reason: str
) -> None:
    """Every first start has a second of it; it would be a Warning a resource."""
    trouble = {"reason": Reason.VOLUME_PENDING, "message": message}
    pod = {"metadata": {"name": "p"}, TROUBLE: trouble}
    facts = replace(stored(claim(phase=phase)), deployment=deployment(0), pods=(pod,))

    found = condition({"status": compute(facts)}, "DeploymentReady")

    assert found["reason"] == reason


def test_bound_volume_waits_for_the_pods_to_be_told_but_not_for_long() -> None:
    starting = replace(READY, deployment=deployment(0))
    asked = stored(claim()).volume
    first = compute(replace(stored(claim(phase="Pending")), deployment=deployment(0)))

    soon = compute(replace(starting, cr=cr(first), volume=asked))
    later = compute(replace(starting, cr=cr(first), volume=asked, now=LATER))
    done = compute(replace(READY, cr=cr(first), volume=asked))

    assert soon == first
    assert condition({"status": later}, "StorageReady")["status"] == "True"
    assert ready_of(later)["reason"] == "Progressing"
    assert condition({"status": done}, "StorageReady")["status"] == "True"
