# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""When a process serves its webhooks: from before it lists until after its last write (D1, D2).

In real time, because virtual time knows no sockets; but where nobody connects it will do.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from controller.llamastack.objects.kinds import LLAMA_STACK, SECRET
from informers.ports import ObjectKey
from llamastack_operator.election.lease import LEASES
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from llamastack_operator.observability.bind import AddressInUse
from llamastack_operator.webhooks import names
from tests.support import reviews
from tests.support.fakeapi.client import Fault
from tests.support.fakeapi.process import SYSTEM, MemoryProcess, running
from tests.support.fakeapi.server import FakeApi
from tests.support.reviews import response

FLAGS = ("--webhook-port=0", "--webhook-host=127.0.0.1", "--leader-elect")
SECRET_KEY = ObjectKey(SYSTEM, names.SECRET)


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    """A process freezes what it has when its caches are full; this one goes on with others."""
    yield
    gc.unfreeze()


def cluster() -> FakeApi:
    api = FakeApi(CRD, WEBHOOK)
    api.create(
        LLAMA_STACK,
        {
            "metadata": {"name": "demo", "namespace": "n"},
            "spec": {"distribution": {"name": "starter"}},
        },
    )
    return api


def works(api: FakeApi) -> bool:
    return "status" in api.get(LLAMA_STACK, ObjectKey("n", "demo"))


def port_in(logs: list[Any]) -> int:
    (port,) = [e["port"] for e in logs if e.get("flag") == "--webhook-port"]
    return int(port)


async def is_answered(port: int) -> bool:
    """Whether a good resource is let through."""
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    url = f"https://127.0.0.1:{port}{names.VALIDATE}"
    body, headers = reviews.admission(reviews.resource()), {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers, ssl=unchecked) as answer,
    ):
        return bool(response(await answer.read())["allowed"])


async def test_webhooks_are_served_before_anything_is_listed_and_until_the_lease_is_released(
    tmp_path: Path,
) -> None:
    api = cluster()
    with capture_logs() as logs:
        async with running(api, tmp_path, *FLAGS) as process:
            await process.until(lambda: works(api))
            port = port_in(logs)
            events = [entry["event"] for entry in logs]
            assert events.index("Served a certificate") < events.index("Filled the caches")
            listed = [c for c in process.client.calls if c.resource == LLAMA_STACK]
            created = [c for c in process.client.calls if c.key == SECRET_KEY]
            assert created[0].at < listed[0].at
            assert await is_answered(port)

            process.lease_client.faults = [Fault("update", LEASES, delay_s=0.3, times=None)]
            before = len(process.lease_client.keys("update", LEASES))
            process.tell_to_stop()
            await process.until(
                lambda: (
                    len(process.lease_client.keys("update", LEASES)) > before
                    and process.client.open_streams <= 3
                )  # what the certificate is kept by
            )
            assert await is_answered(port)
            await process.task

            with pytest.raises(aiohttp.ClientConnectorError):
                await is_answered(port)
            assert process.client.open_streams == 0


async def test_standby_serves_as_well(tmp_path: Path) -> None:
    api = cluster()
    with capture_logs() as logs:
        async with running(api, tmp_path, *FLAGS) as leader:
            await leader.until(lambda: works(api))
            logs.clear()
            async with running(api, tmp_path, *FLAGS) as standby:
                await standby.until(lambda: "Filled the caches" in [e["event"] for e in logs])

                assert "Started workers" not in [e["event"] for e in logs]
                assert await is_answered(port_in(logs))
                assert standby.client.keys("create", SECRET) == []


async def test_process_without_webhooks_has_no_certificate(tmp_path: Path) -> None:
    api = cluster()
    async with running(api, tmp_path, *FLAGS, "--webhook-port=off") as process:
        await process.until(lambda: works(api))

        assert api.find(SECRET, SECRET_KEY) is None
        assert WEBHOOK not in {call.resource for call in process.client.calls}


async def test_port_that_is_taken_is_told_and_nothing_is_done(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    process = MemoryProcess(cluster(), tmp_path, *FLAGS, f"--webhook-port={port}")
    with pytest.raises(AddressInUse, match="--webhook-port"):
        await process.task

    assert process.client.calls == []
    server.close()
    await server.wait_closed()


@pytest.mark.looptime
async def test_operator_works_without_a_certificate_though_it_is_not_ready(tmp_path: Path) -> None:
    """An API server that cannot call us must not keep servers from being looked after."""
    api = cluster()
    flags = (*FLAGS, f"--webhook-cert-dir={tmp_path}")
    with capture_logs() as logs:
        async with running(api, tmp_path, *flags) as process:
            await process.until(lambda: works(api), within_s=40.0)

    (entry,) = [e for e in logs if e["event"] == "Went on without the webhooks"]
    assert str(tmp_path) in entry["problem"]
