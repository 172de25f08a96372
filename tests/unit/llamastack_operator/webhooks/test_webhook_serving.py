# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The webhooks of one process, over TLS on loopback, with an API server in memory."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from configs.distributions import Distributions
from controller.llamastack.objects.kinds import SECRET
from informers.ports import ObjectKey
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from llamastack_operator.observability.bind import BindAddress
from llamastack_operator.observability.metrics import Metrics
from llamastack_operator.settings import Settings
from llamastack_operator.times import utc_now
from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.serving import Webhooks, place_of
from tests.support import reviews
from tests.support.authority import Authority
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.server import FakeApi
from tests.support.reviews import resource, response, with_key

URL = "https://127.0.0.1:9443"
LOCAL = Settings(webhook_port=0, webhook_host="127.0.0.1", leader_elect_namespace="system")
SECRET_KEY = ObjectKey("system", names.SECRET)


def cluster() -> FakeApi:
    """With webhooks that lead to a process on this machine."""
    api = FakeApi(CRD, WEBHOOK)
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": {"url": f"{URL}/convert"}}}
    api.create(CRD, {"metadata": {"name": names.DEFINITION}, "spec": {"conversion": conversion}})
    hooks = [{"name": names.CONFIGURATION, "clientConfig": {"url": f"{URL}/validate"}}]
    api.create(WEBHOOK, {"metadata": {"name": names.CONFIGURATION}, "webhooks": hooks})
    return api


def bundles(api: FakeApi) -> list[str]:
    definition = api.get(CRD, ObjectKey("", names.DEFINITION))
    configuration = api.get(WEBHOOK, ObjectKey("", names.CONFIGURATION))
    configs = (
        definition["spec"]["conversion"]["webhook"]["clientConfig"],
        configuration["webhooks"][0]["clientConfig"],
    )
    return [base64.b64decode(config.get("caBundle", "")).decode() for config in configs]


@asynccontextmanager
async def serving(
    api: FakeApi, settings: Settings = LOCAL, **options: Any
) -> AsyncIterator[Webhooks]:
    """Started and stopped as the manager does."""
    distributions = Distributions.load()
    metrics = Metrics(version="0")
    made = Webhooks(FakeClient(api), settings, metrics, lambda: distributions, **options)
    await made.start()
    task = asyncio.create_task(made.run(), name="webhooks")
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait([task])
        await made.stop()


async def trusted(api: FakeApi) -> ssl.SSLContext:
    """What the API server connects with, as soon as it was told of an authority."""
    async with asyncio.timeout(10):
        while not all(bundles(api)):  # noqa: ASYNC110 -- data in memory, without an event
            await asyncio.sleep(0.005)
    return ssl.create_default_context(cadata=bundles(api)[0])


async def ask(made: Webhooks, path: str, body: bytes, context: ssl.SSLContext) -> Any:
    url = f"https://127.0.0.1:{made.server.port}{path}"
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers, ssl=context) as answer,
    ):
        return response(await answer.read())


async def test_api_server_that_was_told_whom_to_trust_is_answered() -> None:
    api = cluster()
    async with serving(api) as made:
        context = await trusted(api)

        converted = await ask(
            made, "/convert", reviews.conversion(resource(), to=reviews.OLD), context
        )
        assert converted["result"] == {"status": "Success"}
        said = await ask(made, "/validate", reviews.admission(resource(**with_key("s"))), context)
        assert 'Secret "s" not found in namespace "team"' in said["status"]["message"]
        api.create(
            SECRET,
            {"metadata": {"name": "s", "namespace": "team"}, "data": {"token": "eA=="}},
        )
        said = await ask(made, "/validate", reviews.admission(resource(**with_key("s"))), context)
        assert said["allowed"]
        assert made.problem() is None
        assert bundles(api)[0] == bundles(api)[1]


async def test_process_without_a_namespace_keeps_its_pair_to_itself() -> None:
    api = cluster()
    async with serving(api, replace(LOCAL, leader_elect_namespace="")) as made:
        context = await trusted(api)

        assert (await ask(made, "/validate", reviews.admission(resource()), context))["allowed"]
    assert api.all(SECRET) == []


