# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Of the client library only the loaders of credentials are imported."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from llamastack_operator.kube import library

ALONE = """
import sys
from llamastack_operator.kube.library import loaders

found = loaders()
configuration = found.configuration()
assert (found.in_cluster.__name__, found.kubeconfig.__name__) == (
    "load_incluster_config", "load_kube_config"
)
assert configuration.verify_ssl is True
assert not [name for name in sys.modules if name.startswith("kubernetes_asyncio")]
"""
AFTERWARDS = f"{ALONE}\nimport kubernetes_asyncio.client\nkubernetes_asyncio.client.V1Pod()\n"
BEFORE = """
import kubernetes_asyncio.client as client
from llamastack_operator.kube.library import loaders

assert loaders().configuration().verify_ssl is True
import kubernetes_asyncio.client
assert kubernetes_asyncio.client is client, "there are two of it"
"""


@pytest.mark.parametrize("program", [ALONE, AFTERWARDS, BEFORE], ids=["alone", "after", "before"])
def test_loaders_come_without_the_rest_and_leave_no_trace(program: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stderr


def test_library_that_is_built_otherwise_is_used_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def otherwise() -> Iterator[None]:
        raise ImportError("no such module")
        yield

    monkeypatch.setattr(library, "_stand_ins", otherwise)

    found = library.loaders.__wrapped__()

    from kubernetes_asyncio.client import Configuration  # noqa: PLC0415 -- heavy

    assert found.configuration is Configuration
