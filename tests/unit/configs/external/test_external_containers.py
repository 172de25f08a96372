# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Names of the init containers of external providers."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.external_apis import PROVIDER_ID
from configs.external import containers

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
IDS = st.from_regex(PROVIDER_ID, fullmatch=True).filter(lambda text: len(text) <= 63)


def test_name_is_the_providers_behind_a_prefix() -> None:
    assert containers.install("custom-vllm") == "install-provider-custom-vllm"
    assert containers.install("a" * 46) == "install-provider-" + "a" * 46


@pytest.mark.parametrize("length", [47, 63])
def test_long_name_is_cut_and_ends_in_the_digest_of_the_id(length: int) -> None:
    identity = "b" * length
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]

    assert containers.install(identity) == f"install-provider-{'b' * 37}-{digest}"


def test_cut_leaves_no_dash_at_the_end() -> None:
    identity = "c" * 35 + "--" + "d" * 20
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]

    assert containers.install(identity) == f"install-provider-{'c' * 35}-{digest}"


def test_long_ids_with_one_beginning_have_two_names() -> None:
    assert containers.install("e" * 50 + "1") != containers.install("e" * 50 + "2")


@given(identity=IDS)
def test_every_id_leads_to_a_label_that_is_known_as_ours(identity: str) -> None:
    name = containers.install(identity)

    assert len(name) <= 63
    assert LABEL.fullmatch(name)
    assert containers.is_ours(name)
    assert name not in {containers.MERGE, containers.PREFLIGHT}


def test_containers_of_others_are_not_ours() -> None:
    assert containers.is_ours("merge-config")
    assert containers.is_ours("preflight")
    assert not any(map(containers.is_ours, ("llama-stack", "istio-init", "preflight-2", "")))
