# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A provider that others wrote and published, from its wheels to an answer of the real server.

It is ``llama-stack-provider-trustyai-fms``, with the adapter of ``docs/examples/trustyai-fms``: in
the newest server that takes what it was written for, and in the newest ones that have its API.
"""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hack.servers.bed import Bed
from hack.servers.releases import OLDER, RELEASES, Release, newest
from hack.servers.server import LlamaServer
from tests.support import trustyai_fms
from tests.support.provider_pod import ProviderPod, in_environment, pip_python, run
from tests.support.provider_wheels import ProviderImage

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

ID = "trustyai"
TODAY = newest("0.7")
TESTED = (OLDER[-1], newest("0.5-0.6"), TODAY)
STORES: dict[str, Any] = {
    "backends": {
        "kv_default": {"type": "kv_sqlite", "db_path": "${env.RUN_DIR}/kv.db"},
        "sql_default": {"type": "sql_sqlite", "db_path": "${env.RUN_DIR}/sql.db"},
    },
    "stores": {"metadata": {"backend": "kv_default", "namespace": "registry"}},
}


@pytest.fixture(scope="module")
def image(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> ProviderImage:
    """What the example's image holds."""
    return trustyai_fms.image(bed, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def python(bed: Bed) -> Iterator[list[str]]:
    """That of the image: of the server's minor version, because of native extensions."""
    with pip_python(bed, TODAY) as python:
        yield python


@pytest.fixture
def pod(bed: Bed) -> Iterator[ProviderPod]:
    """An empty one."""
    place = bed.household.place("provider-of-others")
    yield ProviderPod(place)
    bed.household.clear(place)


@asynccontextmanager
async def detector() -> AsyncIterator[tuple[str, list[Any]]]:
    """One that finds something in every text: its URL, and the texts it was asked about."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.extend((await request.json())["contents"])
        found = {"start": 0, "end": 4, "text": "x", "detection_type": "address", "score": 0.9}
        return web.json_response([[found]])

    application = web.Application()
    application.router.add_post("/api/v1/text/contents", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def base(release: Release) -> dict[str, Any]:
    """A configuration without providers, in the words of a release."""
    shields = [{"shield_id": "pii", "provider_id": ID}]
    common: dict[str, Any] = {"version": 2, "image_name": "tests", "apis": ["safety"]}
    if release in OLDER:
        store = {"type": "sqlite", "db_path": "${env.RUN_DIR}/registry.db"}
        return {**common, "metadata_store": store, "shields": shields}
    return {**common, "storage": STORES, "registered_resources": {"shields": shields}}


@pytest.mark.parametrize(
    "release", [OLDER[-1], newest("0.5-0.6"), TODAY], ids=lambda release: release.slug
)
async def test_published_provider_is_listed_and_asks_its_detector(
    bed: Bed, pod: ProviderPod, image: ProviderImage, python: list[str], release: Release
) -> None:
    async with detector() as (url, texts):
        settings = trustyai_fms.config(url)
        installed = pod.install(image, ID, python=python, bed=bed, config=settings)
        merged = pod.merge(base(release))
        checked = pod.preflight(bed, release)
        assert [step.status for step in (installed, merged, checked)] == [0, 0, 0], (
            installed.err + merged.err + checked.err
        )
        async with LlamaServer(bed, release, pod.run_yaml, pod.python_path(bed)) as server:
            listed = (await server.get("/v1/providers"))["data"]
            answer = await server.post("/v1/safety/run-shield", asking("mail me: a@b.c"))

    assert (ID, trustyai_fms.TYPE) in [(p["provider_id"], p["provider_type"]) for p in listed]
    assert texts == ["mail me: a@b.c"]
    (result,) = answer["violation"]["metadata"]["results"]
    assert (result["status"], result["detection_type"]) == ("violation", "address")


def asking(text: str) -> dict[str, Any]:
    """A request that runs the shield."""
    messages = [{"role": "user", "content": text}]
    return {"shield_id": "pii", "messages": messages, "params": {}}


def test_nothing_that_the_server_has_is_hidden(
    bed: Bed, pod: ProviderPod, image: ProviderImage, python: list[str]
) -> None:
    assert pod.install(image, ID, python=python, bed=bed).status == 0
    assert pod.merge(base(TODAY)).status == 0

    assert pod.preflight(bed, TODAY).err == ""


# --- why there is an adapter, and why so many wheels ------------------------------------------


@pytest.fixture(scope="module")
def published(bed: Bed) -> Iterator[Path]:
    """The packages of the published wheel alone, where servers can read."""
    place = bed.household.place("published")
    (wheel,) = bed.wheels.glob(f"{trustyai_fms.PUBLISHED}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    yield place
    bed.household.clear(place)


@pytest.mark.parametrize(
    ("release", "error"),
    [
        (OLDER[-1], "pydantic_core._pydantic_core.ValidationError: 1 validation error"),
        *((one, "ModuleNotFoundError: No module named 'llama_stack") for one in RELEASES),
    ],
    ids=lambda value: value.slug if isinstance(value, Release) else "",
)
def test_published_provider_alone_has_no_spec_in_any_server(
    bed: Bed, published: Path, release: Release, error: str
) -> None:
    code = f"import {trustyai_fms.PUBLISHED}.provider as p; p.get_provider_spec()"
    variables = {"PYTHONPATH": bed.inside(published), "PYTHONDONTWRITEBYTECODE": "1"}

    done = run(in_environment(bed.python(release), variables, "-c", code))

    assert done.status == 1
    assert error in done.err


def test_preflight_wants_what_the_provider_declares_and_never_imports(
    bed: Bed, pod: ProviderPod, image: ProviderImage, python: list[str]
) -> None:
    few = {path: content for path, content in image.files.items() if "trustyai" in path}
    pod.install(ProviderImage((), image.package, image.provider_type, "safety",
                              image.metadata, files=few), ID, python=python, bed=bed)  # fmt: skip
    pod.merge(base(TODAY))

    done = pod.preflight(bed, TODAY)

    assert done.status == 1
    assert "Reason: Missing dependency\n" in done.err
    assert "Requirement: opentelemetry-exporter-otlp\nInstalled: nothing\n" in done.err
