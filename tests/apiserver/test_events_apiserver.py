# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Events on a real API server, with no more rights than the operator's Role gives them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hack.cluster.audit import counts
from hack.cluster.plane import ControlPlane
from llamastack_operator.events.correlator import COMBINED
from llamastack_operator.events.recorder import Recorder
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client

pytestmark = pytest.mark.apiserver


class Outcomes(Counter[str]):
    def event(self, outcome: str) -> None:
        self[outcome] += 1


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def user(control_plane: ControlPlane, namespace: str) -> str:
    """Somebody who may create and patch Events everywhere, and nothing else."""
    name = f"recorder-{namespace}"
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}
    control_plane.client.create(
        f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": [rule]}
    )
    control_plane.client.create(
        f"{rbac}/clusterrolebindings",
        {
            "metadata": {"name": name},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": name,
            },
            "subjects": [{"kind": "User", "name": name}],
        },
    )
    return name


@pytest.fixture
async def recorder(
    control_plane: ControlPlane, user: str, outcomes: Outcomes
) -> AsyncIterator[Recorder]:
    connection = await connect(Source(str(control_plane.kubeconfig_for(user))))
    async with Client(connection, user_agent="test") as client:
        made = Recorder(
            client, controller="llamastack-operator", instance="pod-0", metrics=outcomes
        )
        task = asyncio.create_task(made.run(), name="recorder")
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pod(namespace: str, name: str = "web") -> dict[str, Any]:
    metadata = {"name": name, "uid": f"u-{name}"}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": "v1", "kind": "Pod" if namespace else "Node", "metadata": metadata}


def events(control_plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    items: list[dict[str, Any]] = control_plane.client.get(path)["items"]
    return items


def report(recorder: Recorder, regarding: dict[str, Any], note: str = "It is up") -> None:
    recorder.event(regarding, type="Warning", reason="Up", action="Start", note=note)


async def test_equal_events_are_one_whose_series_grows(
    recorder: Recorder, control_plane: ControlPlane, namespace: str
) -> None:
    for _ in range(3):
        report(recorder, pod(namespace))
        assert await recorder.flush(5)

    (event,) = events(control_plane, namespace)
    assert event["series"]["count"] == 3
    assert event["eventTime"] < event["series"]["lastObservedTime"]
    assert (event["type"], event["reason"], event["action"], event["note"]) == (
        "Warning",
        "Up",
        "Start",
        "It is up",
    )
    assert event["regarding"]["uid"] == "u-web"
    assert (event["reportingController"], event["reportingInstance"]) == (
        "llamastack-operator",
        "pod-0",
    )
    assert "It is up" in control_plane.kubectl("get", "events", "-n", namespace)


async def test_event_that_is_gone_is_created_again(
    recorder: Recorder, control_plane: ControlPlane, namespace: str
) -> None:
    report(recorder, pod(namespace))
    await recorder.flush(5)
    (event,) = events(control_plane, namespace)
    control_plane.client.delete(
        f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/{event['metadata']['name']}"
    )
    report(recorder, pod(namespace))
    await recorder.flush(5)

    (again,) = events(control_plane, namespace)
    assert again["metadata"]["uid"] != event["metadata"]["uid"]
    assert "series" not in again or again["series"] is None


async def test_many_similar_events_end_in_one_combined(
    recorder: Recorder, control_plane: ControlPlane, namespace: str
) -> None:
    for number in range(14):
        report(recorder, pod(namespace), f"Attempt {number} failed")
        await recorder.flush(5)

    stored = {event["note"]: event for event in events(control_plane, namespace)}
    combined = [note for note in stored if note.startswith(COMBINED)]
    assert combined == [f"{COMBINED}Attempt 10 failed"]
    assert len(stored) == 11
    assert stored[combined[0]]["series"]["count"] == 4


async def test_whatever_is_reported_fits(
    recorder: Recorder, control_plane: ControlPlane, namespace: str, outcomes: Outcomes
) -> None:
    for name in ("x" * 253, "web.0"):
        recorder.event(
            pod(namespace, name),
            type="Normal",
            reason="not an identifier " * 20,
            action="",
            note="ä" * 3000,
        )
    assert await recorder.flush(5)

    assert outcomes == {"sent": 2}
    assert len(events(control_plane, namespace)) == 2


async def test_cluster_scoped_object_reports_in_default(
    recorder: Recorder, control_plane: ControlPlane, namespace: str
) -> None:
    report(recorder, pod("", f"node-{namespace}"))
    assert await recorder.flush(5)

    found = [
        event
        for event in events(control_plane, "default")
        if event["regarding"]["name"] == f"node-{namespace}"
    ]
    assert len(found) == 1


async def test_namespace_that_does_not_exist_is_given_up_at_once(
    recorder: Recorder, outcomes: Outcomes
) -> None:
    report(recorder, pod("no-such-namespace"))

    assert await recorder.flush(2)
    assert outcomes == {"failed": 1}


async def test_new_events_cost_one_request_each(
    recorder: Recorder, control_plane: ControlPlane, namespace: str, user: str
) -> None:
    mark = await asyncio.to_thread(control_plane.audit.mark)
    for number in range(100):
        report(recorder, pod(namespace, f"web-{number}"))
    assert await recorder.flush(10)
    requests = [r for r in control_plane.audit.since(mark) if r.user == user]

    assert counts(requests) == {("create", "events"): 100}
    assert {request.code for request in requests} == {201}
