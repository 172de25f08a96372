# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The API server in memory answers as a real one does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings

from api.crd import custom_resource_definition
from api.v1alpha2 import API_VERSION
from hack.cluster.plane import ControlPlane, PlaneOptions
from informers.ports import Resource
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.apicase import resource
from tests.support.call_programs import KINDS, WITH_DEFAULTS, final, programs
from tests.support.crdplane import CRDS, CREATED, answer, apply, until
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.server import FakeApi
from tests.support.lockstep import Sent, Side, Step

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


async def _run(real: Client, kind: Resource, program: list[Step]) -> None:
    namespace = f"t-{uuid.uuid4().hex[:12]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    await real.create(_NAMESPACES, manifest, manager="test")
    sent = Sent(kind, all_count=kind not in WITH_DEFAULTS)
    sides = [Side(client, kind, namespace, sent) for client in (FakeClient(FakeApi()), real)]
    async with AsyncExitStack() as stack:
        for side in sides:
            await side.watch(stack)
        for number, step in enumerate(program, start=1):
            sent.note(step)
            fake, true = [await side.answer(step) for side in sides]
            assert fake == true, f"step {number}: {step}"
        fake, true = [await side.events(final(kind)) for side in sides]
        assert fake == true


@pytest.mark.timeout(600)  # the shortest program that fails takes long to find
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_answers_are_those_of_a_real_server(real: Real, kind: Resource) -> None:
    @settings(max_examples=25)
    @given(program=programs(kind))
    def check(program: list[Step]) -> None:
        real.runner.run(_run(real.client, kind, program))

    check()
