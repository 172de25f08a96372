# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Secret of connection strings, by the real operator on a real control plane.

Every value that is planted here has a needle in it, and after each test nothing that the operator
wrote or said has a piece of one, but for the Secret itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, condition, eventually

pytestmark = pytest.mark.apiserver

OWN = "demo-storage-env"
SOURCES = "llamastack.io/storage-sources"
NEEDLES = ("xqzj", "kvwq")
"""In every user, password, host and database that is planted; four letters in a row that no text of
ours has."""

URL = "postgresql://u-xqzj:p%40kvwq@xqzj.example:6543/d-kvwq"
OTHER_URL = "postgresql://u-xqzj:other-kvwq@xqzj.example:6543/d-kvwq"
CHILDREN = 5  # ServiceAccount, ConfigMap, Service, Secret, Deployment


@pytest.fixture
def world(
    operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str
) -> Iterator[World]:
    made = World(kwok_plane, kwok_namespace)
    made.secret("db", url=URL)
    yield made
    assert leaks(made, operator) == []


def leaks(world: World, operator: OperatorProcess) -> list[str]:
    """Where a needle is that nobody but the Secrets may have, plain or in base64."""
    places = {
        "log": json.dumps(operator.records()),
        "metrics": " ".join(operator.metrics()),
        **{
            kind: json.dumps(world.all(kind))
            for kind in ("llsd", "deployment", "replicaset", "configmap", "service", "event")
        },
        "secret metadata": json.dumps([secret["metadata"] for secret in world.all("secret")]),
    }
    return [
        f"{needle} in {place}"
        for needle in needles()
        for place, text in places.items()
        if needle in text
    ]


def needles() -> list[str]:
    """The needles, and what base64 makes of them in each of the three positions."""
    found = list(NEEDLES)
    for needle in NEEDLES:
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + needle.encode()).decode()
            first, last = -(-8 * shift // 6), 8 * (shift + len(needle)) // 6
            found.append(encoded[first:last])  # what no neighbour has a bit in
    return found


def test_needles_are_found_plain_and_encoded() -> None:
    for shift in range(3):
        encoded = base64.b64encode(b"a" * shift + b"XQ" + NEEDLES[0].encode() + b"b").decode()
        assert any(needle in encoded for needle in needles())


def reference(name: str = "db", key: str = "url") -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


def postgres(name: str = "db", key: str = "url") -> dict[str, Any]:
    return {"type": "postgres", "connectionString": reference(name, key)}


def redis(name: str = "db", key: str = "password") -> dict[str, Any]:
    return {"type": "redis", "endpoint": "redis://cache:6379", "password": reference(name, key)}


def start(world: World, **storage: Any) -> dict[str, Any]:
    world.create("llsd", manifest(**storage))
    return world.wait_ready()


def manifest(**storage: Any) -> dict[str, Any]:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo"},
        "spec": {"distribution": {"name": "starter"}, "storage": storage},
    }


def content(world: World) -> dict[str, str]:
    data = world.must_get("secret", OWN).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def edit_source(world: World, name: str = "db", **values: str | None) -> None:
    world.patch("secret", name, {"stringData": values})


def variables(world: World) -> dict[str, dict[str, Any]]:
    """Variables of the pods that are references to the Secret."""
    template = world.must_get("deployment", "demo")["spec"]["template"]
    env = template["spec"]["containers"][0]["env"]
    found = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in env if "valueFrom" in e}
    return {name: source for name, source in found.items() if source["name"] == OWN}


def version(world: World, kind: str, name: str) -> str:
    found: str = world.must_get(kind, name)["metadata"]["resourceVersion"]
    return found


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


def test_foreign_secret_of_that_name_is_named_and_never_touched(world: World) -> None:
    world.secret(OWN, token="mine-xqzj")
    before = world.must_get("secret", OWN)

    world.create("llsd", manifest(sql=postgres()))
    ready = world.wait_condition("Ready", "False")

    assert ready["reason"] == "ResourceConflict"
    assert f'Secret "{OWN}" in namespace "{world.namespace}" has no owner' in ready["message"]
    assert world.must_get("secret", OWN) == before
    assert world.get("deployment", "demo") is None


