# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Chunks become lines; a truncated rest never becomes an event (A15, A16)."""

from __future__ import annotations

import orjson
import pytest

from informers.errors import LineTooLong
from informers.lines import LineSplitter, key_hint

MIB = 1024 * 1024


def test_lines_end_at_newlines_and_wait_for_them() -> None:
    splitter = LineSplitter()

    assert splitter.feed(b"one\ntw") == [b"one"]
    assert splitter.feed(b"o") == []
    assert splitter.feed(b"\nthree\n") == [b"two", b"three"]
    assert splitter.eof() == 0


def test_empty_lines_are_not_events() -> None:
    assert LineSplitter().feed(b"\n\none\n\n") == [b"one"]


def test_rest_at_the_end_is_reported_and_not_handed_out() -> None:
    splitter = LineSplitter()
    complete_json_without_newline = b'{"type":"ADDED"}'

    assert splitter.feed(complete_json_without_newline) == []
    assert splitter.eof() == len(complete_json_without_newline)
    assert splitter.eof() == 0


@pytest.mark.parametrize("size", [int(1.5 * MIB), int(3.9 * MIB), 8 * MIB])
def test_big_lines_pass_up_to_the_default_maximum(size: int) -> None:
    splitter = LineSplitter()
    data = b"x" * size + b"\n"

    lines = [
        each for i in range(0, len(data), 65_536) for each in splitter.feed(data[i : i + 65_536])
    ]

    assert [len(each) for each in lines] == [size]


@pytest.mark.parametrize("chunk", [7, 100, 10_000])
def test_longer_line_is_refused_as_soon_as_it_is_too_long(chunk: int) -> None:
    splitter = LineSplitter(max_line_bytes=100)
    data = b"y" * 1000 + b"\n"
    chunks = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    accepted: list[bytes] = []

    def feed_all() -> None:
        for each in chunks:
            splitter.feed(each)
            accepted.append(each)

    with pytest.raises(LineTooLong, match="longer than 100 bytes"):
        feed_all()

    assert sum(len(each) for each in accepted) <= 100


def test_too_long_line_names_its_object_even_though_it_is_cut() -> None:
    event = {
        "type": "ADDED",
        "object": {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "labels": {"name": "not-this"},
                "managedFields": [{"name": "nor-this", "metadata": {"name": "nor-that"}}],
                "name": "big",
                "namespace": "prod",
            },
            "data": {"metadata": "z" * 1000},
        },
    }

    with pytest.raises(LineTooLong, match="of prod/big is longer"):
        LineSplitter(max_line_bytes=500).feed(orjson.dumps(event))


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        (b'{"type":"ADDED","object":{"metadata":{"name":"node-1","uid":"x', "node-1"),
        (b'{"type":"ADDED","object":{"data":{"metadata":{"name":"no"}},"metadata":{"na', ""),
        (b'{"object":{"metadata":{"name":"a\\"b","namespace":"ns"}', 'ns/a\\"b'),
        (b"<html><body>", ""),
        (b"}}}]]", ""),
        (b"", ""),
    ],
)
def test_key_is_found_only_where_it_belongs(prefix: bytes, key: str) -> None:
    assert key_hint(prefix) == key
