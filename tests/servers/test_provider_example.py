# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The provider in ``docs/examples/provider`` works in a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs import yaml_reader
from configs.external import metadata
from hack.root import ROOT
from hack.servers.bed import Bed
from hack.servers.releases import newest
from hack.servers.server import LlamaServer
from tests.support.provider_wheels import Wheel

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

EXAMPLE = ROOT / "docs" / "examples" / "provider"
RELEASE = newest("0.7")
HUMANIZE = Wheel(
    "humanize", "4.12.0", {"humanize.py": 'def naturalsize(size):\n    return f"{size} Bytes"\n'}
)


@pytest.fixture
def packages(bed: Bed) -> Iterator[Path]:
    """What would be installed of it."""
    place = bed.household.place("provider-example")
    HUMANIZE.unpack(place)
    shutil.copytree(EXAMPLE / "echo_provider", place / "echo_provider")
    yield place
    bed.household.clear(place)


async def test_provider_of_the_example_is_listed_and_answers(bed: Bed, packages: Path) -> None:
    described = metadata.parse((EXAMPLE / "lls-provider-spec.yaml").read_bytes())
    provider = {
        "provider_id": "my-echo",
        "provider_type": described.provider_type,
        "module": described.module,
        "config": {"prefix": "you said: "},
    }
    config: dict[str, Any] = {
        "version": 2,
        "distro_name": "tests",
        "apis": [described.api],
        "providers": {described.api: [provider]},
        "storage": {
            "backends": {
                "kv_default": {"type": "kv_sqlite", "db_path": "${env.RUN_DIR}/kv.db"},
                "sql_default": {"type": "sql_sqlite", "db_path": "${env.RUN_DIR}/sql.db"},
            },
            "stores": {"metadata": {"backend": "kv_default", "namespace": "registry"}},
        },
    }
    asked = {"model": "my-echo/echo-1", "messages": [{"role": "user", "content": "hello"}]}
    path = {"PYTHONPATH": bed.inside(packages)}

    async with LlamaServer(bed, RELEASE, yaml_reader.dump(config), path) as server:
        listed = (await server.get("/v1/providers"))["data"]
        answer = await server.post("/v1/chat/completions", asked)

    assert ("my-echo", "remote::echo") in [(p["provider_id"], p["provider_type"]) for p in listed]
    assert answer["choices"][0]["message"]["content"] == "you said: hello (5 Bytes)"
