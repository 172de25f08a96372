# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Somebody puts into a child what excludes, or changes the meaning of, what the operator sends.

Each is put right by one write, and what is free for others stays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.audit import AuditedRequest
from hack.cluster.plane import ControlPlane
from tests.support.edits.full import EVERY_FEATURE, FULL, IN_SYSTEM
from tests.support.edits.row import Json, merged
from tests.support.operator_process import OperatorProcess
from tests.support.world import SYSTEM, World, eventually

pytestmark = pytest.mark.apiserver

NAMESPACE = "others-in-the-way"
SCALED = merged(FULL, {"workload": {"storage": None}})
"""Every kind of child but a claim: nothing here would bind it."""

SPEC = merged(SCALED, {"workload": {"autoscaling": None, "replicas": 2}})
"""Likewise without an autoscaler."""

NAMES = {
    "deployment": "demo",
    "service": "demo-service",
    "budget": "demo-pdb",
    "networkpolicy": "demo-network-policy",
    "ingress": "demo-ingress",
    "autoscaler": "scaled-hpa",
}


@dataclass(frozen=True)
class Damage:
    """What somebody does to a child.

    Attributes:
        name: of the case.
        kind: of the child.
        do: to the live object.
    """

    name: str
    kind: str
    do: Callable[[Json], Any]


def pod(live: Json) -> Json:
    found: Json = live["spec"]["template"]["spec"]
    return found


def container(live: Json) -> Json:
    found: Json = pod(live)["containers"][0]
    return found


def variable(live: Json, name: str) -> Json:
    return next(entry for entry in container(live)["env"] if entry["name"] == name)


def volume(live: Json, name: str) -> Json:
    return next(entry for entry in pod(live)["volumes"] if entry["name"] == name)


def instead(obj: Json, **fields: Any) -> None:
    """Other fields in the place of these; ``None`` takes one away."""
    obj |= fields
    for name in [name for name, value in fields.items() if value is None]:
        del obj[name]


def probed(probe: str, way: Json) -> Callable[[Json], Any]:
    """Ask in another way."""
    return lambda live: instead(container(live)[probe], httpGet=None, **way)


def stopped(way: Json) -> Callable[[Json], Any]:
    """Another hook."""
    return lambda live: instead(container(live)["lifecycle"], preStop=way)


def with_field(name: str, value: Any) -> Callable[[Json], Any]:
    """A field of the container."""
    return lambda live: container(live).update({name: value})


