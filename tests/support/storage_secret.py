# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources whose stores are reached by connection strings, the Secret that is made of those, and
needles in what is planted that have to be nowhere else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World

OWN = "demo-storage-env"
NEEDLES = ("xqzj", "kvwq")
"""In every user, password, host and database that is planted; four letters in a row that no text of
ours has."""

URL = "postgresql://u-xqzj:p%40kvwq@xqzj.example:6543/d-kvwq"


def planted(operator: OperatorProcess, plane: ControlPlane, namespace: str) -> Iterator[World]:
    """For a fixture: a namespace with the Secret ``db``; in the end nobody else has its needles."""
    made = World(plane, namespace)
    made.secret("db", url=URL)
    yield made
    found = leaks(made, operator)
    assert found == [], found


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


def reference(name: str = "db", key: str = "url") -> dict[str, Any]:
    """A reference to a key of a Secret."""
    return {"secretKeyRef": {"name": name, "key": key}}


def postgres(name: str = "db", key: str = "url") -> dict[str, Any]:
    """A store in PostgreSQL, whose connection string is in a Secret."""
    return {"type": "postgres", "connectionString": reference(name, key)}


def redis(name: str = "db", key: str = "password") -> dict[str, Any]:
    """A store in Redis, whose password is in a Secret."""
    return {"type": "redis", "endpoint": "redis://cache:6379", "password": reference(name, key)}


def manifest(**storage: Any) -> dict[str, Any]:
    """The resource ``demo`` with these stores."""
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo"},
        "spec": {"distribution": {"name": "starter"}, "storage": storage},
    }


def start(world: World, **storage: Any) -> dict[str, Any]:
    """Creates the resource with these stores, and waits until it is ready."""
    world.create("llsd", manifest(**storage))
    return world.wait_ready()


def content(world: World) -> dict[str, str]:
    """What is in the Secret that the operator made, decoded."""
    data = world.must_get("secret", OWN).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def edit_source(world: World, name: str = "db", **values: str | None) -> None:
    """Changes values of a Secret that a resource refers to."""
    world.patch("secret", name, {"stringData": values})


def version(world: World, kind: str, name: str) -> str:
    """The version of an object: another one, when anybody has written to it."""
    found: str = world.must_get(kind, name)["metadata"]["resourceVersion"]
    return found
