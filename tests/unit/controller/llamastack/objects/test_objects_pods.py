# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Why pods do not start: what is kept, what it means, what must not be shown."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.leaving import LEAVING
from controller.llamastack.objects.pods import TROUBLE, instance_index, keep_trouble, worst
from controller.llamastack.objects.redaction import MOST_SHOWN, redact, shown, without_torn_line
from controller.llamastack.objects.rollout import RolloutState, assess
from controller.llamastack.objects.termination import cause, hint

PYDANTIC = """Traceback (most recent call last):
  File "/app/server.py", line 1, in main
pydantic_core._pydantic_core.ValidationError: 1 validation error for VLLMConfig
api_token
  Input should be a valid string [type=string_type, input_value=314159, input_type=int]
    For further information visit https://errors.pydantic.dev/2.12/v/string_type
"""


def pod(state: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    container = {"name": "llama-stack", "image": "img:1", "ready": False, "state": state or {}}
    container |= more.pop("container", {})
    status = {"phase": "Pending", "containerStatuses": [container], **more}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "demo-abc-1",
            "namespace": "n",
            "uid": "u",
            "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app.kubernetes.io/instance": "demo", "pod-template-hash": "abc"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "demo-abc", "uid": "r"}],
        },
        "spec": {"containers": [{"name": "llama-stack", "env": [{"name": "A", "value": "1"}]}]},
        "status": status,
    }


def trouble(obj: dict[str, Any]) -> dict[str, str]:
    kept = keep_trouble(obj)
    assert kept is not None
    result: dict[str, str] = kept[TROUBLE]
    return result


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def crashed(message: str = "", **more: Any) -> dict[str, Any]:
    last = {"exitCode": 1, "reason": "Error", "message": message, **more}
    return pod(waiting("CrashLoopBackOff"), container={"lastState": {"terminated": last}})


@pytest.mark.parametrize(
    "state", [{}, {"running": {}}, waiting("ContainerCreating"), waiting("PodInitializing")]
)
def test_pod_that_starts_as_it_should_is_not_kept(state: dict[str, Any]) -> None:
    assert keep_trouble(pod(state)) is None


def test_pod_that_recovered_is_not_kept() -> None:
    ended = {"terminated": {"exitCode": 1}}

    assert keep_trouble(pod({"running": {}}, container={"ready": True, "lastState": ended})) is None


def test_pod_that_goes_is_kept_without_its_trouble() -> None:
    going = crashed("boom")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    going["spec"]["nodeName"] = "node-1"

    kept = keep_trouble(going)

    assert kept is not None
    assert TROUBLE not in kept
    assert kept[LEAVING] == {"due": "2026-01-01T00:00:00Z", "node": "node-1", "finalizers": []}
    assert "spec" not in kept
    assert keep_trouble(dict(kept)) == kept


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_pod_whose_containers_have_ended_is_waited_for_by_nobody(phase: str) -> None:
    going = pod(phase=phase)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert keep_trouble(going) is None


@pytest.mark.parametrize(
    ("obj", "reason", "words"),
    [
        (pod(waiting("ErrImagePull", "denied")), Reason.IMAGE_PULL_FAILED, "image img:1"),
        (pod(waiting("ImagePullBackOff")), Reason.IMAGE_PULL_FAILED, "imagePullSecrets"),
        (pod(waiting("InvalidImageName")), Reason.IMAGE_PULL_FAILED, "img:1"),
        (
            pod(waiting("CreateContainerConfigError", "couldn't find key token in Secret n/creds")),
            Reason.CONTAINER_CONFIG_ERROR,
            "find key token in Secret",
        ),
        (crashed(reason="OOMKilled", exitCode=137), Reason.OUT_OF_MEMORY, "limits.memory"),
        (crashed(PYDANTIC), Reason.CRASH_LOOP, "Input should be a valid string"),
        (crashed("ModuleNotFoundError: No module named 'faiss'"), Reason.CRASH_LOOP, "lacks"),
        (crashed(exitCode=3), Reason.CRASH_LOOP, "exit status 3"),
        (crashed(exitCode=137), Reason.CRASH_LOOP, "probes fail"),
        (
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "reason": "Unschedulable",
                        "message": "0/2 nodes are available: 2 Insufficient cpu.",
                    }
                ]
            ),
            Reason.UNSCHEDULABLE,
            "Insufficient cpu",
        ),
        (
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "reason": "Unschedulable",
                        "message": "pod has unbound immediate PersistentVolumeClaims",
                    }
                ]
            ),
            Reason.VOLUME_PENDING,
            "storage class",
        ),
        (pod(phase="Failed", message="Evicted"), Reason.DEPLOYMENT_FAILED, "Evicted"),
    ],
)
def test_trouble_has_a_reason_and_says_what_to_do(
    obj: dict[str, Any], reason: Reason, words: str
) -> None:
    found = trouble(obj)

    assert found["reason"] == reason
    assert words in found["message"]


def test_image_trouble_reads_the_same_while_the_kubelet_alternates() -> None:
    assert trouble(pod(waiting("ErrImagePull", "a"))) == trouble(
        pod(waiting("ImagePullBackOff", "b"))
    )


def test_crash_reads_the_same_while_the_container_runs_again() -> None:
    again = pod({"running": {}}, container=crashed("E: x")["status"]["containerStatuses"][0])
    again["status"]["containerStatuses"][0]["state"] = {"running": {}}

    assert trouble(again) == trouble(crashed("E: x"))


