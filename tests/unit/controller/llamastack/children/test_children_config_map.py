# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Old configurations go, and only those that nobody can need."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.children.config_map import ConfigMapWriter
from informers.ports import Object, ObjectKey, Resource

CR: dict[str, Any] = {"metadata": {"name": "demo", "namespace": "n", "uid": "u"}}


def config_map(number: int, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"demo-config-{number}",
            "namespace": "n",
            "uid": f"uid-{number}",
            "creationTimestamp": f"2026-01-0{number}T00:00:00Z",
            **metadata,
        }
    }


def replica_set(config: str, replicas: int) -> dict[str, Any]:
    volume = {"name": "c", "configMap": {"name": config}}
    return {"spec": {"replicas": replicas, "template": {"spec": {"volumes": [volume]}}}}


class Server:
    """Answers with these ReplicaSets and notes what is deleted."""

    def __init__(self, *replica_sets: dict[str, Any]) -> None:
        self._replica_sets = replica_sets
        self.lists = 0
        self.deleted: list[tuple[str, str]] = []

    async def list_all(
        self, resource: Resource, *, namespace: str, label_selector: str = ""
    ) -> tuple[Object, ...]:
        self.lists += 1
        return self._replica_sets

    async def delete(
        self, resource: Resource, key: ObjectKey, *, uid: str, resource_version: str = ""
    ) -> None:
        self.deleted.append((key.name, uid))

    async def get(self, *_: Any, **__: Any) -> Object:
        raise AssertionError("pruning reads nothing else")

    apply = create = json_patch = get


async def pruned(
    server: Server, owned: list[dict[str, Any]], current: str
) -> list[tuple[str, str]]:
    await ConfigMapWriter(server).prune(CR, owned, current)
    return server.deleted


async def test_current_and_previous_are_kept_without_asking() -> None:
    server = Server()

    assert await pruned(server, [config_map(1), config_map(2)], "demo-config-2") == []
    assert server.lists == 0


async def test_older_ones_go_by_uid() -> None:
    owned = [config_map(n) for n in (1, 2, 3, 4)]

    assert await pruned(Server(), owned, "demo-config-4") == [
        ("demo-config-2", "uid-2"),
        ("demo-config-1", "uid-1"),
    ]


async def test_configuration_of_pods_that_still_run_is_kept() -> None:
    """A rollout is stuck: the old pods serve, and have to be able to restart."""
    server = Server(replica_set("demo-config-1", 1), replica_set("demo-config-2", 0))
    owned = [config_map(n) for n in (1, 2, 3, 4)]

    assert await pruned(server, owned, "demo-config-4") == [("demo-config-2", "uid-2")]


async def test_going_back_to_an_old_configuration_keeps_it() -> None:
    owned = [config_map(n) for n in (1, 2, 3)]

    assert await pruned(Server(), owned, "demo-config-1") == [("demo-config-2", "uid-2")]


@pytest.mark.parametrize("current", ["demo-config-1", ""])
async def test_empty_cache_deletes_nothing(current: str) -> None:
    """(G15)"""
    server = Server()

    assert await pruned(server, [], current) == []
    assert server.lists == 0


async def test_what_is_leaving_is_left_alone() -> None:
    owned = [config_map(1, deletionTimestamp="x"), config_map(2), config_map(3)]

    assert await pruned(Server(), owned, "demo-config-3") == []


async def test_configurations_of_one_second_are_told_apart_by_version() -> None:
    at = "2026-01-01T00:00:00Z"
    owned = [
        config_map(3, creationTimestamp=at, resourceVersion="98"),
        config_map(1, creationTimestamp=at, resourceVersion="102"),
        config_map(2, creationTimestamp=at, resourceVersion="110"),
    ]

    assert await pruned(Server(), owned, "demo-config-2") == [("demo-config-3", "uid-3")]
