# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Real servers, run by the operator in the cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from api.conditions import condition, is_current
from hack.cluster.node.pods import Namespace, wait_for
from hack.images import server
from tests.support.asking import Asking
from tests.support.incluster import InCluster
from tests.support.samples import BY_NAME
from tests.support.world import World, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def _apply(world: World, *documents: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    words = ("apply", "--server-side", "-n", world.namespace, "-f", "-")
    world.plane.kubectl(*words, stdin=json.dumps(listed))


def test_the_simple_sample_becomes_ready_and_its_server_answers(
    world: World, restricted: Namespace
) -> None:
    sample, mark = BY_NAME["simple"], world.plane.audit.mark()

    _apply(world, *sample.documents)

    status = world.wait_ready("simple", deadline_s=180)["status"]
    providers = wait_for(
        "providers", lambda: restricted.ask_json("simple-service", 8321, "/v1/providers")["data"]
    )
    models = restricted.ask_json("simple-service", 8321, "/v1/models")["data"]
    assert status["phase"] == "Ready"
    assert len(providers) == status["configGeneration"]["providerCount"]
    assert ("inference", "vllm", "remote::vllm") in [
        (p["api"], p["provider_id"], p["provider_type"]) for p in providers
    ]
    assert sample.announced_models <= {model["id"] for model in models}
    said = eventually("the status tells what the server said", lambda: _told(world, "simple"), 60)
    assert said["version"]["llamaStackServerVersion"] == server.RELEASE.version
    listed = said["distributionConfig"]["providers"]
    assert _named(listed) == _named(providers)
    requests = [r for r in world.requests_since(mark) if r.namespace == world.namespace]
    told = [f"{r.received} {r.verb} {r.resource}/{r.subresource}" for r in requests]
    asked_by_webhook = 1  # whether the Secret has the key
    assert len(requests) <= CHILDREN + 5 + asked_by_webhook, "\n".join(told)


def test_services_of_the_namespace_are_no_variables_of_the_server(
    world: World, restricted: Namespace
) -> None:
    for name in ("postgres", "llama-stack"):
        spec = {"ports": [{"port": 5432}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        world.create("service", service)
    world.secret()
    world.resource("demo", "one", workload=_SMALL)
    world.wait_ready(deadline_s=180)

    (pod,) = _pods(restricted)
    words = ("exec", "-n", world.namespace, pod["metadata"]["name"], "--", "env")
    variables = world.plane.kubectl(*words).splitlines()

    assert "LLAMA_STACK_PORT=8321" in variables
    assert not [each for each in variables if "tcp://" in each and "KUBERNETES" not in each]


def _named(providers: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The server lists them in no order of its own."""
    return sorted((p["api"], p["provider_id"]) for p in providers)


def _told(world: World, name: str) -> dict[str, Any] | None:
    """The status, once the operator has asked the server."""
    status: dict[str, Any] = world.must_get("llsd", name)["status"]
    reported = "providers" in status.get("distributionConfig", {})
    return status if reported and "llamaStackServerVersion" in status.get("version", {}) else None


CHILDREN = 4  # ServiceAccount, Service, ConfigMap, Deployment
_SMALL = {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}
"""Two at a time have to fit on a machine with two processors."""

_PORT = 8321


def test_a_changed_config_rolls_without_a_failed_request(
    world: World, restricted: Namespace, server_image: str
) -> None:
    world.secret()
    world.resource("demo", "one", workload=_SMALL)
    world.wait_ready(deadline_s=180)
    (before,) = _pods(restricted)

    with Asking(restricted, server_image, "demo-service", _PORT, "/v1/providers") as client:
        world.patch("llsd", "demo", {"spec": {"resources": {"models": ["one", "two"]}}})
        world.wait_ready(deadline_s=180)
        wait_for("the old pod's end", lambda: _is_gone(restricted, before["metadata"]["name"]))
        count = client.count_after(2.0)

    models = restricted.ask_json("demo-service", _PORT, "/v1/models")["data"]
    assert {model["id"] for model in models} == {"vllm/one", "vllm/two"}
    assert (count.failed, count.said) == (0, ()), f"of {count.asked}"
    assert count.asked > 100


def _is_gone(namespace: Namespace, pod: str) -> bool:
    return not any(p["metadata"]["name"] == pod for p in namespace.pods())


def test_data_on_a_volume_outlives_a_roll(world: World, restricted: Namespace) -> None:
    _apply(world, *BY_NAME["sqlite"].documents)
    world.wait_ready("sqlite", deadline_s=180)
    sqlite = f"services/sqlite-service:{_PORT}"
    made = restricted.answer("POST", sqlite, "/v1/conversations", {"items": []})

    world.patch("llsd", "sqlite", {"spec": {"disabled": ["scoring"]}})
    world.wait_ready("sqlite", deadline_s=180)

    seen = restricted.answer("GET", sqlite, f"/v1/conversations/{made['id']}")
    listed = restricted.answer("GET", sqlite, "/v1/providers")["data"]
    apis = {provider["api"] for provider in listed}
    assert seen["id"] == made["id"]
    assert "scoring" not in apis


def test_a_config_that_the_server_refuses_leaves_the_old_pod_serving_and_says_why(
    world: World, restricted: Namespace, server_image: str
) -> None:
    world.secret()
    world.resource("demo", workload=_SMALL)
    world.wait_ready(deadline_s=180)
    (before,) = _pods(restricted)
    unknown = {"provider": "remote::nobody-knows", "endpoint": None, "apiKey": None}

    with Asking(restricted, server_image, "demo-service", _PORT, "/v1/providers") as client:
        world.patch("llsd", "demo", {"spec": {"providers": {"inference": unknown}}})
        answer = _wait_reason(world, "Ready", "CrashLoop")
        cr = world.must_get("llsd", "demo")
        count = client.count_after(2.0)

    assert "remote::nobody-knows" in answer["message"]
    assert "is not available for API" in answer["message"]
    assert (cr["status"]["phase"], cr["status"]["availableReplicas"]) == ("Failed", 1)
    assert condition(cr, "Available")["status"] == "True"
    assert (count.failed, count.said) == (0, ()), f"of {count.asked}"
    assert before["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in _pods(restricted)}


def test_a_config_that_cannot_be_generated_changes_nothing_and_its_repair_rolls(
    operator_in_cluster: InCluster, world: World, restricted: Namespace
) -> None:
    world.secret()
    world.resource("demo", "one", workload=_SMALL)
    world.wait_ready(deadline_s=180)
    before = world.all("replicaset")
    wrong = {"models": [{"name": "one", "provider": "nobody"}]}

    with operator_in_cluster.without_admission():  # it would be refused
        world.patch_patiently("llsd", "demo", {"spec": {"resources": wrong}})
    refused = world.wait_condition("ConfigGenerated", "False")
    served = restricted.ask_json("demo-service", _PORT, "/v1/models")["data"]
    after = world.all("replicaset")
    world.patch_patiently("llsd", "demo", {"spec": {"resources": {"models": ["two"]}}})
    world.wait_ready(deadline_s=180)

    assert "nobody" in refused["message"]
    assert [s["metadata"]["uid"] for s in after] == [s["metadata"]["uid"] for s in before]
    assert [model["id"] for model in served] == ["vllm/one"]
    models = restricted.ask_json("demo-service", _PORT, "/v1/models")["data"]
    assert "vllm/two" in {model["id"] for model in models}


def _pods(namespace: Namespace) -> list[dict[str, Any]]:
    return namespace.pods("app.kubernetes.io/instance=demo")


def _wait_reason(world: World, kind: str, reason: str) -> Mapping[str, Any]:
    """The condition of ``demo``, once it has the reason for the current generation."""

    def look() -> Mapping[str, Any] | None:
        cr = world.must_get("llsd", "demo")
        found = condition(cr, kind)
        return found if found.get("reason") == reason and is_current(cr, kind) else None

    return eventually(f"{kind} says {reason}", look, 90)
