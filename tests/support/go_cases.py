# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources of v1alpha1 and their edits, and what the Go operator makes of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import OLD_VERSION, VERSION
from api.conversion import convert
from controller.llamastack.objects.kinds import LLAMA_STACK
from tests.support.go_operator import OLD_API_VERSION

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A resource in the hands of the Go operator.

    Attributes:
        name: of the case.
        steps: its specs, one after the other; each is reconciled until nothing changes.
        wedged: whether that operator fails on the last one, for ever.
        orphaned: whether it takes the owner of the Deployment away.
    """

    name: str
    steps: tuple[Json, ...]
    wedged: bool = False
    orphaned: bool = False

    @property
    def last(self) -> Json:
        """The spec at the take-over."""
        return self.steps[-1]

    def __str__(self) -> str:
        return self.name


def spec(*, replicas: int = 1, network: Json | None = None, **server: Any) -> Json:
    """A spec of v1alpha1."""
    made: Json = {
        "replicas": replicas,
        "server": {"distribution": {"name": "starter"}, **copy.deepcopy(server)},
    }
    if network is not None:
        made["network"] = copy.deepcopy(network)
    return made


def resource(name: str, namespace: str, given: Mapping[str, Any], uid: str = "") -> Json:
    """A resource of v1alpha1."""
    metadata = {"name": name, "namespace": namespace, **({"uid": uid} if uid else {})}
    return {
        "apiVersion": OLD_API_VERSION,
        "kind": LLAMA_STACK.kind,
        "metadata": metadata,
        "spec": dict(given),
    }


def new_spec(given: Mapping[str, Any]) -> Json:
    """A spec of v1alpha1 as v1alpha2 has it."""
    old = resource("any", "any", given)
    assert old["apiVersion"].endswith(OLD_VERSION)
    new: Json = convert(old, VERSION)["spec"]
    return new


PORTS: Final[Json] = {"port": 8321, "env": [{"name": "A", "value": "1"}]}
CONFIG: Final[Json] = {"configMapName": "user-config"}
BUNDLE: Final[Json] = {"caBundle": {"configMapName": "certificates"}}
EVERYTHING: Final = spec(
    replicas=2,
    network={"exposeRoute": True, "allowedFrom": {"namespaces": ["a"], "labels": ["b"]}},
    containerSpec={
        **PORTS,
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "500m"}},
        "command": ["/start"],
        "args": ["--verbose"],
    },
    workers=2,
    podOverrides={
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 120,
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    },
    podDisruptionBudget={"minAvailable": 1},
    topologySpreadConstraints=[
        {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    userConfig=CONFIG,
    tlsConfig=BUNDLE,
)
"""All that a spec may say, but for what excludes parts of it."""


def _case(name: str, *steps: Json, wedged: bool = False, orphaned: bool = False) -> Case:
    return Case(name, steps, wedged, orphaned)


def _of_container(**fields: Any) -> Json:
    return spec(containerSpec={**PORTS, **fields})


WORKING: Final = (
    _case("the least", spec()),
    _case("an image", spec(distribution={"image": "registry.example/stack:1"})),
    _case("a port and a variable", _of_container(port=9000)),
    _case("resources and workers", spec(workers=4, containerSpec=PORTS)),
    _case("a configuration", spec(userConfig=CONFIG, containerSpec=PORTS)),
    _case("certificates", spec(tlsConfig=BUNDLE, containerSpec=PORTS)),
    _case("a volume", spec(storage={"size": "20Gi", "mountPath": "/data"})),
    _case("two replicas", spec(replicas=2, containerSpec=PORTS)),
    _case("an autoscaler", spec(autoscaling={"minReplicas": 2, "maxReplicas": 4})),
    _case(
        "access from outside",
        spec(network={"exposeRoute": True, "allowedFrom": {"labels": ["a"]}}, containerSpec=PORTS),
    ),
    _case(
        "a Secret and a ConfigMap",
        _of_container(
            env=[
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "creds", "key": "token"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "more", "key": "b"}}},
            ]
        ),
    ),
    _case("everything", EVERYTHING),
)
"""Those with which the Go operator is content."""

STALE: Final = (
    _case("a variable was removed", _of_container(), _of_container(env=[])),
    _case("everything was removed but the configuration", EVERYTHING, spec(userConfig=CONFIG)),
    _case(
        "three replicas became one",
        spec(replicas=3, containerSpec=PORTS),
        spec(containerSpec=PORTS),
    ),
    _case("the container was renamed", _of_container(), _of_container(name="other")),
    _case(
        "the configuration was removed, and more changed later",
        spec(userConfig=CONFIG, containerSpec=PORTS),
        spec(containerSpec=PORTS),
        _of_container(env=[{"name": "LATER", "value": "1"}]),
        orphaned=True,
    ),
)
"""Those of which it does not see that its objects are not what the spec says (P-C1)."""

WEDGED: Final = (
    _case("the port was changed", _of_container(), _of_container(port=9000), wedged=True),
    _case(
        "a value became a reference",
        _of_container(),
        _of_container(
            env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
        ),
        wedged=True,
    ),
    _case(
        "a variable of the operator is overridden",
        _of_container(env=[{"name": "LLS_PORT", "value": "8321"}]),
        wedged=True,
    ),
    _case("a volume was added", _of_container(), spec(storage={}), wedged=True),
    _case("a volume was removed", spec(storage={}), spec(), wedged=True),
    _case(
        "another budget than the default",
        spec(replicas=2),
        spec(replicas=2, podDisruptionBudget={"minAvailable": 1}),
        wedged=True,
    ),
)
"""Those on which it fails for ever (P-C1)."""

CASES: Final = (*WORKING, *STALE, *WEDGED)
