# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The bed itself: every release boots and can be asked, every service answers and goes away."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hack.cluster.process import ProcessId
from hack.root import ROOT
from hack.servers.bed import Bed
from hack.servers.endpoint import ANSWER, OpenAIEndpoint
from hack.servers.errors import BedError, BootFailed
from hack.servers.minimal import minimal
from hack.servers.registry import Registry
from hack.servers.releases import RELEASES, Release, newest
from hack.servers.server import LlamaServer
from hack.servers.services import Postgres, Redis
from hack.servers.validator import Validator

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

MODEL = "vllm/fake/llama-3"

releases = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)


@releases
async def test_a_release_boots_shows_its_models_and_answers(bed: Bed, release: Release) -> None:
    async with (
        OpenAIEndpoint(api_keys=["secret"]) as endpoint,
        LlamaServer(
            bed, release, minimal(release), {"URL": endpoint.url, "TOKEN": "secret"}
        ) as server,
    ):
        assert await server.get("/v1/version") == {"version": release.version}
        providers = (await server.get("/v1/providers"))["data"]
        assert ("vllm", "remote::vllm") in {
            (p["provider_id"], p["provider_type"]) for p in providers
        }
        assert MODEL in {model["id"] for model in (await server.get("/v1/models"))["data"]}
        question = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
        answer = await server.post("/v1/chat/completions", question)

    assert answer["choices"][0]["message"]["content"] == ANSWER
    (seen,) = endpoint.seen("/chat/completions")
    assert seen.authorization == "Bearer secret"
    assert seen.body["model"] == "fake/llama-3"


async def test_a_config_that_does_not_boot_is_reported_with_its_reason(bed: Bed) -> None:
    release = newest("0.7")

    with pytest.raises(BootFailed) as caught:
        async with LlamaServer(bed, release, minimal(release), {"URL": "http://127.0.0.1:9/v1"}):
            pass

    assert "Environment variable 'TOKEN' not set" in caught.value.error
    assert "Traceback" in caught.value.log


@releases
def test_the_classes_of_a_release_see_what_it_would_ignore(bed: Bed, release: Release) -> None:
    env = {"URL": "http://127.0.0.1:9/v1", "TOKEN": "secret", "RUN_DIR": "/nonexistent"}
    with Validator(bed, release) as validator:
        good = validator.check(minimal(release), env)
        ignored = validator.check(minimal(release, more=", api_key: x"), env)
        started = time.monotonic()
        for _ in range(10):
            validator.check(minimal(release), env)
        seconds = (time.monotonic() - started) / 10

    assert good.lines() == []
    assert ignored.ignored == ("providers.inference[vllm].config.api_key",)
    assert seconds < 0.5


def test_the_classes_find_every_kind_of_defect(bed: Bed) -> None:
    release = newest("0.7")
    config = minimal(release) + textwrap.dedent(
        """\
            connectors: {backend: nowhere, namespace: connectors}
        registered_resources:
          models:
          - {model_id: m, provider_id: absent}
          tool_groups:
          - {toolgroup_id: t, provider_id: absent}
        """
    )
    config = config.replace("apis: [inference]", "apis: [inference, safety, files]")
    config = config.replace(
        "providers:\n",
        "providers:\n"
        "  safety:\n"
        "  - {provider_id: twice, provider_type: 'inline::llama-guard'}\n"
        "  - {provider_id: twice, provider_type: 'inline::llama-guard'}\n"
        "  eval:\n"
        "  - provider_id: judge\n"
        "    provider_type: inline::builtin\n"
        "    config: {kvstore: {backend: sql_default, namespace: e}}\n",
    )
    env = {"URL": "http://127.0.0.1:9/v1", "TOKEN": "12345", "RUN_DIR": "/nonexistent"}

    with Validator(bed, release) as validator:
        report = validator.check(config, env)

    errors = "\n".join(report.errors)
    assert "providers.inference[vllm].config.api_token: Input should be a valid string" in errors
    assert "storage.stores.connectors: unknown backend 'nowhere'" in errors
    assert "providers.eval[judge].config.kvstore: backend 'sql_default' is sql_sqlite" in errors
    assert "apis: 'files' has no provider" in errors
    assert "registered_resources.models[0]: provider 'absent' not found" in errors
    assert report.ignored == ("registered_resources.tool_groups",)
    assert "providers.eval[judge]: scoring" in report.missing
    assert report.duplicates == ("providers.safety[twice]",)


def test_redis_answers_to_its_password_only(bed: Bed) -> None:
    with Redis(bed, password="open sesame") as server:
        assert server.cli("ping") == "PONG"
        server.password = ""
        assert "NOAUTH" in server.cli("ping")


def test_postgres_gives_a_user_a_database(postgres: Postgres) -> None:
    postgres.database("orders", "o'wner", "p@ss'w/rd")

    assert postgres.query("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname='orders'")
    with pytest.raises(BedError, match="already exists"):
        postgres.database("orders", "o'wner", "")


def test_a_service_comes_back_with_its_data(bed: Bed) -> None:
    with Postgres(bed) as server:
        server.query("CREATE TABLE kept AS SELECT 42 AS answer")
        port = server.port
        server.stop()
        with pytest.raises(BedError):
            server.query("SELECT 1")
        server.start()

        assert server.query("SELECT answer FROM kept") == "42"
        assert server.port == port


def test_the_registry_keeps_an_image(registry: Registry) -> None:
    digest = registry.put_image("library/llama", "0.7.3")

    assert digest.startswith("sha256:")
    assert digest == registry.put_image("library/llama", "latest")
    assert digest != registry.put_image("library/llama", "other", {"author": "somebody else"})


def test_a_registry_with_passwords_refuses_strangers(bed: Bed) -> None:
    with Registry(bed, htpasswd={"user": "pw"}) as server:
        server.put_image("private/llama", "1")
        with pytest.raises(BedError, match="401"):
            server.put_image("private/llama", "2", authorization="Basic bm86Ym9keQ==")


def test_what_a_killed_process_started_is_stopped_and_removed(bed: Bed) -> None:
    script = (
        "import sys, time\n"
        "from hack.servers.bed import Bed\n"
        "from hack.servers.services import Redis\n"
        "bed = Bed.open([])\n"
        "with Redis(bed) as server:\n"
        "    print(server._program.id.pid, server.household.directory, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        pid, _, directory = child.stdout.readline().strip().partition(" ")
        process = ProcessId.of(int(pid))
        assert process is not None
        child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while Path(directory).exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not Path(directory).exists()
    assert not process.alive()
