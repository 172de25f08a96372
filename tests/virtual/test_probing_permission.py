# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether servers are asked: as the flag says, and as the rights allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from llamastack_operator.probing.permission import may_probe
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.process import settings
from tests.support.fakeapi.server import FakeApi

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize(
    ("mode", "allowed", "asked"),
    [
        ("off", True, False),
        ("direct", True, True),
        ("direct", False, True),  # a Service needs no right
        ("proxy", True, True),
        ("proxy", False, False),
    ],
)
async def test_servers_are_asked_where_that_is_wanted_and_allowed(
    tmp_path: Path, mode: str, allowed: bool, asked: bool
) -> None:
    api = FakeApi()
    api.everything_is_allowed = allowed

    with capture_logs() as logs:
        found = await may_probe(FakeClient(api), settings(tmp_path, f"--probe-servers={mode}"))

    assert found is asked
    said = [entry["event"] for entry in logs]
    assert ("Left servers unasked for want of a right" in said) is (mode == "proxy" and not allowed)
