# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Real servers of every release are asked as the operator asks them, and are understood."""

from __future__ import annotations

import pytest
from yarl import URL

from controller.llamastack.server.probe_port import ReportedProvider
from hack.servers.bed import Bed
from hack.servers.endpoint import OpenAIEndpoint
from hack.servers.minimal import minimal
from hack.servers.releases import RELEASES, Release
from hack.servers.server import LlamaServer
from llamastack_operator.probing.probe_client import ProbeClient
from llamastack_operator.probing.routes import Direct
from tests.support import llama_servers

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

TOKEN = "hunter2-is-the-token"

releases = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)


@releases
async def test_real_server_tells_its_version_and_providers_and_no_secret(
    bed: Bed, release: Release
) -> None:
    async with (
        OpenAIEndpoint(api_keys=[TOKEN]) as endpoint,
        LlamaServer(bed, release, minimal(release), {"URL": endpoint.url, "TOKEN": TOKEN}) as real,
        ProbeClient(Direct(), timeout_s=20.0, user_agent="test") as client,
    ):
        port = URL(real.url).port
        assert port is not None
        report = await client.ask(llama_servers.server(port=port))

    assert report.problem == ""
    assert report.version == release.version
    assert report.providers is not None
    vllm = [p for p in report.providers if p.id == "vllm"]
    text = "Provider does not implement health check"
    assert vllm == [ReportedProvider("inference", "vllm", "remote::vllm", "Not Implemented", text)]
    assert TOKEN not in repr(report)
