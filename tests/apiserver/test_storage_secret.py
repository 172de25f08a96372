# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Secret of connection strings, by the real operator on a real control plane.

Every value that is planted here has a needle in it, and after each test nothing that the operator
wrote or said has a piece of one, but for the Secret itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.storage_secret import (
    NEEDLES,
    OWN,
    content,
    edit_source,
    needles,
    planted,
    postgres,
    redis,
    start,
    version,
)
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

SOURCES = "llamastack.io/storage-sources"
OTHER_URL = "postgresql://u-xqzj:other-kvwq@xqzj.example:6543/d-kvwq"
CHILDREN = 5  # ServiceAccount, ConfigMap, Service, Secret, Deployment


@pytest.fixture
def world(
    operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str
) -> Iterator[World]:
    yield from planted(operator, kwok_plane, kwok_namespace)


def test_needles_are_found_plain_and_encoded() -> None:
    for shift in range(3):
        encoded = base64.b64encode(b"a" * shift + b"XQ" + NEEDLES[0].encode() + b"b").decode()
        assert any(needle in encoded for needle in needles())


def variables(world: World) -> dict[str, dict[str, Any]]:
    """Variables of the pods that are references to the Secret."""
    template = world.must_get("deployment", "demo")["spec"]["template"]
    env = template["spec"]["containers"][0]["env"]
    found = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in env if "valueFrom" in e}
    return {name: source for name, source in found.items() if source["name"] == OWN}


def rolls(world: World) -> int:
    return len([r for r in world.all("replicaset") if r["metadata"]["name"].startswith("demo-")])


def test_parts_are_in_a_secret_of_ours_and_the_pods_read_them(world: World) -> None:
    mark = world.plane.audit.mark()
    start(world, kv=postgres(), sql=postgres())

    own = world.must_get("secret", OWN)
    assert content(world) == {
        "LLSD_STORAGE_KV_DB": "d-kvwq",
        "LLSD_STORAGE_KV_HOST": "xqzj.example",
        "LLSD_STORAGE_KV_PASSWORD": "p@kvwq",
        "LLSD_STORAGE_KV_PORT": "6543",
        "LLSD_STORAGE_KV_SSL_MODE": "",
        "LLSD_STORAGE_KV_USER": "u-xqzj",
        "LLSD_STORAGE_SQL_DB": "d-kvwq",
        "LLSD_STORAGE_SQL_HOST": "xqzj.example",
        "LLSD_STORAGE_SQL_PASSWORD_ENCODED": "p%40kvwq",
        "LLSD_STORAGE_SQL_PORT": "6543",
        "LLSD_STORAGE_SQL_USER_ENCODED": "u-xqzj",
    }
    assert own["type"] == "Opaque"
    assert own["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "llama-stack-operator"
    (owner,) = own["metadata"]["ownerReferences"]
    assert owner["uid"] == world.must_get("llsd", "demo")["metadata"]["uid"]
    assert variables(world) == {key: {"name": OWN, "key": key} for key in content(world)}
    template = world.must_get("deployment", "demo")["spec"]["template"]["metadata"]
    assert template["annotations"][SOURCES] == own["metadata"]["annotations"][SOURCES]
    requests = world.requests_since(mark)
    assert len(requests) <= CHILDREN + 5, [f"{r.verb} {r.resource}" for r in requests]
    assert len([r for r in requests if r.verb == "get" and r.resource == "secrets"]) == 1


def test_stores_may_have_secrets_of_their_own(world: World) -> None:
    world.secret("cache", password="pw/kvwq")

    start(world, kv=redis("cache"), sql=postgres())

    found = content(world)
    assert found["LLSD_STORAGE_KV_PASSWORD_ENCODED"] == "pw%2Fkvwq"
    assert found["LLSD_STORAGE_SQL_HOST"] == "xqzj.example"
    assert len(found) == 6


def test_rotation_changes_the_secret_first_and_then_rolls_once(world: World) -> None:
    start(world, sql=postgres())
    mark = world.plane.audit.mark()

    edit_source(world, url=OTHER_URL)
    eventually("the pods are replaced", lambda: rolls(world) == 2)
    world.wait_ready()

    assert content(world)["LLSD_STORAGE_SQL_PASSWORD_ENCODED"] == "other-kvwq"
    written = [w.resource for w in world.writes_since(mark)]
    children = [resource for resource in written if resource in {"secrets", "deployments"}]
    assert children == sorted(children, reverse=True), "the Secret first"
    assert world.must_get("deployment", "demo")["metadata"]["generation"] == 2
    assert rolls(world) == 2


def test_another_key_of_the_same_secret_rolls_the_pods(world: World) -> None:
    edit_source(world, second=OTHER_URL)
    start(world, sql=postgres())

    world.patch("llsd", "demo", {"spec": {"storage": {"sql": postgres(key="second")}}})
    eventually("the pods are replaced", lambda: rolls(world) == 2)

    assert content(world)["LLSD_STORAGE_SQL_PASSWORD_ENCODED"] == "other-kvwq"


def test_secret_goes_when_the_last_pod_that_reads_it_is_gone(world: World) -> None:
    start(world, sql=postgres())

    world.patch(
        "llsd", "demo", {"spec": {"storage": {"sql": {"type": "sqlite", "connectionString": None}}}}
    )
    eventually("the Secret is gone", lambda: world.get("secret", OWN) is None)

    assert variables(world) == {}
    deployment = world.must_get("deployment", "demo")
    assert deployment["status"]["updatedReplicas"] == deployment["status"]["replicas"] == 1


def test_secret_stays_while_a_rollout_without_it_is_stuck(world: World) -> None:
    start(world, sql=postgres())
    impossible = {"nodeSelector": {"no": "such-node"}}

    world.patch("llsd", "demo", {"spec": {"storage": None, "workload": {"overrides": impossible}}})
    eventually("the new pods wait", lambda: rolls(world) == 2)
    world.wait_condition("Ready", "False")

    assert world.get("secret", OWN) is not None
    world.patch("llsd", "demo", {"spec": {"workload": None}})
    eventually("the Secret is gone", lambda: world.get("secret", OWN) is None)


def test_keys_of_another_store_go_when_no_pod_reads_them(world: World) -> None:
    edit_source(world, password="pw-kvwq")
    start(world, kv=postgres())

    world.patch(
        "llsd", "demo", {"spec": {"storage": {"kv": {**redis(), "connectionString": None}}}}
    )

    only = {"LLSD_STORAGE_KV_PASSWORD_ENCODED": "pw-kvwq"}
    eventually("only the keys of redis are left", lambda: content(world) == only)
    assert set(variables(world)) == set(only)


def test_keys_stay_as_long_as_a_pod_may_read_them_again(world: World) -> None:
    edit_source(world, password="pw-kvwq")
    start(world, kv=postgres())
    before = set(content(world))
    stuck = {"overrides": {"nodeSelector": {"no": "such-node"}}}
    kv = {**redis(), "connectionString": None}

    world.patch("llsd", "demo", {"spec": {"storage": {"kv": kv}, "workload": stuck}})
    eventually("the new pods wait", lambda: rolls(world) == 2)
    world.wait_condition("Ready", "False")

    assert set(content(world)) == before | {"LLSD_STORAGE_KV_PASSWORD_ENCODED"}
    world.patch("llsd", "demo", {"spec": {"workload": None}})
    eventually("the keys are gone", lambda: not before & set(content(world)))


def test_deleted_secret_comes_back_without_a_roll(world: World) -> None:
    start(world, sql=postgres())
    before, deployed = content(world), version(world, "deployment", "demo")
    uid = world.must_get("secret", OWN)["metadata"]["uid"]

    world.delete("secret", OWN)
    eventually(
        "it is back",
        lambda: (world.get("secret", OWN) or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid,
    )

    assert content(world) == before
    assert version(world, "deployment", "demo") == deployed


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"LLSD_STORAGE_SQL_HOST": base64.b64encode(b"elsewhere").decode()}},
        {"data": {"LLSD_STORAGE_SQL_HOST": None}},
        {"data": None},
        {"metadata": {"annotations": None}},
        {"metadata": {"labels": None}},
        {"metadata": {"managedFields": [{}]}, "data": {"LLSD_STORAGE_SQL_PORT": "MQ=="}},
        {"immutable": True, "data": {"LLSD_STORAGE_SQL_PORT": "MQ=="}},
    ],
    ids=["value", "key", "all keys", "annotations", "labels", "managed fields", "immutable"],
)
def test_what_somebody_changed_is_put_right_without_a_roll(
    world: World, change: dict[str, Any]
) -> None:
    start(world, sql=postgres())
    before = whole(world)

    world.patch("secret", OWN, change)
    eventually("it is as before", lambda: whole(world) == before)

    assert rolls(world) == 1


