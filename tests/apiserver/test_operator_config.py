# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator's ConfigMap on a real API server: what it changes, at once and in one write.

The operator lives in a namespace of its own here, so that tests do not disturb each other: its
Role there is the one that ``docs/operations.md`` shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.conditions import condition
from configs.yaml_reader import load
from hack.cluster.errors import ProcessFailedError
from hack.cluster.plane import ControlPlane
from hack.root import ROOT
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

NAME = "llama-stack-operator-config"
ON = "enableNetworkPolicy: {enabled: true}"
OTHER = "registry.example.org/team/starter:1.2"


@pytest.fixture
def world(kubeconfig: Path, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    return made


@contextmanager
def operator(world: World, kubeconfig: Path) -> Iterator[OperatorProcess]:
    """One that lives, and works, in the namespace of the test."""
    flags = (f"--namespace={world.namespace}",)
    with OperatorProcess(kubeconfig, *flags, env={"OPERATOR_NAMESPACE": world.namespace}) as made:
        yield made
        assert made.terminate() == 0


def config(world: World, **data: str) -> None:
    """Create or change the ConfigMap; a key that is not given goes."""
    content = {key.replace("_", "-"): text for key, text in data.items()}
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": world.namespace},
        "data": content,
    }
    world.plane.kubectl(
        "apply", "--server-side", "--field-manager=admin", "-f", "-", stdin=json.dumps(manifest)
    )


def image(world: World, name: str) -> str:
    pod = world.must_get("deployment", name)["spec"]["template"]["spec"]
    return str(pod["containers"][0]["image"])


def told(world: World) -> list[tuple[str, str]]:
    """Reason and note of the Events on the ConfigMap."""
    events = [e for e in world.all("event") if e["regarding"]["name"] == NAME]
    return sorted((e["reason"], e["note"]) for e in events)


def test_override_rolls_those_who_use_it_in_one_write_and_nobody_else(
    world: World, kubeconfig: Path
) -> None:
    with operator(world, kubeconfig) as process:
        process.wait_ready()
        world.resource("concerned")
        world.resource("other", distribution={"name": "remote-vllm"})
        before = world.wait_ready("concerned")["status"]
        world.wait_ready("other")
        eventually("all Events", lambda: len(world.events("other")) == 2)
        mark = world.plane.audit.mark()

        config(world, image_overrides=f"starter: {OTHER}")
        eventually("the image", lambda: image(world, "concerned") == OTHER)
        after = world.wait_ready("concerned")["status"]
        eventually("the image in status", lambda: resolved(world, "concerned") == OTHER)

        # The config is that of the distribution's name, so its ConfigMap is the same.
        assert name_of_config(after) == name_of_config(before)
        assert generations(world) == {"concerned": 2, "other": 1}
        # The others are told in their status which image the name has now, and nothing else.
        touched = {w.subresource for w in world.writes_since(mark) if w.name == "other"}
        assert touched <= {"status"}

        world.delete("configmap", NAME)
        eventually("the default image", lambda: image(world, "concerned") != OTHER)


def name_of_config(status: dict[str, Any]) -> str:
    return str(status["configGeneration"]["configMapName"])


def generations(world: World) -> dict[str, int]:
    """Writes of the spec, by Deployment."""
    metadata = [d["metadata"] for d in world.all("deployment")]
    return {m["name"]: m["generation"] for m in metadata}


def resolved(world: World, name: str) -> str:
    status = world.must_get("llsd", name)["status"]
    return str(status["resolvedDistribution"]["image"])


def test_mistake_changes_nothing_and_is_an_event_on_the_config_map(
    world: World, kubeconfig: Path
) -> None:
    config(world, image_overrides=f"starter: {OTHER}", featureFlags=ON)
    with operator(world, kubeconfig) as process:
        process.wait_ready()
        world.resource()
        world.wait_ready()
        assert image(world, "demo") == OTHER

        config(world, image_overrides="starter: [", featureFlags="")
        eventually("the flag", lambda: world.get("networkpolicy", "demo-network-policy") is None)
        eventually("the Event", lambda: told(world))

        assert image(world, "demo") == OTHER
        ((reason, note),) = told(world)
        assert reason == "InvalidOperatorConfig"
        assert note.startswith("image-overrides: line ")
        (record,) = [r for r in process.records() if "mistake" in r.get("event", "")]
        assert record["detail"] in note