EXEC: Json = {"exec": {"command": ["true"]}}
SOCKET: Json = {"tcpSocket": {"port": 8321}}
HALVES = [
    Damage(
        "value in the place of a source",
        "deployment",
        lambda o: instead(variable(o, "LLSD_VLLM_API_KEY"), value="debug", valueFrom=None),
    ),
    Damage(
        "another source of a variable",
        "deployment",
        lambda o: instead(
            variable(o, "LLSD_VLLM_API_KEY"),
            valueFrom={"configMapKeyRef": {"name": "x", "key": "y"}},
        ),
    ),
    Damage(
        "source in the place of a value",
        "deployment",
        lambda o: instead(
            variable(o, "HOME"),
            value=None,
            valueFrom={"fieldRef": {"fieldPath": "metadata.name"}},
        ),
    ),
    *(
        Damage(
            f"{probe} by {next(iter(way))}",
            "deployment",
            probed(probe, way),
        )
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        for way in (EXEC, SOCKET, {"grpc": {"port": 8321, "service": ""}})
    ),
    *(
        Damage(
            f"preStop by {next(iter(way))}",
            "deployment",
            stopped(way),
        )
        for way in (EXEC, {"httpGet": {"port": 8321, "path": "/", "scheme": "HTTP"}})
    ),
    Damage(
        "another source of the data volume",
        "deployment",
        lambda o: instead(
            volume(o, "lls-storage"), emptyDir=None, persistentVolumeClaim={"claimName": "x"}
        ),
    ),
    Damage(
        "another source of the configuration",
        "deployment",
        lambda o: instead(
            volume(o, "llama-stack-config"),
            configMap=None,
            secret={"secretName": "x", "defaultMode": 420},
        ),
    ),
    Damage(
        "seccomp profile of the pods",
        "deployment",
        lambda o: pod(o)["securityContext"].update(
            seccompProfile={"type": "Localhost", "localhostProfile": "x.json"}
        ),
    ),
    Damage(
        "privileges",
        "deployment",
        lambda o: container(o).update(
            securityContext={"privileged": True, "capabilities": {"add": ["SYS_ADMIN"]}}
        ),
    ),
    Damage(
        "recreated pods",
        "deployment",
        lambda o: o["spec"].update(strategy={"type": "Recreate"}),
    ),
    Damage(
        "windows",
        "deployment",
        lambda o: (
            pod(o).update(os={"name": "windows"}, securityContext={}),
            container(o).update(securityContext={}),
        ),
    ),
    Damage(
        "port of the Service",
        "service",
        lambda o: o["spec"]["ports"][0].update(port=80),
    ),
    Damage(
        "protocol of the Service",
        "service",
        lambda o: o["spec"]["ports"][0].update(protocol="UDP"),
    ),
    Damage(
        "target of the Service",
        "service",
        lambda o: o["spec"]["ports"][0].update(targetPort=80),
    ),
    Damage(
        "type of the Service with a port of the nodes",
        "service",
        lambda o: (
            o["spec"].update(type="NodePort"),
            o["spec"]["ports"][0].update(nodePort=30080),
        ),
    ),
    Damage(
        "name outside for the Service",
        "service",
        lambda o: instead(
            o["spec"],
            type="ExternalName",
            externalName="a.example",
            clusterIP=None,
            clusterIPs=None,
            ipFamilies=None,
            ipFamilyPolicy=None,
            internalTrafficPolicy=None,
        ),
    ),
    Damage(
        "minimum in the budget",
        "budget",
        lambda o: instead(o["spec"], minAvailable=2, maxUnavailable=None),
    ),
    Damage(
        "backend of the Ingress",
        "ingress",
        lambda o: o["spec"]["rules"][0]["http"]["paths"][0].update(
            backend={"resource": {"kind": "Bucket", "name": "b"}}
        ),
    ),
    Damage(
        "peers of the policy",
        "networkpolicy",
        lambda o: o["spec"]["ingress"][0].update({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
    ),
    Damage(
        "metric of the autoscaler",
        "autoscaler",
        lambda o: o["spec"].update(
            metrics=[
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": "m"},
                        "target": {"type": "AverageValue", "averageValue": "1"},
                    },
                }
            ]
        ),
    ),
]
ATOMIC = [
    Damage(
        "label more in the selector of the Service",
        "service",
        lambda o: o["spec"]["selector"].update(foo="bar"),
    ),
    Damage(
        "empty label more in the selector of the Service",
        "service",
        lambda o: o["spec"]["selector"].update(foo=""),
    ),
    Damage(
        "label more in the selector of the budget",
        "budget",
        lambda o: o["spec"]["selector"]["matchLabels"].update(foo="bar"),
    ),
    Damage(
        "expression in the selector of the budget",
        "budget",
        lambda o: o["spec"]["selector"].update(
            matchExpressions=[{"key": "foo", "operator": "Exists"}]
        ),
    ),
    Damage(
        "label more in the selector of the policy",
        "networkpolicy",
        lambda o: o["spec"]["podSelector"]["matchLabels"].update(foo="bar"),
    ),
    Damage(
        "direction more of the policy",
        "networkpolicy",
        lambda o: o["spec"]["policyTypes"].append("Egress"),
    ),
    Damage(
        "rule more of the Ingress",
        "ingress",
        lambda o: o["spec"]["rules"].append({"host": "b.example"}),
    ),
    Damage(
        "metric more of the autoscaler",
        "autoscaler",
        lambda o: o["spec"]["metrics"].append(
            {
                "type": "Resource",
                "resource": {
                    "name": "memory",
                    "target": {"type": "Utilization", "averageUtilization": 50},
                },
            }
        ),
    ),
    Damage(
        "optional Secret of a variable",
        "deployment",
        lambda o: variable(o, "LLSD_VLLM_API_KEY")["valueFrom"]["secretKeyRef"].update(
            optional=True
        ),
    ),
]
EMPTY = [
    *(
        Damage(
            f"{name} of the container",
            "deployment",
            with_field(name, value),
        )
        for name, value in {
            "command": ["sleep", "1d"],
            "args": ["--help"],
            "workingDir": "/x",
            "image": "nginx",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
        }.items()
    ),
    Damage(
        "port more of the container",
        "deployment",
        lambda o: container(o)["ports"].append({"containerPort": 80, "protocol": "TCP"}),
    ),
    Damage(
        "postStart",
        "deployment",
        lambda o: container(o)["lifecycle"].update(postStart=EXEC),
    ),
    Damage(
        "host of a probe",
        "deployment",
        lambda o: container(o)["livenessProbe"]["httpGet"].update(host="example.com"),
    ),
    Damage(
        "part of the data volume",
        "deployment",
        lambda o: next(
            m for m in container(o)["volumeMounts"] if m["name"] == "lls-storage"
        ).update(subPath="x", readOnly=True),
    ),
]