def test_secret_cannot_be_made_from_itself(world: World) -> None:
    world.create("llsd", manifest(sql=postgres(OWN)))

    ready = world.wait_condition("Ready", "False")

    assert ready["reason"] == "ValidationFailed"
    assert ready["message"].startswith("spec.storage.sql.connectionString.secretKeyRef: names the")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("postgresql://u-xqzj:kvwq@xqzj/d#kvwq", "has a # in it"),
        ("postgresql://xqzj.example/d-kvwq", "needs a host and a user"),
        ("mysql://u-xqzj:kvwq@xqzj/d", "must begin with postgresql://"),
        ("xqzj kvwq", "must begin with postgresql://"),
        ("postgresql://u-xqzj:kvwq@xqzj:kvwq/d", "is not a URL of postgres"),
        ("postgresql://u-xqzj:kvwq@xqzj/d?sslmode=require", "sslmode asks for encryption"),
        ("postgresql://u-xqzj:kvwq@xqzj/d?xqzj=kvwq", "cannot be given the parameter"),
        ("postgresql://u-xqzj:kvwq%00@xqzj/d%00", "NUL"),
    ],
)
def test_value_that_is_not_usable_is_refused_without_a_piece_of_it(
    world: World, value: str, problem: str
) -> None:
    edit_source(world, url=value)
    world.create("llsd", manifest(sql=postgres()))

    found = world.wait_condition("SecretsResolved", "False")

    assert found["reason"] == "SecretValueNotUsable"
    assert found["message"].startswith('The value of key "url" in Secret "db" cannot be used: ')
    assert problem in found["message"]
    path = "spec.storage.sql.connectionString.secretKeyRef"
    assert found["message"].endswith(f"Referenced by: {path}")
    assert world.get("secret", OWN) is None
    assert world.get("deployment", "demo") is None
    assert ("Warning", "SecretResolutionFailed") in eventually("an Event", world.events)

    edit_source(world, url=URL)
    world.wait_ready()


def test_rotation_to_an_unusable_value_leaves_what_runs_alone(world: World) -> None:
    start(world, sql=postgres())
    own, deployed = version(world, "secret", OWN), version(world, "replicaset", only_set(world))

    edit_source(world, url="kvwq")
    found = world.wait_condition("SecretsResolved", "False")

    assert found["reason"] == "SecretValueNotUsable"
    assert version(world, "secret", OWN) == own
    assert version(world, "replicaset", only_set(world)) == deployed
    assert condition(world.must_get("llsd", "demo"), "Available")["status"] == "True"


def only_set(world: World) -> str:
    (found,) = (r["metadata"]["name"] for r in world.all("replicaset"))
    return str(found)


def test_missing_secret_and_key_are_named_and_noticed_when_they_come(world: World) -> None:
    world.create("llsd", manifest(sql=postgres("late", "dsn")))
    missing = world.wait_condition("SecretsResolved", "False")

    world.secret("late", other="x")
    eventually(
        "the key is missing",
        lambda: world.wait_condition("SecretsResolved", "False")["reason"] == "SecretKeyNotFound",
    )
    edit_source(world, "late", dsn=URL)
    world.wait_ready()

    assert missing["reason"] == "SecretNotFound"
    assert content(world)["LLSD_STORAGE_SQL_HOST"] == "xqzj.example"


POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


@pytest.fixture
def indiscreet_policy(world: World) -> Iterator[None]:
    """Refuses Secrets of databases in the namespace, and says what is in them."""
    name = f"indiscreet-{world.namespace}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"]}
    said = "'no ' + object.data['LLSD_STORAGE_SQL_PASSWORD_ENCODED']"
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": here,
                "resourceRules": [{**rule, "operations": ["CREATE", "UPDATE"]}],
            },
            "matchConditions": [
                {"name": "ours", "expression": "object.metadata.name == 'demo-storage-env'"}
            ],
            "validations": [{"expression": "false", "messageExpression": said}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    world.client.create(POLICIES, policy)
    world.client.create(BINDINGS, binding)
    probe = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": OWN},
        "data": {"LLSD_STORAGE_SQL_PASSWORD_ENCODED": "cHJvYmU="},
    }
    path = f"{world.path('secret')}?dryRun=All"
    eventually(
        "the policy is in force",
        lambda: b"no cHJvYmU=" in world.client.raw("POST", path, probe)[1],
    )
    yield
    world.client.delete(f"{BINDINGS}/{name}")
    world.client.delete(f"{POLICIES}/{name}")


@pytest.mark.usefixtures("indiscreet_policy")
def test_plug_in_that_quotes_what_it_refuses_is_not_quoted_in_turn(world: World) -> None:
    world.create("llsd", manifest(sql=postgres()))

    ready = world.wait_condition("Ready", "False")

    assert ready["reason"] == "ReconcileFailed"
    assert ready["message"].startswith(f'Secret "{OWN}" was refused (')
    assert world.get("deployment", "demo") is None


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
