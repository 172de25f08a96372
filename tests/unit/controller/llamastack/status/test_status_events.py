# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Events are for transitions, and one problem is one Warning."""

from __future__ import annotations

from typing import Any

from controller.llamastack.status.events import between


def status(config_map: str = "", **conditions: tuple[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "conditions": [
            {"type": kind, "status": answer, "message": message}
            for kind, (answer, message) in conditions.items()
        ]
    }
    if config_map:
        result["configGeneration"] = {"configMapName": config_map}
        result["resolvedDistribution"] = {"image": "img:1"}
    return result


def test_first_reconcile_reports_configuration_and_deployment() -> None:
    new = status("demo-config-1", ConfigGenerated=("True", "Generated"))

    events = between({}, new, deployment_changed=True)

    assert [(e.type, e.reason) for e in events] == [
        ("Normal", "ConfigGenerated"),
        ("Normal", "DeploymentUpdated"),
    ]
    assert events[1].note == "Updated the Deployment: image img:1, configuration demo-config-1"


def test_unchanged_status_reports_nothing() -> None:
    same = status("c", ConfigGenerated=("True", "x"), Ready=("True", "y"))

    assert between(same, same, deployment_changed=False) == []


def test_failure_is_reported_once_and_again_when_its_text_changes() -> None:
    failed = status(ConfigGenerated=("False", "bad a"), DeploymentUpdated=("False", "left"))
    other = status(ConfigGenerated=("False", "bad b"), DeploymentUpdated=("False", "left"))

    assert [e.note for e in between({}, failed, deployment_changed=False)] == ["bad a"]
    assert between(failed, failed, deployment_changed=False) == []
    assert [e.note for e in between(failed, other, deployment_changed=False)] == ["bad b"]


def test_missing_secret_is_one_warning() -> None:
    new = status(
        ConfigGenerated=("True", "x"),
        SecretsResolved=("False", "no secret"),
        DeploymentUpdated=("False", "left"),
    )

    events = between({}, new, deployment_changed=False)

    assert [(e.type, e.reason, e.note) for e in events] == [
        ("Warning", "SecretResolutionFailed", "no secret")
    ]


def test_refused_write_is_a_warning_of_its_own() -> None:
    new = status(
        ConfigGenerated=("True", "x"),
        SecretsResolved=("True", "x"),
        DeploymentUpdated=("False", "forbidden"),
    )

    events = between({}, new, deployment_changed=False)

    assert [e.reason for e in events] == ["DeploymentUpdateFailed"]


def test_recovery_is_no_warning() -> None:
    before = status(SecretsResolved=("False", "no secret"))
    after = status(SecretsResolved=("True", "fine"))

    assert between(before, after, deployment_changed=False) == []


def test_new_registry_is_a_warning_when_it_is_written() -> None:
    same = status("demo-config-1")
    names = ("model vllm/m", "x" * 2000, *"abcdef")

    written = between(same, same, deployment_changed=True, registry_reset=names)

    assert [e.reason for e in written] == ["DeploymentUpdated", "RegistryReset"]
    warning = written[1]
    assert warning.type == "Warning"
    assert "model vllm/m, xxx" in warning.note
    assert "a, b, c and 3 more" in warning.note
    assert "vector stores" in warning.note
    assert len(warning.note.encode()) < 1024
    assert between(same, same, deployment_changed=False, registry_reset=names) == []


def in_trouble(reason: str, message: str) -> dict[str, Any]:
    answer = {"type": "DeploymentReady", "status": "False", "reason": reason, "message": message}
    return {"conditions": [answer]}


def test_trouble_of_pods_is_a_warning_once() -> None:
    crash = in_trouble("CrashLoop", "0 of 2 replicas: boom")
    same = in_trouble("CrashLoop", "1 of 2 replicas: boom")

    first = between(status(), crash, deployment_changed=False)

    assert [(e.type, e.reason, e.note) for e in first] == [
        ("Warning", "CrashLoop", "0 of 2 replicas: boom")
    ]
    assert between(crash, same, deployment_changed=False) == []


def test_pods_that_start_are_no_event() -> None:
    assert between({}, in_trouble("Progressing", "0 of 1"), deployment_changed=False) == []


def storage(reason: str, message: str, answer: str = "False") -> dict[str, Any]:
    found = {"type": "StorageReady", "status": answer, "reason": reason, "message": message}
    return {"conditions": [found]}


def test_volume_that_needs_a_person_is_a_warning_once_a_text() -> None:
    refused = storage("StorageChangeRefused", "size")

    (event,) = between(storage("StorageReady", "bound", "True"), refused, deployment_changed=False)
    again = between(refused, refused, deployment_changed=False)
    other = between(refused, storage("StorageFailed", "lost"), deployment_changed=False)

    assert (event.type, event.reason, event.note) == ("Warning", "StorageChangeRefused", "size")
    assert again == []
    assert [e.note for e in other] == ["lost"]


def test_volume_that_is_on_its_way_is_no_event() -> None:
    for reason in ("StoragePending", "StorageResizing"):
        assert between({}, storage(reason, "wait"), deployment_changed=False) == []


def test_claim_that_cannot_be_made_is_one_warning() -> None:
    new = storage("StorageFailed", "quota")
    new["conditions"].append(
        {"type": "DeploymentUpdated", "status": "False", "reason": "x", "message": "quota"}
    )

    assert [e.reason for e in between({}, new, deployment_changed=False)] == ["StorageFailed"]
