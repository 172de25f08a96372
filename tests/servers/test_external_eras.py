# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An external provider in the real servers of every era, merged into what is generated for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from configs import yaml_reader
from configs.eras import Era
from hack.servers.bed import Bed
from hack.servers.releases import RELEASES, Release
from hack.servers.server import LlamaServer
from tests.support.bases import HAND_MADE, generate_on
from tests.support.config_specs import secret
from tests.support.provider_pod import ProviderPod
from tests.support.provider_wheels import ECHO_TYPE, image

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

ID = "my-echo"
VLLM = {"id": "v", "provider": "vllm", "endpoint": "http://127.0.0.1:9/v1", "apiKey": secret()}


@pytest.fixture
def pod(bed: Bed) -> Iterator[ProviderPod]:
    """An empty one."""
    place = bed.household.place("external-eras")
    yield ProviderPod(place)
    bed.household.clear(place)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)
async def test_provider_is_listed_and_answers(bed: Bed, pod: ProviderPod, release: Release) -> None:
    era: Era = next(name for name in HAND_MADE if name == release.era)
    external = [{"providerId": ID, "image": "registry.example/echo:1"}]
    generated = generate_on(
        era, providers={"inference": VLLM}, externalProviders={"inference": external}
    )
    base = yaml_reader.load(str(generated.config_yaml))
    steps = (
        pod.install(image("good"), ID, config={"prefix": "said: "}),
        pod.merge(base),
        pod.preflight(bed, release),
    )
    assert [step.status for step in steps] == [0, 0, 0], [step.err for step in steps]
    data = bed.inside(pod.place)
    env = {
        **pod.python_path(bed),
        "LLSD_V_API_KEY": "k",
        "SQLITE_STORE_DIR": data,
        "FILES_STORAGE_DIR": f"{data}/files",
    }
    asked = {"model": f"{ID}/echo-1", "messages": [{"role": "user", "content": "hello"}]}

    async with LlamaServer(bed, release, pod.run_yaml, env) as server:
        listed = (await server.get("/v1/providers"))["data"]
        answer = await server.post("/v1/chat/completions", asked)

    found = {(p["api"], p["provider_id"], p["provider_type"]) for p in listed}
    assert {("inference", "v", "remote::vllm"), ("inference", ID, ECHO_TYPE)} <= found
    assert answer["choices"][0]["message"]["content"] == "said: hello"
    merged = yaml_reader.load(pod.run_yaml)
    without = [p for p in merged["providers"]["inference"] if p["provider_id"] != ID]
    assert {**merged, "providers": {**merged["providers"], "inference": without}} == base
