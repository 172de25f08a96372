# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What somebody may do to children by hand: a table for tests against a real API server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.edits.row import Json

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
        "name of the port at another port",
        "service",
        lambda o: (
            o["spec"]["ports"][0].update(name="theirs"),
            o["spec"]["ports"].append({"name": "http", "port": 80}),
        ),
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
"""The other half of a one-of in the place of ours, in every kind that has one."""
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
"""More in what the API takes as one value."""
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
"""What is ours even where the resource says nothing of it."""
SIDECAR: Json = {
    "name": "sidecar",
    "image": "registry.example/sidecar:1",
    "command": ["x"],
    "ports": [{"containerPort": 80, "protocol": "TCP"}],
}
OBJECTS = frozenset(NAMES.values())
FREE = [
    Damage("annotation", "service", lambda o: o["metadata"]["annotations"].update(x="y")),
    Damage("sidecar", "deployment", lambda o: pod(o)["containers"].append(dict(SIDECAR))),
    Damage(
        "init container",
        "deployment",
        lambda o: pod(o).update(initContainers=[{**SIDECAR, "name": "init"}]),
    ),
    Damage(
        "volume of the pods",
        "deployment",
        lambda o: pod(o)["volumes"].append({"name": "theirs", "emptyDir": {}}),
    ),
    Damage(
        "variable",
        "deployment",
        lambda o: container(o)["env"].append({"name": "THEIRS", "value": "1"}),
    ),
    Damage(
        "mount",
        "deployment",
        lambda o: container(o)["volumeMounts"].append({"name": "theirs", "mountPath": "/theirs"}),
    ),
    Damage(
        "annotation of the pods",
        "deployment",
        lambda o: o["spec"]["template"]["metadata"].setdefault("annotations", {}).update(x="y"),
    ),
    Damage(
        "port of another name",
        "service",
        lambda o: o["spec"]["ports"].append({"name": "metrics", "port": 9090}),
    ),
    Damage(
        "policy of the budget",
        "budget",
        lambda o: o["spec"].update(unhealthyPodEvictionPolicy="AlwaysAllow"),
    ),
    Damage(
        "behavior of the autoscaler",
        "autoscaler",
        lambda o: o["spec"].update(
            behavior={"scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Max"}}
        ),
    ),
    Damage(
        "default of the Ingress",
        "ingress",
        lambda o: o["spec"].update(
            defaultBackend={"service": {"name": "x", "port": {"number": 80}}}
        ),
    ),
]
"""What others may add."""