async def test_certificate_of_somebody_else_is_served_and_nothing_is_kept(tmp_path: Path) -> None:
    api, authority = cluster(), Authority()
    certificate, key = authority.issue()
    (tmp_path / "tls.crt").write_text(certificate, "ascii")
    (tmp_path / "tls.key").write_text(key, "ascii")
    async with serving(api, replace(LOCAL, webhook_cert_dir=str(tmp_path))) as made:
        await made.wait_serving(within_s=10.0)
        context = ssl.create_default_context(cadata=authority.pem)

        assert (await ask(made, "/validate", reviews.admission(resource()), context))["allowed"]
    assert bundles(api) == ["", ""]
    assert api.all(SECRET) == []


async def test_folder_without_a_certificate_is_a_problem_and_no_end(tmp_path: Path) -> None:
    settings = replace(LOCAL, webhook_cert_dir=str(tmp_path))
    with capture_logs() as logs:
        async with serving(cluster(), settings) as made:
            await made.wait_serving(within_s=0.05)

            assert made.problem() == f"there is no certificate in {tmp_path}"
    assert [e["event"] for e in logs if e["log_level"] == "error"] == [
        "Failed to load the webhooks' certificate"
    ]


async def test_missing_rights_are_told_once_and_the_process_goes_on() -> None:
    api = cluster()
    api.everything_is_allowed = False
    with capture_logs() as logs:
        async with serving(api) as made:
            await made.wait_serving(within_s=10.0)
            (problem,) = [e for e in logs if e["log_level"] == "error"]
            left = [e for e in logs if e["event"].startswith("Left the CA bundle to others")]

    assert f"create secrets {names.SECRET}" not in str(problem)
    assert any(f"patch secrets {names.SECRET}" in text for text in problem["missing_rights"])
    assert [e["object"].split()[0] for e in left] == [CRD.kind, WEBHOOK.kind]
    assert bundles(api) == ["", ""]


async def test_certificate_that_is_not_valid_now_is_a_problem() -> None:
    now = utc_now()
    api = cluster()
    clock = [now]
    async with serving(api, utc=lambda: clock[0]) as made:
        await made.wait_serving(within_s=10.0)
        assert made.problem() is None

        clock[0] = now + timedelta(days=4000)
        assert made.problem() == "the certificate is not valid now"


async def test_secret_holds_no_more_than_it_must_and_belongs_to_nobody_else() -> None:
    api = cluster()
    async with serving(api):
        await trusted(api)

    secret = api.get(SECRET, SECRET_KEY)
    assert "app.kubernetes.io/managed-by" not in (secret["metadata"].get("labels") or {})
    assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt", "ca.key"}
    assert "PRIVATE" not in json.dumps(bundles(api))


# --- where it is called --------------------------------------------------------------------

IN_CLUSTER = ("{0}.system.svc", "{0}.system.svc.cluster.local")


@pytest.mark.parametrize(
    ("settings", "listens", "hosts"),
    [
        (Settings(leader_elect_namespace="system"), BindAddress("", 9443), IN_CLUSTER),
        (LOCAL, BindAddress("127.0.0.1", 0), (*IN_CLUSTER, "127.0.0.1")),
        (
            replace(LOCAL, webhook_host="host.example", webhook_port=1),
            BindAddress("", 1),
            (*IN_CLUSTER, "host.example"),
        ),
        (Settings(), BindAddress("", 9443), ("localhost", "127.0.0.1", "::1")),
        (Settings(webhook_host="::1"), BindAddress("::1", 9443), ("::1",)),
    ],
)
def test_certificate_is_for_where_the_webhooks_are_called(
    settings: Settings, listens: BindAddress, hosts: tuple[str, ...]
) -> None:
    place = place_of(settings)

    assert place.bind == listens
    assert place.hosts == tuple(host.format(names.SERVICE) for host in hosts)
    assert place.address.hosts == frozenset(place.hosts)
