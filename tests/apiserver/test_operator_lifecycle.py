# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The life of one resource, by the real operator on a real control plane."""

from __future__ import annotations

import collections
import json
from typing import Any

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import COLLECTED_S, SECRET_VALUE, World, eventually

pytestmark = pytest.mark.apiserver

CHILDREN = 4  # ServiceAccount, ConfigMap, Service, Deployment


@pytest.fixture
def world(operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    return World(kwok_plane, kwok_namespace)


def deployment_generation(world: World) -> int:
    generation: int = world.must_get("deployment", "demo")["metadata"]["generation"]
    return generation


def test_resource_becomes_ready_with_few_requests_and_says_what_it_is(world: World) -> None:
    world.secret()
    mark = world.plane.audit.mark()
    world.resource()

    cr = world.wait_ready()

    status = cr["status"]
    assert status["phase"] == "Ready"
    assert status["observedGeneration"] == cr["metadata"]["generation"]
    assert status["availableReplicas"] == 1
    assert status["serviceURL"] == f"http://demo-service.{world.namespace}.svc.cluster.local:8321"
    assert status["configGeneration"]["models"] == ["vllm/llama"]
    assert status["configGeneration"]["configMapName"] == world.config_maps()[0]
    assert status["resolvedDistribution"]["configSource"] == "embedded"
    types = {c["type"] for c in status["conditions"] if c["status"] == "True"}
    assert types == {
        "ConfigGenerated",
        "SecretsResolved",
        "DeploymentUpdated",
        "Available",
        "DeploymentReady",
        "HealthCheck",
        "ServiceReady",
        "Ready",
    }
    eventually("both Events", lambda: len(world.events()) == 2)
    # Several senders post Events side by side: their order is not promised.
    assert set(world.events()) == {("Normal", "ConfigGenerated"), ("Normal", "DeploymentUpdated")}
    requests = [r for r in world.requests_since(mark) if r.namespace == world.namespace]
    assert len(requests) <= CHILDREN + 5, collections.Counter(
        (r.verb, r.resource, r.subresource) for r in requests
    )


def test_another_reconcile_over_an_unchanged_world_writes_nothing(
    world: World, operator: OperatorProcess
) -> None:
    world.secret()
    world.resource()
    world.wait_ready()
    eventually("both Events", lambda: len(world.events()) == 2)
    before = reconciles(operator, world)
    mark = world.plane.audit.mark()

    world.patch("llsd", "demo", {"metadata": {"annotations": {"touched": "yes"}}})
    world.patch("service", "demo-service", {"metadata": {"annotations": {"touched": "yes"}}})

    eventually("another reconcile", lambda: reconciles(operator, world) > before)
    assert world.writes_since(mark) == []


def reconciles(operator: OperatorProcess, world: World, name: str = "") -> int:
    """Reconciles over one or all resources of this namespace that the operator has finished."""
    return sum(
        record.get("event") == "Reconciled"
        and record.get("namespace") == world.namespace
        and name in {"", record.get("name")}
        for record in operator.records()
    )


def test_deleted_child_comes_back(world: World) -> None:
    world.secret()
    world.resource()
    world.wait_ready()
    before = world.must_get("service", "demo-service")["metadata"]["uid"]

    world.delete("service", "demo-service")

    def recreated() -> bool:
        found = world.get("service", "demo-service")
        return found is not None and found["metadata"]["uid"] != before

    eventually("the Service is back", recreated)


def test_drift_of_a_child_is_put_right(world: World) -> None:
    world.secret()
    world.resource()
    world.wait_ready()

    world.patch("deployment", "demo", {"spec": {"replicas": 3}})

    eventually(
        "replicas are what the spec says",
        lambda: world.must_get("deployment", "demo")["spec"]["replicas"] == 1,
    )


def test_edit_rolls_to_a_new_configuration_and_the_one_before_last_goes(world: World) -> None:
    world.secret()
    world.resource("demo", "m1")
    world.wait_ready()

    current = ""
    for number, model in enumerate(("m2", "m3", "m4"), start=2):
        world.patch("llsd", "demo", {"spec": {"resources": {"models": [model]}}})
        cr = world.wait_ready()
        current = cr["status"]["configGeneration"]["configMapName"]
        assert cr["status"]["configGeneration"]["models"] == [f"vllm/{model}"]
        assert mounted(world) == current
        assert len(set(world.config_maps())) <= number

    eventually("only two are kept", lambda: len(world.config_maps()) == 2)
    assert current in world.config_maps()


def mounted(world: World) -> str:
    spec = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    return next(str(v["configMap"]["name"]) for v in spec["volumes"] if "configMap" in v)


def test_removed_field_really_goes_from_the_deployment(world: World) -> None:
    world.secret()
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    world.resource(workload={"overrides": {"env": env, "args": ["x"]}})
    world.wait_ready()

    world.patch(
        "llsd", "demo", {"spec": {"workload": {"overrides": {"env": env[:1], "args": None}}}}
    )
    world.wait_ready()

    container = world.must_get("deployment", "demo")["spec"]["template"]["spec"]["containers"][0]
    names = [e["name"] for e in container["env"]]
    assert "A" in names
    assert "B" not in names
    assert "args" not in container


def test_missing_secret_is_named_and_its_appearance_noticed(world: World) -> None:
    world.resource()
    answer = world.wait_condition("SecretsResolved", "False")

    assert answer["reason"] == "SecretNotFound"
    assert answer["message"] == (
        f'Secret "creds" not found in namespace "{world.namespace}". '
        "Referenced by: spec.providers.inference.apiKey.secretKeyRef"
    )
    assert world.get("deployment", "demo") is None
    assert condition(world.must_get("llsd", "demo"), "Ready")["reason"] == "SecretNotFound"
    eventually("the Warning", lambda: ("Warning", "SecretResolutionFailed") in world.events())

    world.secret()

    world.wait_ready(deadline_s=5)


def test_missing_key_is_named(world: World) -> None:
    world.secret(other="abc")
    world.resource()

    answer = world.wait_condition("SecretsResolved", "False")

    assert answer["reason"] == "SecretKeyNotFound"
    assert answer["message"].startswith(
        f'Key "token" not found in Secret "creds/{world.namespace}"'
    )


def test_value_that_kills_the_server_is_refused_without_showing_it(world: World) -> None:
    world.secret(token="31415926535")
    world.resource()

    answer = world.wait_condition("SecretsResolved", "False")

    assert answer["reason"] == "SecretValueNotUsable"
    assert "31415926535" not in json.dumps(world.must_get("llsd", "demo"))


def test_rotated_secret_rolls_the_pods_once(world: World) -> None:
    world.secret()
    world.resource()
    world.wait_ready()
    before = deployment_generation(world)

    world.patch("secret", "creds", {"stringData": {"token": "another-token"}})

    eventually("a roll", lambda: deployment_generation(world) > before)
    world.wait_ready()
    assert deployment_generation(world) == before + 1


def test_secret_that_vanishes_leaves_the_pods_alone(world: World) -> None:
    world.secret()
    world.resource()
    world.wait_ready()
    before = deployment_generation(world)

    world.delete("secret", "creds")

    world.wait_condition("SecretsResolved", "False")
    assert deployment_generation(world) == before
    assert condition(world.must_get("llsd", "demo"), "Available")["status"] == "True"


def test_wrong_edit_leaves_what_runs_untouched_and_says_why(world: World) -> None:
    world.secret()
    world.resource()
    world.wait_ready()
    before = deployment_generation(world)
    maps = world.config_maps()

    world.patch("llsd", "demo", {"spec": {"providers": {"inference": {"provider": "vlllm"}}}})

    answer = world.wait_condition("ConfigGenerated", "False")
    assert answer["reason"] == "ConfigGenerationFailed"
    assert answer["message"].startswith("spec.providers.inference")
    assert "vllm" in answer["message"], "the nearest known name is suggested"
    cr = world.must_get("llsd", "demo")
    assert cr["status"]["phase"] == "Failed"
    assert condition(cr, "Available")["status"] == "True"
    assert deployment_generation(world) == before
    assert world.config_maps() == maps
    eventually("the Warning", lambda: ("Warning", "ConfigGenerationFailed") in world.events())


def test_foreign_object_is_named_and_never_touched(world: World) -> None:
    foreign = world.create(
        "service",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "demo-service"},
            "spec": {"ports": [{"port": 80}]},
        },
    )
    world.secret()
    world.resource()

    world.wait_condition("Ready", "False")
    eventually(
        "the conflict",
        lambda: condition(world.must_get("llsd", "demo"), "Ready")["reason"] == "ResourceConflict",
    )
    conflict = condition(world.must_get("llsd", "demo"), "Ready")

    assert 'Service "demo-service"' in conflict["message"]
    now = world.must_get("service", "demo-service")
    assert now["metadata"]["resourceVersion"] == foreign["metadata"]["resourceVersion"]
    world.wait_condition("DeploymentReady", "True")
    status = world.must_get("llsd", "demo")["status"]
    assert condition({"status": status}, "Ready")["status"] == "False"
    assert status["phase"] == "Failed"
    assert "serviceURL" not in status