def test_only_the_trouble_is_kept_and_keeping_twice_changes_nothing() -> None:
    kept = keep_trouble(crashed("boom"))

    assert kept is not None
    assert set(kept) == {"apiVersion", "kind", "metadata", TROUBLE}
    assert keep_trouble(dict(kept)) == kept
    assert instance_index(kept) == ["n/demo"]


def test_pod_with_our_labels_that_somebody_else_made_is_nobodys() -> None:
    foreign = crashed("boom")
    foreign["metadata"]["ownerReferences"] = []

    kept = keep_trouble(foreign)

    assert kept is not None
    assert instance_index(kept) == []


def test_newest_pod_speaks() -> None:
    old, new = crashed("OldError: x"), crashed("NewError: y")
    new["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"

    found = worst([keep_trouble(new) or {}, keep_trouble(old) or {}])

    assert found is not None
    assert "NewError: y" in found["message"]


def test_validation_error_is_told_without_the_value() -> None:
    said = cause(PYDANTIC)

    assert "api_token Input should be a valid string" in said
    assert "314159" not in said
    assert "Traceback" not in said
    assert "further information" not in said
    assert "has a letter" in hint(PYDANTIC)


@pytest.mark.parametrize(
    "text",
    [
        "could not connect: postgresql://u:hunter2@db:5432/x",
        "could not connect: postgresql://u:hu/n@hunter2@db:5432/x",
        "Error 111 connecting to :hunter2@redis:6379",
        "input_value='hunter2', input_type=str",
        "input_value={'a': 'x, hunter2'}, input_type=dict",
        "Authorization: Bearer hunter2",
        "Incorrect API key provided: hunter2",
        "config {'api_key': 'hunter2', 'x': 1}",
        'config {"password": "hunter2 hunter2"}',
        "password=hunter2 host=db",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "key sk-hunter2hunter2 is invalid",
        "password=a,hunter2 host=db",
        'config {"password": "a\\"b hunter2"}',
        "Authorization: token hunter2",
        "headers [(b'x-api-key', b'a hunter2')]",
        "run --api-key hunter2",
        "GET https://llm.example?token=@hunter2 failed",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter2",
    ],
)
def test_credentials_are_cut(text: str) -> None:
    assert "hunter2" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "ModuleNotFoundError: No module named 'faiss'",
        "Environment variable 'LLSD_VLLM_TOKEN' not set or empty at providers.inference[0]",
        "0/2 nodes are available: 2 Insufficient cpu.",
        "couldn't find key token in Secret n/creds",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert redact(text) == text


def test_place_of_a_server_is_told_without_who_connects() -> None:
    assert redact("to postgresql://u:p@db:5432/x failed") == "to ***@db:5432/x failed"


def test_tail_of_a_log_is_read_from_its_second_line() -> None:
    tail = f"ETVALUE is bad\nBoomError: x\n{'x' * 2048}"

    assert without_torn_line(tail).startswith("BoomError: x\n")
    assert without_torn_line("SECR" + "x" * 2048) == ""
    assert without_torn_line(f"r ETVALUE rest of it {'x' * 2048}").startswith("rest of it")
    ours = f"ERROR: x\n{'x' * 2048}"
    assert without_torn_line(ours) == ours
    assert without_torn_line("short\ntext") == "short\ntext"


def test_long_text_is_cut() -> None:
    assert len(shown("x " * 5000)) == MOST_SHOWN


def test_silent_end_has_no_cause() -> None:
    assert cause("\n \n") == ""
    assert cause("one\ntwo") == "two"


def deployment(available: int = 0, *conditions: dict[str, str]) -> dict[str, Any]:
    status = {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": available,
        "conditions": list(conditions),
    }
    return {"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": status}


def test_rollout_tells_the_reason_of_its_pods() -> None:
    rollout = assess(deployment(), [keep_trouble(crashed("BoomError: x")) or {}])

    assert rollout.state is RolloutState.STUCK
    assert rollout.reason == Reason.CRASH_LOOP
    assert rollout.message.startswith("0 of 1 replicas are available; container llama-stack ends")


def test_what_may_pass_by_itself_is_no_failure() -> None:
    message = {"type": "PodScheduled", "reason": "Unschedulable", "message": "0/1 nodes"}
    waits = keep_trouble(pod(conditions=[message]))

    rollout = assess(deployment(), [waits or {}])

    assert rollout.state is RolloutState.PROGRESSING
    assert rollout.reason == Reason.UNSCHEDULABLE


def test_exceeded_deadline_names_the_reason_of_the_pods() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}

    rollout = assess(deployment(0, late), [keep_trouble(crashed("BoomError: x")) or {}])

    assert rollout.reason == Reason.PROGRESS_DEADLINE_EXCEEDED
    assert "BoomError: x" in rollout.message


def test_trouble_of_an_old_pod_does_not_spoil_a_complete_rollout() -> None:
    assert (
        assess(deployment(1), [keep_trouble(crashed("E: x")) or {}]).state is RolloutState.COMPLETE
    )


HOSTILE = (
    "key",
    "a.",
    "a://",
    "a:@",
    " :'",
    "::@",
    "api key",
    "bearer ",
    "key ",
    "x@",
    "input_value=",
    "a://?",
    "key='",
    "('key',",
    "--key ",
    "-----BEGIN PRIVATE KEY-----",
    "authorization:",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("end", ["", "@", "=", "!"])
def test_no_text_takes_long_to_redact(text: str, end: str) -> None:
    """It comes from whoever runs the container, and is read on the event loop."""
    message = (text * 4096)[:4000] + end
    begun = time.process_time()

    said = shown(message * 100)

    assert time.process_time() - begun < 0.5  # some patterns once took minutes
    assert len(said) <= MOST_SHOWN