def whole(world: World) -> dict[str, Any]:
    own = world.get("secret", OWN) or {"metadata": {}}
    return {
        "data": own.get("data"),
        "immutable": own.get("immutable"),
        "labels": own["metadata"].get("labels"),
        "annotations": own["metadata"].get("annotations"),
    }


def test_label_of_somebody_else_is_no_reason_to_read_or_write(world: World) -> None:
    start(world, sql=postgres())
    mark = world.plane.audit.mark()

    world.patch("secret", OWN, {"metadata": {"labels": {"team": "a"}}})
    world.secret("other", token="x")
    world.patch("llsd", "demo", {"spec": {"workload": {"replicas": 2}}})
    eventually("both run", lambda: world.wait_ready()["status"]["availableReplicas"] == 2)

    assert [r for r in world.requests_since(mark) if r.resource == "secrets"] == []
    assert world.must_get("secret", OWN)["metadata"]["labels"]["team"] == "a"


def test_deleted_resource_takes_the_secret_along(world: World) -> None:
    start(world, sql=postgres())

    world.delete("llsd", "demo")

    eventually("the Secret is gone", lambda: world.get("secret", OWN) is None)
    assert world.get("secret", "db") is not None


def test_restart_over_an_unchanged_world_reads_no_secret_and_writes_nothing(
    kubeconfig: Path, kwok_plane: ControlPlane, kwok_namespace: str, world: World
) -> None:
    start(world, kv=postgres(), sql=postgres())
    mark = world.plane.audit.mark()

    with OperatorProcess(kubeconfig, f"--namespace={kwok_namespace}") as another:
        another.wait_logged("Started workers")
        eventually(
            "it looked at the resource",
            lambda: any(
                name.startswith("controller_runtime_reconcile_total") and value
                for name, value in another.metrics().items()
            ),
        )
        assert another.terminate() == 0

    assert world.writes_since(mark) == []
    assert [
        r for r in world.requests_since(mark) if (r.verb, r.resource) == ("get", "secrets")
    ] == []
