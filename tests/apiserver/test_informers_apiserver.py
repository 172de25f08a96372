# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the informer relies on, asked of a real API server.

The promises are about lists (A2, A4, A5, A6, A19), bookmarks and rights (A8, A13), metadata (A18)
and size (A20).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hack.cluster.plane import ControlPlane
from informers.errors import Gone, NotFound
from informers.informer import Informer
from informers.options import ReflectorOptions
from informers.ports import ListerWatcher, ObjectKey, Resource
from informers.transforms import keep_metadata
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.faultproxy import FaultProxy
from tests.support.informing import Told, informer_of, running
from tests.support.informing import until as until_on_any_clock

pytestmark = pytest.mark.apiserver

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")
SECRETS = Resource("", "v1", "Secret", "secrets")
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")

STREAMED = ReflectorOptions(backoff_s=0.1)
PAGED = replace(STREAMED, streaming_list=False, page_size=2)
OURS = "test=yes"  # the controllers put a ConfigMap of their own into every namespace


class Cluster:
    """A namespace of a control plane, changed by the administrator."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace

    def path(self, resource: Resource, name: str = "") -> str:
        return resource.path(namespace=self.namespace, name=name)

    def create(self, *names: str, resource: Resource = CONFIG_MAPS, **fields: Any) -> str:
        """The version of the last one."""
        created: dict[str, Any] = {}
        for name in names:
            metadata = {"name": name, "labels": {"test": "yes"}}
            manifest = {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": metadata,
                **fields,
            }
            created = self.plane.client.create(self.path(resource), manifest)
        return str(created["metadata"]["resourceVersion"])

    def patch(self, name: str, change: dict[str, Any]) -> None:
        self.plane.client.request(
            "PATCH",
            self.path(CONFIG_MAPS, name),
            change,
            content_type="application/merge-patch+json",
        )

    def delete(self, name: str) -> None:
        self.plane.client.delete(self.path(CONFIG_MAPS, name))

    def key(self, name: str) -> ObjectKey:
        return ObjectKey(self.namespace, name)

    def truth(self) -> dict[str, str]:
        items = self.plane.client.get(f"{self.path(CONFIG_MAPS)}?labelSelector=test%3Dyes")["items"]
        return {i["metadata"]["name"]: i["metadata"]["resourceVersion"] for i in items}

    async def same(self, informer: Informer) -> None:
        truth = self.truth()
        await until(lambda: held(informer) == truth)


def held(informer: Informer) -> dict[str, str]:
    return {key.name: obj["metadata"]["resourceVersion"] for key, obj in informer.store.items()}


async def until(condition: Callable[[], object], *, within: float = 30.0) -> None:
    await until_on_any_clock(condition, within=within, coarse=0.02)


@asynccontextmanager
async def client_of(kubeconfig: Path, directory: Path) -> AsyncIterator[Client]:
    """A client behind a proxy without faults, which sees what is asked."""
    async with FaultProxy.to_kubeconfig(kubeconfig) as proxy:
        connection = await connect(Source(str(proxy.write_kubeconfig(directory / "kubeconfig"))))
        async with Client(connection, user_agent="informers-test") as client:
            yield client


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
async def client(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Client]:
    async with client_of(control_plane.kubeconfig, tmp_path) as client:
        yield client


@pytest.fixture
def source(client: Client, namespace: str) -> ListerWatcher:
    return client.lister_watcher(CONFIG_MAPS, namespace=namespace, label_selector=OURS)


# --- (A2, A4, A19) -------------------------------------------------------------------------


@pytest.mark.parametrize("tuning", [STREAMED, PAGED])
async def test_store_follows_creates_changes_and_deletes(
    cluster: Cluster, source: ListerWatcher, tuning: ReflectorOptions
) -> None:
    cluster.create("a", "b", "c")
    cluster.patch("a", {"data": {"k": "v"}})  # now the order of versions is not that of names
    informer, told = informer_of(source, tuning=tuning), Told()
    informer.add_handler(told)
    async with running(informer):
        assert held(informer) == cluster.truth()
        cluster.create("d")
        cluster.patch("b", {"data": {"k": "v"}})
        cluster.delete("c")
        await cluster.same(informer)

        for obj in informer.store.values():
            assert (obj["kind"], obj["apiVersion"]) == ("ConfigMap", "v1")
            assert "managedFields" not in obj["metadata"]
    assert sorted(told.log[:3]) == [("add", "a"), ("add", "b"), ("add", "c")]
    assert told.log[3:] == [("add", "d"), ("update", "b"), ("delete", "c")]


async def test_streaming_and_paged_lists_give_equal_stores(
    cluster: Cluster, client: Client, source: ListerWatcher
) -> None:
    cluster.create(*(f"n{number}" for number in range(7)))
    streamed, paged = informer_of(source, tuning=STREAMED), informer_of(source, tuning=PAGED)
    async with running(streamed), running(paged):
        assert dict(streamed.store.items()) == dict(paged.store.items())
        assert len(paged.store) == 7


async def test_streaming_list_is_one_request(
    cluster: Cluster, client: Client, source: ListerWatcher
) -> None:
    mark = cluster.plane.audit.mark()
    informer = informer_of(source, tuning=STREAMED)
    async with running(informer):
        cluster.create("a")
        await cluster.same(informer)
        asked = [
            request
            for request in cluster.plane.audit.since(mark)
            if request.user_agent == "informers-test"
        ]

    assert [request.verb for request in asked] == ["watch"]


# --- (A5, A6, A8) --------------------------------------------------------------------------


async def test_restart_of_the_api_server_is_outlived_by_who_watches_and_who_comes_back(
    cluster: Cluster, source: ListerWatcher
) -> None:
    cluster.create("a", "b")
    watching, told = informer_of(source, tuning=STREAMED), Told()
    watching.add_handler(told)
    away, told_late = informer_of(source, tuning=STREAMED), Told()
    away.add_handler(told_late)
    async with running(away):
        position = away.store.seen_up_to
    async with running(watching):
        cluster.delete("a")
        cluster.create(*(f"n{number}" for number in range(5)))
        await cluster.same(watching)
        # Afterwards the API server remembers only what happens from then on.
        await asyncio.to_thread(cluster.plane.restart_apiserver)
        cluster.delete("n0")
        cluster.create("c")
        await cluster.same(watching)
        with capture_logs() as logs:
            async with running(away):
                await cluster.same(away)
                await until(lambda: ("add", "c") in told_late.log)

    assert sorted(told.deleted) == [(cluster.key("a"), False), (cluster.key("n0"), False)]
    assert told.log.count(("add", "b")) == told_late.log.count(("add", "b")) == 1
    assert await refusal_of_watch(source, position)
    assert [e["reason"].split(":")[0] for e in logs if e.get("informer") and "reason" in e] == [
        "Gone"
    ]
    assert told_late.deleted == [(cluster.key("a"), True)]


async def refusal_of_watch(source: ListerWatcher, version: str) -> str:
    """How the API server says that it has forgotten a version: in which of the two shapes."""
    try:
        async with source.watch(
            resource_version=version, timeout_seconds=5, initial_events=False
        ) as stream:
            line = await asyncio.wait_for(stream.read(), 5)
    except Gone:
        return "status"
    return "event" if b'"code":410' in line else ""


async def test_version_from_the_future_is_left_through_the_silence(
    cluster: Cluster, source: ListerWatcher
) -> None:
    cluster.create("a")
    quick = replace(PAGED, watch_timeout_s=(1, 1), silence_limit_s=1.5)
    informer = informer_of(source, tuning=quick)
    async with running(informer):
        # As if etcd had been restored from a backup: we have seen what does not exist any more.
        informer._reflector._seen = str(10**12)
        cluster.create("b")
        await cluster.same(informer)

    assert int(informer.store.seen_up_to) < 10**12


async def test_bookmark_tells_that_nothing_happened_here(
    cluster: Cluster, client: Client, source: ListerWatcher
) -> None:
    # The API server sends one two seconds before the end of a watch, else every minute.
    informer = informer_of(source, tuning=replace(STREAMED, watch_timeout_s=(4, 4)))
    async with running(informer):
        elsewhere = cluster.plane.client.create(
            "/api/v1/namespaces/default/configmaps",
            {"metadata": {"generateName": "informers-elsewhere-"}},
        )["metadata"]
        try:
            await until(lambda: informer.store.reached(elsewhere["resourceVersion"]))
        finally:
            path = CONFIG_MAPS.path(namespace="default", name=elsewhere["name"])
            cluster.plane.client.delete(path)

    assert len(informer.store) == 0


# --- (A13) ---------------------------------------------------------------------------------


async def test_rights_that_are_given_and_taken_away_are_noticed(
    cluster: Cluster, tmp_path: Path
) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{cluster.namespace}"
    user = f"informer-{cluster.namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    cluster.create("a")
    cluster.plane.client.create(f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    binding = {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]}

    # Watches are short: rights are looked at when a watch is opened.
    tuning = replace(STREAMED, watch_timeout_s=(2, 2))
    async with client_of(cluster.plane.kubeconfig_for(user), tmp_path) as client:
        source = client.lister_watcher(
            CONFIG_MAPS, namespace=cluster.namespace, label_selector=OURS
        )
        informer = informer_of(source, tuning=tuning)
        with capture_logs() as logs:
            async with running(informer, synced=False):
                await until(lambda: troubles(logs))
                assert not informer.has_synced()
                cluster.plane.client.create(f"{rbac}/rolebindings", binding)
                await until(informer.has_synced)

                cluster.plane.client.delete(f"{rbac}/rolebindings/b")
                await until(lambda: len(troubles(logs)) == 2)
                cluster.create("b")
                cluster.plane.client.create(f"{rbac}/rolebindings", binding)
                await cluster.same(informer)

    for reason in troubles(logs):
        assert f'User "{user}" cannot watch resource "configmaps"' in reason


def troubles(logs: list[Any]) -> list[str]:
    return [e["reason"] for e in logs if e["event"] == "Watch failed"]


# --- (A18, B9, B10) ------------------------------------------------------------------------


@pytest.mark.parametrize("tuning", [STREAMED, PAGED])
async def test_metadata_only_informer_never_receives_a_secret(
    cluster: Cluster, client: Client, tuning: ReflectorOptions
) -> None:
    hidden = {"stringData": {"password": "hunter2"}}
    cluster.create("listed", resource=SECRETS, **hidden)
    received: list[dict[str, Any]] = []

    def noting(obj: dict[str, Any]) -> Any:
        received.append({**obj})
        return keep_metadata(obj)

    source = client.lister_watcher(SECRETS, namespace=cluster.namespace, metadata_only=True)
    informer = informer_of(source, tuning=tuning, transform=noting)
    async with running(informer):
        cluster.create("watched", resource=SECRETS, **hidden)
        await until(lambda: cluster.key("watched") in informer.store)
        assert cluster.key("listed") in informer.store

    for obj in received:
        assert set(obj) == {"apiVersion", "kind", "metadata"}
        assert (obj["apiVersion"], obj["kind"]) == ("v1", "Secret")


async def test_leaving_the_selector_looks_like_a_deletion_and_is_none(
    cluster: Cluster, client: Client, source: ListerWatcher
) -> None:
    cluster.create("a")
    informer, told = informer_of(source, tuning=STREAMED), Told()
    informer.add_handler(told)
    async with running(informer):
        cluster.patch("a", {"metadata": {"labels": {"test": "no"}}})
        await until(lambda: told.deleted)

    assert told.deleted == [(cluster.key("a"), False)]
    assert (await client.get(CONFIG_MAPS, cluster.key("a")))["metadata"]["name"] == "a"
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, cluster.key("never"))


async def test_live_read_begins_what_the_watch_goes_on_with(
    cluster: Cluster, client: Client, source: ListerWatcher
) -> None:
    references: set[str] = set()
    cluster.create("a", "b")
    informer = informer_of(
        source, tuning=STREAMED, keep=lambda obj: obj["metadata"]["name"] in references
    )
    async with running(informer):
        assert len(informer.store) == 0
        references.add("a")
        ticket = informer.ticket()
        assert informer.offer(await client.get(CONFIG_MAPS, cluster.key("a")), ticket=ticket)
        assert held(informer) == {"a": cluster.truth()["a"]}

        cluster.patch("a", {"data": {"k": "v"}})
        await until(lambda: held(informer) == {"a": cluster.truth()["a"]})


# --- (A20) ---------------------------------------------------------------------------------


async def test_big_sync_leaves_room_for_others(cluster: Cluster, client: Client) -> None:
    manifests = [
        {"metadata": {"name": f"n{n}", "labels": {"test": "yes"}}, "data": {"k": "v" * 2000}}
        for n in range(400)
    ]
    for manifest in manifests:
        manifest["metadata"]["namespace"] = cluster.namespace  # type: ignore[index]
    await asyncio.gather(*(client.create(CONFIG_MAPS, m, manager="test") for m in manifests))
    gaps: list[float] = []

    async def watchdog() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            gaps.append(time.thread_time() - last)
            last = time.thread_time()

    for tuning in (STREAMED, replace(PAGED, page_size=100)):
        source = client.lister_watcher(
            CONFIG_MAPS, namespace=cluster.namespace, label_selector=OURS
        )
        informer = informer_of(source, tuning=tuning)
        task = asyncio.create_task(watchdog())
        async with running(informer):
            assert len(informer.store) == 400
        task.cancel()

    assert max(gaps) < 0.1
