# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The API server in memory answers as a real one does."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from api.crd import custom_resource_definition
from api.v1alpha2 import API_VERSION
from controller.llamastack.objects.kinds import CONFIG_MAP
from hack.cluster.plane import ControlPlane, PlaneOptions
from informers.errors import ApiError
from informers.ports import Resource
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.apicase import resource
from tests.support.call_programs import EXACT, KINDS, edits, final, programs
from tests.support.crdplane import CRDS, CREATED, answer, apply, until
from tests.support.edits.full import children_of, role_binding_of
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.merge_schema import FILE, definitions, documents
from tests.support.fakeapi.server import FakeApi
from tests.support.lockstep import Json, Sent, Side, Step

pytestmark = pytest.mark.apiserver

_NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)


@dataclass
class Real:
    """A client of a real API server, and the event loop that it lives in."""

    runner: asyncio.Runner
    client: Client


@pytest.fixture(scope="module")
def real(binaries: Mapping[str, Path]) -> Iterator[Real]:
    """Without controllers, which would write into the objects of the test."""
    options = PlaneOptions(controller_manager=False)
    with ControlPlane(binaries, options) as plane, asyncio.Runner() as runner:
        apply(plane, CRDS, custom_resource_definition())
        until(lambda: plane.client.exists(f"/apis/{API_VERSION}/llamastackdistributions"))
        until(lambda: answer(plane, resource())[0] == CREATED)
        connection = runner.run(connect(Source(str(plane.kubeconfig))))
        client = runner.run(Client(connection, user_agent="test").__aenter__())
        yield Real(runner, client)
        runner.run(client.__aexit__())


async def _new_namespace(client: Client) -> str:
    name = f"t-{uuid.uuid4().hex[:12]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client.create(_NAMESPACES, manifest, manager="test")
    return name


async def _run(real: Client, kind: Resource, program: list[Step], final: Json) -> None:
    namespace = await _new_namespace(real)
    sent = Sent(kind, all_count=kind in EXACT)
    sides = [Side(client, kind, namespace, sent) for client in (FakeClient(FakeApi()), real)]
    async with AsyncExitStack() as stack:
        for side in sides:
            await side.watch(stack)
        for number, step in enumerate(program, start=1):
            sent.note(step)
            fake, true = [await side.answer(step) for side in sides]
            assert fake == true, f"step {number}: {step}"
        shown, seen = [await side.events(final) for side in sides]
        assert shown == seen


@pytest.mark.timeout(600)  # the shortest program that fails takes long to find
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_answers_are_those_of_a_real_server(real: Real, kind: Resource) -> None:
    @settings(max_examples=40, phases=[Phase.generate, Phase.shrink])
    @given(program=programs(kind))
    def check(program: list[Step]) -> None:
        try:
            real.runner.run(_run(real.client, kind, program, final(kind)))
        except AssertionError:
            # What counts is what a server always does: once in some ten thousand programs a real
            # one gave an apply that changed nothing another version, and never did so again.
            real.runner.run(_run(real.client, kind, program, final(kind)))

    check()


def test_children_of_every_kind_are_stored_as_by_a_real_server(real: Real) -> None:
    children = [*children_of("demo", "n"), role_binding_of("demo", "n")]

    for child in children:
        real.runner.run(_run(real.client, child.resource, edits(child), child.manifest))


def test_schema_is_that_of_a_real_server(real: Real) -> None:
    found = definitions(real.runner.run(documents(real.client)))

    assert json.loads(FILE.read_text("utf-8")) == found


def _config_map(namespace: str, name: str = "a") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {"x": name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def test_nothing_is_created_in_a_namespace_that_goes(real: Real) -> None:
    """Without controllers it goes for ever."""

    async def refusals() -> AsyncIterator[tuple[type[ApiError], int]]:
        api, namespace = FakeApi(), await _new_namespace(real.client)
        api.terminating.add(namespace)
        await real.client.request("DELETE", f"/api/v1/namespaces/{namespace}")
        for client in (FakeClient(api), real.client):
            for write in (client.create, client.apply):
                with pytest.raises(ApiError) as refusal:
                    await write(CONFIG_MAP, _config_map(namespace), manager="test")
                yield refusal.type, getattr(refusal.value, "code", 0)

    async def check() -> None:
        fake_create, fake_apply, create, patch = [each async for each in refusals()]
        assert (fake_create, fake_apply) == (create, patch)

    real.runner.run(check())


def test_lists_and_streaming_lists_show_the_same(real: Real) -> None:
    async def shown(client: Client, namespace: str) -> Any:
        for name in "abc":
            await client.create(CONFIG_MAP, _config_map(namespace, name), manager="test")
        source = client.lister_watcher(CONFIG_MAP, namespace=namespace, label_selector="x!=b")
        first = await source.list_page(resource_version=None, limit=1, continue_token="")
        token = first.continue_token
        rest = await source.list_page(resource_version=None, limit=5, continue_token=token)
        watch = source.watch(resource_version=None, timeout_seconds=9, initial_events=True)
        types = []
        async with watch as stream:
            while "BOOKMARK" not in types:
                types += [json.loads(line)["type"] for line in (await stream.read()).splitlines()]
        pages = [[item["metadata"]["name"] for item in page.items] for page in (first, rest)]
        same_snapshot = first.resource_version == rest.resource_version
        return pages, bool(token), rest.continue_token, same_snapshot, types

    async def check() -> None:
        namespace = await _new_namespace(real.client)
        assert await shown(FakeClient(FakeApi()), namespace) == await shown(real.client, namespace)

    real.runner.run(check())
