# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A real server that keeps its state in a real PostgreSQL.

The database runs beside the cluster, under the name that the sample has for it; to the servers it
is one Service among others. Its password has every character that needs care.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from hack.cluster.node.pods import Namespace
from tests.support.database import Database
from tests.support.samples import BY_NAME
from tests.support.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_PORT = 8321


def _sample(url: str) -> list[dict[str, Any]]:
    """The sample, with our password, on a machine with two processors."""
    documents = copy.deepcopy(list(BY_NAME["postgres"].documents))
    for document in documents:
        if document["kind"] == "Secret":
            assert document["stringData"]["url"].rpartition("@")[2] == url.rpartition("@")[2]
            document["stringData"]["url"] = url
        else:
            requests = {"cpu": "100m", "memory": "256Mi"}
            document["spec"]["workload"]["resources"] = {"requests": requests}
    return documents


def test_two_replicas_of_the_sample_share_their_state_in_postgresql(
    world: World, restricted: Namespace, database: Database
) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": _sample(database.url)}
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
    assert int(database.server.query(tables, database.name)) >= 2, "those of kv and of sql"
    for pod in pods:
        assert database.password not in restricted.log(pod)
    assert database.password not in json.dumps(
        [cr, world.all("deployment"), world.all("configmap")]
    )