@pytest.fixture(scope="module")
def arena(kwok_plane: ControlPlane, kubeconfig: Path) -> Iterator[World]:
    """Two resources that are Ready, and an operator with everything turned on."""
    client = kwok_plane.client
    switches = f"/api/v1/namespaces/{SYSTEM}/configmaps"
    client.create(switches, EVERY_FEATURE)
    client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    world = World(kwok_plane, NAMESPACE)
    world.secret()
    try:
        with OperatorProcess(kubeconfig, "--log-level=debug", env=IN_SYSTEM) as process:
            process.wait_logged("Started workers")
            for name, spec in (("demo", SPEC), ("scaled", SCALED)):
                world.create("llsd", resource(name, spec))
            world.wait_ready("demo")
            world.wait_ready("scaled")
            yield world
            assert process.terminate() == 0
    finally:
        client.delete(f"{switches}/{EVERY_FEATURE['metadata']['name']}")
        client.delete(f"/api/v1/namespaces/{NAMESPACE}")


def resource(name: str, spec: Json) -> Json:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": spec,
    }


def done_by_hand(world: World, kind: str, do: Callable[[Json], Any]) -> Json:
    """Write the live object back with the damage done; the answer."""
    path = world.path(kind, NAMES[kind])

    def attempt() -> Json | None:
        live = world.must_get(kind, NAMES[kind])
        do(live)
        status, answer = world.client.raw("PUT", path, live)
        assert status in {200, 409}, answer
        return live if status == 200 else None

    return eventually("the damage is done", attempt)


def comparable(live: Json) -> Json:
    """What the operator sends of an object, and the defaults beside it."""
    spec = copy.deepcopy(live["spec"])
    for entry in spec.get("ports", ()):
        entry.pop("nodePort", None)
    for name in ("clusterIP", "clusterIPs"):
        spec.pop(name, None)
    return {"spec": spec}


def is_of(request: AuditedRequest, kind: str, world: World) -> bool:
    plural = world.path(kind).rpartition("/")[2]
    return (request.resource, request.name) == (plural, NAMES[kind]) and not request.subresource


@pytest.mark.parametrize("damage", [*HALVES, *ATOMIC, *EMPTY], ids=lambda damage: damage.name)
def test_one_write_puts_it_right(damage: Damage, arena: World) -> None:
    before = comparable(arena.must_get(damage.kind, NAMES[damage.kind]))
    mark = arena.plane.audit.mark()

    done_by_hand(arena, damage.kind, damage.do)

    eventually(
        "it is as it was",
        lambda: comparable(arena.must_get(damage.kind, NAMES[damage.kind])) == before,
    )
    arena.wait_ready("demo")
    writes = [r for r in arena.writes_since(mark) if is_of(r, damage.kind, arena)]
    assert [r.verb for r in writes if r.code == 200] == ["patch"], writes
    assert {r.code for r in writes} <= {200, 409}, writes
