# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Old configurations go, and only those that nobody can need."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.llamastack.children.config_map import ConfigMapWriter
from controller.llamastack.objects.kinds import CONFIG_MAP, FIELD_MANAGER, REPLICA_SET
from controller.llamastack.render import configmap, labels
from informers.errors import Conflict
from informers.ports import Object, ObjectKey
from tests.support.fakeapi.caches import FakeCaches
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.server import BEGIN, FakeApi

CR: dict[str, Any] = {"metadata": {"name": "demo", "namespace": "n", "uid": "u"}}
LIST = "list replicasets.apps n/"


class Cluster:
    """Configurations of one resource.

    Args:
        made: their numbers, in the order in which they were made.
        apart: how long after one the next one was made.
    """

    def __init__(self, *made: int, apart: timedelta = timedelta(days=1)) -> None:
        self._time, self._apart = BEGIN, apart
        self.api = FakeApi(now=lambda: self._time)
        self.client = FakeClient(self.api)
        for number in made:
            self.make(number)

    def make(self, number: int) -> None:
        """One more."""
        manifest = configmap.generated(CR, f"demo-config-{number}", {}, str(number))
        self.api.create(CONFIG_MAP, manifest, manager=FIELD_MANAGER)
        self._time += self._apart

    def run(self, number: int, *, replicas: int) -> None:
        """A ReplicaSet whose pods have a configuration."""
        volume = {"name": "c", "configMap": {"name": f"demo-config-{number}"}}
        template = {"spec": {"containers": [], "volumes": [volume]}}
        self.api.put(
            REPLICA_SET,
            ObjectKey("n", f"demo-{number}"),
            metadata={"labels": labels.selector("demo")},
            spec={"replicas": replicas, "template": template},
        )

    def owned(self) -> list[Object]:
        """As the caches show them."""
        return FakeCaches(self.api).config_maps_of(CR)

    async def pruned(self, current: str) -> list[str]:
        """Which ones are deleted."""
        await ConfigMapWriter(self.client).prune(CR, self.owned(), {current})
        return [key.name for key in self.client.keys("delete", CONFIG_MAP)]


async def test_current_and_previous_are_kept_without_asking() -> None:
    cluster = Cluster(1, 2)

    assert await cluster.pruned("demo-config-2") == []
    assert cluster.client.calls == []


async def test_older_ones_go() -> None:
    cluster = Cluster(1, 2, 3, 4)

    assert await cluster.pruned("demo-config-4") == ["demo-config-2", "demo-config-1"]
    assert cluster.client.verbs("list", "get") == [LIST]
    assert [obj["metadata"]["name"] for obj in cluster.api.all(CONFIG_MAP)] == [
        "demo-config-3",
        "demo-config-4",
    ]


async def test_namesake_that_came_meanwhile_is_spared() -> None:
    cluster = Cluster(1, 2, 3)
    owned, key = cluster.owned(), ObjectKey("n", "demo-config-1")
    cluster.api.delete(CONFIG_MAP, key)
    cluster.make(1)

    with pytest.raises(Conflict):
        await ConfigMapWriter(cluster.client).prune(CR, owned, {"demo-config-3"})

    assert cluster.api.find(CONFIG_MAP, key) is not None


async def test_configuration_of_pods_that_still_run_is_kept() -> None:
    """A rollout is stuck: the old pods serve, and have to be able to restart."""
    cluster = Cluster(1, 2, 3, 4)
    cluster.run(1, replicas=1)
    cluster.run(2, replicas=0)

    assert await cluster.pruned("demo-config-4") == ["demo-config-2"]


async def test_going_back_to_an_old_configuration_keeps_it() -> None:
    assert await Cluster(1, 2, 3).pruned("demo-config-1") == ["demo-config-2"]


@pytest.mark.parametrize("current", ["demo-config-1", ""])
async def test_empty_cache_deletes_nothing(current: str) -> None:
    """(G15)"""
    cluster = Cluster()

    assert await cluster.pruned(current) == []
    assert cluster.client.calls == []


async def test_what_is_leaving_is_left_alone() -> None:
    cluster = Cluster(1, 2, 3)
    leaving = ObjectKey("n", "demo-config-1")
    cluster.api.put(CONFIG_MAP, leaving, metadata={"finalizers": ["test.io/x"]})
    cluster.api.delete(CONFIG_MAP, leaving)

    assert await cluster.pruned("demo-config-3") == []


async def test_configurations_of_one_second_are_told_apart_by_version() -> None:
    cluster = Cluster(apart=timedelta())
    for number, version in ((3, 98), (1, 102), (2, 110)):
        cluster.api.versions.current = version - 1
        cluster.make(number)

    assert await cluster.pruned("demo-config-2") == ["demo-config-3"]
