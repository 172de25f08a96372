# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A write about Secrets, while the operator gets no answer from the API server (R-D15, H1).

The API server asks the operator, and the operator asks the API server back: that way is broken
here. Whoever writes is told in time that nothing could be found out, and what needs no look at the
cluster is written as ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api import OLD_VERSION, VERSION, webhook
from hack.cluster.plane import ControlPlane
from tests.support.apicase import resource
from tests.support.faultkinds import Answer, Delay, Fault, Hang, Reset
from tests.support.faultproxy import FaultProxy
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import HOOKS, Webhooked, webhooked
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]
TIMEOUT_S = 4
"""How long the API server waits here; what it asks, says so."""

CREATED, INVALID = 201, 422
PROVIDER = {
    "provider": "vllm",
    "endpoint": "http://vllm.example:8000/v1",
    "apiKey": {"secretKeyRef": {"name": "creds", "key": "token"}},
}
WRITTEN: dict[str, tuple[Json, str]] = {
    OLD_VERSION: (
        old_resource(providers={"inference": PROVIDER}),
        "spec.server.providers.inference.apiKey",
    ),
    VERSION: (resource(providers={"inference": PROVIDER}), "spec.providers.inference.apiKey"),
}
BROKEN: dict[str, Fault] = {
    "never answers": Hang(),
    "answers too late": Delay(2.0 * TIMEOUT_S),
    "breaks the connection": Reset(before_server=True),
    "is overloaded": Answer(503),
    "has an error": Answer(500),
}


@pytest.fixture(scope="module")
def hooked(kwok_plane: ControlPlane) -> Iterator[Webhooked]:
    with webhooked(kwok_plane) as where:
        patch = [{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": TIMEOUT_S}]
        path = f"{HOOKS}/{webhook.NAME}"
        kind = "application/json-patch+json"
        where.plane.client.request("PATCH", path, patch, content_type=kind)
        yield where


@pytest.fixture
async def proxy(hooked: Webhooked, tmp_path: Path) -> AsyncIterator[FaultProxy]:
    """In front of the operator, which is asked by the API server."""
    async with FaultProxy.to_kubeconfig(hooked.kubeconfig) as made:
        where = replace(hooked, kubeconfig=made.write_kubeconfig(tmp_path / "kubeconfig"))
        process = where.operator()
        try:
            await asyncio.to_thread(process.start)
            await asyncio.to_thread(process.wait_ready)
            await asyncio.to_thread(eventually, "it is asked", where.is_asked)
            await asyncio.to_thread(eventually, "it converts", where.converts)
            yield made
            made.clear()
            assert await asyncio.to_thread(process.terminate) == 0
        finally:
            await asyncio.to_thread(process.close)


async def test_answer_comes_in_time_and_says_what_could_not_be_found_out(
    hooked: Webhooked, proxy: FaultProxy, kwok_namespace: str
) -> None:
    world = World(hooked.plane, kwok_namespace)
    await asyncio.to_thread(world.secret)
    for trouble, fault in BROKEN.items():
        rule = proxy.add(fault, verb="get", path="/secrets/creds$", times=None)
        for version, (obj, path) in WRITTEN.items():
            began = time.monotonic()
            code, message = await asyncio.to_thread(hooked.create, obj, kwok_namespace)
            took = time.monotonic() - began

            what = f"{trouble}, {version}: {message}"
            assert (code, took < TIMEOUT_S) == (INVALID, True), what
            assert f"{path}.secretKeyRef: could not find out whether" in message, what
            assert message.endswith("Nothing was changed; try again"), what
            assert await asyncio.to_thread(world.get, "llsd", "demo") is None, what
        proxy.remove(rule)

    for version, (obj, _) in WRITTEN.items():
        healed = {**obj, "metadata": {"name": f"healed-{version}"}}
        assert await asyncio.to_thread(hooked.create, healed, kwok_namespace) == (CREATED, "")


async def test_what_needs_no_look_at_the_cluster_is_written_though_nothing_answers(
    hooked: Webhooked, proxy: FaultProxy, kwok_namespace: str
) -> None:
    proxy.add(Hang(), times=None)
    proxy.break_all()

    for version, obj in {OLD_VERSION: old_resource("old"), VERSION: resource("new")}.items():
        assert await asyncio.to_thread(hooked.create, obj, kwok_namespace) == (CREATED, "")
        name = obj["metadata"]["name"]
        for other in (OLD_VERSION, VERSION):
            found = await asyncio.to_thread(hooked.get, name, kwok_namespace, other)
            assert found["metadata"]["name"] == name, (version, other)