@pytest.mark.timeout(300)
def test_deleted_resource_takes_everything_along_and_its_name_can_be_used_again(
    world: World,
) -> None:
    world.secret()
    world.resource()
    world.wait_ready()
    first = world.must_get("deployment", "demo")["metadata"]["uid"]

    world.delete("llsd", "demo")
    world.resource()

    world.wait_ready(deadline_s=COLLECTED_S)
    assert world.must_get("deployment", "demo")["metadata"]["uid"] != first
    world.delete("llsd", "demo")
    world.wait_collected("deployment", "demo")
    for name in world.config_maps():
        world.wait_collected("configmap", name)


def test_value_of_a_secret_appears_nowhere(world: World, operator: OperatorProcess) -> None:
    world.secret()
    world.resource()
    world.wait_ready()
    kinds = ("llsd", "deployment", "service", "serviceaccount", "configmap", "event")

    said: list[Any] = [world.all(kind) for kind in kinds]

    for text in (json.dumps(said), operator.log_file.read_text(), str(operator.metrics())):
        assert SECRET_VALUE not in text


def test_config_map_of_a_user_wakes_the_resource_that_names_it_and_nobody_else(
    world: World, operator: OperatorProcess
) -> None:
    """Without a label, and although it was there before anybody named it."""
    world.secret()
    for name in ("named", "other"):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        world.create("configmap", {**body, "data": {"k": "1"}})
        source = {"configMapKeyRef": {"name": name, "key": "k"}}
        variable = {"name": "A", "valueFrom": source}
        world.resource(f"{name}-user", workload={"overrides": {"env": [variable]}})
        world.wait_ready(f"{name}-user")
    eventually("both Events of the other", lambda: len(world.events("other-user")) == 2)
    before = world.must_get("deployment", "named-user")["metadata"]["generation"]
    reconciled = reconciles(operator, world, "other-user")

    world.patch("configmap", "named", {"data": {"k": "2"}})

    def generation() -> int:
        return int(world.must_get("deployment", "named-user")["metadata"]["generation"])

    eventually("its user is woken", lambda: generation() > before)
    assert reconciles(operator, world, "other-user") == reconciled