def test_operator_that_starts_on_a_mistake_waits_and_goes_on_once_it_is_fixed(
    world: World, kubeconfig: Path
) -> None:
    """Defaults in place of what cannot be read would replace images in the whole cluster."""
    config(world, image_overrides="starter: [")
    with operator(world, kubeconfig) as process:
        process.wait_logged("Waiting for the operator's configuration")
        world.resource()
        eventually("the Event", lambda: told(world))
        assert "The operator does nothing until it is corrected" in told(world)[0][1]
        assert "status" not in world.must_get("llsd", "demo")
        with pytest.raises(ProcessFailedError):
            process.wait_ready(deadline_s=0.1)

        config(world, image_overrides=f"starter: {OTHER}")
        world.wait_ready()
        assert image(world, "demo") == OTHER
        process.wait_ready()


def test_own_namespace_is_asked_for_one_object_by_its_name_only(
    world: World, kubeconfig: Path, kwok_plane: ControlPlane
) -> None:
    """With the Role of docs/operations.md for an operator that works elsewhere."""
    home = f"{world.namespace}-home"
    kwok_plane.kubectl("create", "namespace", home)
    grant(kwok_plane, world.namespace, "ClusterRole", "llama-stack-k8s-operator-manager-role")
    role = documented_role()
    kwok_plane.kubectl("apply", "-n", home, "-f", "-", stdin=json.dumps(role))
    grant(kwok_plane, home, "Role", role["metadata"]["name"])
    tenant = kwok_plane.kubeconfig_for("config-tenant")
    mark = world.plane.audit.mark()

    flags = (f"--namespace={world.namespace}",)
    env = {"OPERATOR_NAMESPACE": home}
    with OperatorProcess(tenant, *flags, env=env) as process:
        process.wait_ready()
        config_in = World(kwok_plane, home)
        config(config_in, featureFlags=ON)
        world.resource()
        world.wait_ready()
        eventually("policy", lambda: world.get("networkpolicy", "demo-network-policy"))
        config(config_in, featureFlags="[")
        eventually("the Event", lambda: told(config_in))
        assert process.terminate() == 0

    asked = [r for r in world.plane.audit.since(mark) if (r.user, r.namespace) == (TENANT, home)]
    assert {(r.verb, r.resource) for r in asked} == {
        ("watch", "configmaps"),
        ("create", "events"),
    }
    assert all(f"metadata.name%3D{NAME}" in r.uri for r in asked if r.resource == "configmaps")
    assert all(r.code < 300 for r in asked)


TENANT = "config-tenant"


def documented_role() -> dict[str, Any]:
    """What ``docs/operations.md`` says is enough."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    blocks = [block.split("```")[0] for block in page.split("```yaml\n")[1:]]
    (role,) = [load(block) for block in blocks if "kind: Role" in block]
    return dict(role)


def grant(plane: ControlPlane, namespace: str, kind: str, name: str) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "config-tenant", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TENANT}],
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(binding))


def test_restart_with_the_same_content_writes_nothing(world: World, kubeconfig: Path) -> None:
    config(world, featureFlags=ON)
    with operator(world, kubeconfig) as process:
        process.wait_ready()
        world.resource()
        world.wait_ready()
        eventually("both Events", lambda: len(world.events()) == 2)
    mark = world.plane.audit.mark()

    with operator(world, kubeconfig) as process:
        process.wait_logged("Started workers")
        done = (
            'controller_runtime_reconcile_total{controller="llamastackdistribution",'
            'result="success"}'
        )
        eventually("a reconcile", lambda: process.metrics()[done] >= 1)

    assert world.writes_since(mark) == []
    assert condition(world.must_get("llsd", "demo"), "Ready")["status"] == "True"
