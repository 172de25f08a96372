# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A real server that keeps its state in a real PostgreSQL.

The database runs beside the cluster, under the name that the sample has for it; to the servers it
is one Service among others. Its password has every character that needs care.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from hack.cluster.errors import ClusterError
from hack.cluster.node import objects
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace
from hack.servers.installing import install
from hack.servers.services import Postgres
from tests.support.samples import BY_NAME
from tests.support.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_PASSWORD = "p@ss/w:rd?%#e2e"
_NAME = "llamastack"
_PLACE = "example"  # the namespace in the sample's connection string
_PORT = 8321


@pytest.fixture(scope="module")
def database(node: Node) -> Iterator[Postgres]:
    """PostgreSQL as ``postgres.example``, with the sample's database and user."""
    client = node.plane.client
    with Postgres(install(())) as server:
        server.database(_NAME, _NAME, _PASSWORD)
        node.offer(server.port)
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _PLACE}}
        client.create("/api/v1/namespaces", manifest)
        objects.publish(client, _PLACE, "postgres", 5432, (node.host, server.port))
        yield server
        with contextlib.suppress(ClusterError):
            client.delete(f"/api/v1/namespaces/{_PLACE}")


def _sample() -> list[dict[str, Any]]:
    """The sample, with our password, on a machine with two processors."""
    documents = copy.deepcopy(list(BY_NAME["postgres"].documents))
    for document in documents:
        if document["kind"] == "Secret":
            url = document["stringData"]["url"]
            document["stringData"]["url"] = url.replace("replace-me", quote(_PASSWORD, safe=""))
        else:
            requests = {"cpu": "100m", "memory": "256Mi"}
            document["spec"]["workload"]["resources"] = {"requests": requests}
    return documents


def test_two_replicas_of_the_sample_share_their_state_in_postgresql(
    world: World, restricted: Namespace, database: Postgres
) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": _sample()}
    words = ("apply", "--server-side", "-n", world.namespace, "-f", "-")
    world.plane.kubectl(*words, stdin=json.dumps(listed))
    cr = world.wait_ready("postgres", deadline_s=200)

    pods = [p["metadata"]["name"] for p in restricted.pods("app.kubernetes.io/instance=postgres")]
    targets = [f"pods/{pod}:{_PORT}" for pod in pods]
    made = restricted.answer("POST", targets[0], "/v1/conversations", {"items": []})
    seen = [restricted.answer("GET", pod, f"/v1/conversations/{made['id']}") for pod in targets]

    assert cr["status"]["availableReplicas"] == 2
    assert [found["id"] for found in seen] == [made["id"], made["id"]]
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    assert int(database.query(tables, _NAME)) >= 2, "those of kv and of sql"
    for pod in pods:
        assert _PASSWORD not in restricted.log(pod)
    assert _PASSWORD not in json.dumps([cr, world.all("deployment"), world.all("configmap")])
