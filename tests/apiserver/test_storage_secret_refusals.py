# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Connection strings that cannot be used, or not written: what is said of them has no piece of one,
and what runs is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.storage_secret import (
    OWN,
    URL,
    content,
    edit_source,
    manifest,
    planted,
    postgres,
    start,
    version,
)
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver


@pytest.fixture
def world(
    operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str
) -> Iterator[World]:
    yield from planted(operator, kwok_plane, kwok_namespace)


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
