# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Bytes become providers and a version, or a few words about why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.llamastack.server.answers import (
    LONGEST_MESSAGE,
    MOST_PROVIDERS,
    ShapeUnknown,
    providers,
    version,
)
from controller.llamastack.server.probe_port import ReportedProvider
from tests.support.llama_servers import SECRET

VLLM = {"api": "inference", "provider_id": "vllm", "provider_type": "remote::vllm"}
FOUND = ReportedProvider("inference", "vllm", "remote::vllm")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["data", "api", "provider_id", "provider_type", "health", "status", "message", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "shape",
    [
        {"data": [VLLM]},
        [VLLM],
        {"inference": [{k: v for k, v in VLLM.items() if k != "api"}]},
        {"data": [VLLM, None, "x", {"api": "safety"}, {**VLLM, "provider_id": 7}]},
        {"data": [{**VLLM, "config": None, "health": None, "new": {"field": 1}}]},
    ],
)
def test_every_shape_of_a_list_is_understood(shape: Any) -> None:
    assert providers(encoded(shape)) == (FOUND,)


@pytest.mark.parametrize("shape", [{"data": []}, [], {}])
def test_server_without_providers_lists_none(shape: Any) -> None:
    assert providers(encoded(shape)) == ()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the answer is not JSON"),
        (b"<html>", "the answer is not JSON"),
        (b"\xff\xfe", "the answer is not JSON"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b"null", "the answer is no list of providers"),
        (b'"data"', "the answer is no list of providers"),
        (b'{"data": null}', "the answer is no list of providers"),
        (b'{"data": {"a": {}}}', "the answer is no list of providers"),
        (b'{"detail": "Not Found"}', "the answer is no list of providers"),
        (b'{"data": [1, 2]}', "the answer lists something other than providers"),
    ],
)
def test_everything_else_is_said_to_be_something_else(body: bytes, why: str) -> None:
    with pytest.raises(ShapeUnknown, match=f"^{why}$"):
        providers(body)


def test_list_without_measure_is_refused() -> None:
    with pytest.raises(ShapeUnknown, match="more than 200"):
        providers(encoded([VLLM] * (MOST_PROVIDERS + 1)))


def test_order_is_ours() -> None:
    items = [{**VLLM, "provider_id": name} for name in "cab"]

    assert [p.id for p in providers(encoded(items))] == ["a", "b", "c"]
    assert providers(encoded(items)) == providers(encoded(items[::-1]))


def test_configuration_is_not_taken() -> None:
    item = {**VLLM, "config": {"api_token": SECRET, "deep": [SECRET]}}

    assert SECRET not in repr(providers(encoded({"data": [item]})))


@pytest.mark.parametrize(
    ("status", "message", "kept"),
    [
        ("Not Implemented", "Provider does not implement health check", True),
        ("OK", "Fine.", True),
        ("Error", "Connection refused", False),
        ("Error", f"Wrong key {SECRET}", False),
        ("OK", f"Reached https://me:{SECRET}@host", False),
        ("OK", "x" * (LONGEST_MESSAGE + 1), False),
        ("OK", None, False),
    ],
)
def test_health_is_the_word_of_the_server_and_explanations_that_hold_no_secret(
    status: str, message: str | None, kept: bool
) -> None:
    item = {**VLLM, "health": {"status": status, "message": message}}

    (found,) = providers(encoded([item]))

    assert found.health == status
    assert found.message == (message if kept else "")


def test_words_that_would_break_a_line_are_no_words() -> None:
    with pytest.raises(ShapeUnknown):
        providers(encoded([{**VLLM, "provider_id": "a\nb"}]))
    with pytest.raises(ShapeUnknown):
        providers(encoded([{**VLLM, "provider_type": "x" * 300}]))


@pytest.mark.parametrize("text", ["0.7.3", "0.2.23", "0.5.4rc1", "1.5.0+dev.1", "1!2.0"])
def test_version_is_read(text: str) -> None:
    assert version(encoded({"version": text})) == text
    assert version(encoded(text)) == text


@pytest.mark.parametrize(
    "shape", [{}, None, [], {"version": None}, {"version": 7}, "", "a b", "x" * 65, "0.7\n"]
)
def test_version_that_is_none_is_none(shape: Any) -> None:
    with pytest.raises(ShapeUnknown, match="the answer has no version"):
        version(encoded(shape))


@settings(max_examples=80)
@given(json_values | st.dictionaries(st.just("data"), st.lists(json_values)))
def test_any_json_is_understood_or_refused(value: Any) -> None:
    try:
        found = providers(encoded(value))
    except ShapeUnknown:
        return
    assert all(p.api and p.id and p.type for p in found)
    assert all(f"{p.api}{p.id}{p.type}{p.health}{p.message}".isprintable() for p in found)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_understood_or_refused(body: bytes) -> None:
    said = set()
    for read in (providers, version):
        try:
            read(body)
        except ShapeUnknown as error:
            said.add(str(error))
    assert all(text.startswith("the answer ") for text in said)
