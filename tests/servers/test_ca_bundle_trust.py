# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Real servers reach a provider of a private authority with the bundle, and do not without it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import certifi
import pytest

from controller.llamastack.references.ca_bundle import Part, join
from controller.llamastack.references.certificates import blocks, decoded
from controller.llamastack.render.ca_bundle import CA_BUNDLE_PATH, environment
from hack.servers.bed import Bed
from hack.servers.endpoint import ANSWER, OpenAIEndpoint
from hack.servers.errors import BootFailed, ServerAnswered
from hack.servers.releases import Release, newest
from informers.ports import ObjectKey
from tests.support.authority import Authority
from tests.support.kept_volume import KeptVolume

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

MODEL = "fake/llama-3"
QUESTION = {"model": f"vllm/{MODEL}", "messages": [{"role": "user", "content": "hi"}]}

CLIENTS = """
import asyncio, json, sys, urllib.request
import aiohttp, httpx, requests

url, found = sys.argv[1], {}

async def by_aiohttp():
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status

def tried(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

found["httpx"] = tried(lambda: httpx.get(url).status_code)
found["requests"] = tried(lambda: requests.get(url).status_code)
found["urllib"] = tried(lambda: urllib.request.urlopen(url).status)
found["aiohttp"] = tried(lambda: asyncio.run(by_aiohttp()))
found["authorities of httpx"] = len(httpx.create_ssl_context().get_ca_certs())
print(json.dumps(found))
"""


@pytest.fixture
def folder(bed: Bed) -> Iterator[Path]:
    """Stands for the volumes of the pod."""
    place = bed.household.place("ca-bundle")
    yield place
    bed.household.clear(place)


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def endpoint(authority: Authority, folder: Path) -> AsyncIterator[OpenAIEndpoint]:
    async with OpenAIEndpoint(tls=authority.server_context(folder)) as running:
        yield running


@pytest.fixture
def variables(bed: Bed, authority: Authority, folder: Path) -> dict[str, str]:
    """What the operator gives to a pod; the file is where a mount would be."""
    own = tuple(decoded(blocks(authority.pem)))
    part = Part(ObjectKey("n", "company"), "ca-bundle.crt", own, named=True)
    bundle = join([part], decoded(blocks(certifi.contents())), now=datetime.now(UTC))
    (folder / "ca-bundle.crt").write_text(bundle.text, encoding="ascii")
    mounted = bed.inside(folder / "ca-bundle.crt")
    return {name: path.replace(CA_BUNDLE_PATH, mounted) for name, path in environment().items()}


@pytest.mark.parametrize("era", ["0.4", "0.5-0.6", "0.7", "ogx"])
async def test_server_reaches_a_provider_of_a_private_authority_only_with_the_bundle(
    bed: Bed, folder: Path, endpoint: OpenAIEndpoint, variables: dict[str, str], era: str
) -> None:
    release = newest(era)

    with_bundle = asyncio.create_task(
        answer(KeptVolume(bed, folder, endpoint.url, variables), release)
    )
    without = asyncio.create_task(answer(KeptVolume(bed, folder, endpoint.url), release))

    assert await with_bundle == ANSWER
    assert "certificate" in (await without).lower()


async def answer(volume: KeptVolume, release: Release) -> str:
    """What a client of the server is told, or the server's log if it is told of an error."""
    volume.edit(release, MODEL)
    volume.folder = volume.folder / ("trusting" if volume.env else "plain")
    volume.folder.mkdir()
    server = volume.server(release)
    try:
        async with server:
            try:
                said = await server.post("/v1/chat/completions", QUESTION)
            except ServerAnswered:
                return "\n".join(line for line in server.log().splitlines() if "VERIFY" in line)
    except BootFailed as error:
        return error.log
    text: str = said["choices"][0]["message"]["content"]
    return text


async def test_client_libraries_of_servers_trust_the_private_authority_and_the_public_ones(
    bed: Bed, folder: Path, endpoint: OpenAIEndpoint, variables: dict[str, str]
) -> None:
    (folder / "clients.py").write_text(CLIENTS, encoding="utf-8")
    command = bed.command(newest("0.7"), "python")
    program = await asyncio.create_subprocess_exec(
        *command,
        bed.inside(folder / "clients.py"),
        f"{endpoint.url}/models",
        env={"PATH": os.environ["PATH"], "HOME": bed.inside(folder), **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await program.communicate()

    found = json.loads(output)
    assert found.pop("authorities of httpx") > 100
    assert found == dict.fromkeys(["httpx", "requests", "urllib", "aiohttp"], 200)
