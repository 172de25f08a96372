# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the log shows, and what it never shows."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from informers.ports import ObjectKey
from llamastack_operator.observability.logging import Format, configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(secret: str) -> None:
    hidden = secret
    raise ValueError(len(hidden))


def test_record_is_one_json_object_with_its_facts_as_fields() -> None:
    stream = io.StringIO()
    configure("info", "json", stream=stream)
    structlog.contextvars.bind_contextvars(reconcile_id="42")

    structlog.get_logger("a.module").info("Applied Deployment", key=ObjectKey("ns", "x"), n=3)

    (record,) = lines(stream)
    moment = datetime.fromisoformat(record.pop("timestamp"))
    assert moment.utcoffset() == timedelta(0)
    assert record == {
        "event": "Applied Deployment",
        "level": "info",
        "logger": "a.module",
        "key": "ns/x",
        "n": 3,
        "reconcile_id": "42",
    }


def test_level_filters_our_own_records() -> None:
    stream = io.StringIO()
    configure("warning", "json", stream=stream)
    log = structlog.get_logger()

    log.info("Quiet")
    log.warning("Loud")

    assert [record["event"] for record in lines(stream)] == ["Loud"]


def test_exception_is_part_of_its_record_and_shows_no_local_variables() -> None:
    stream = io.StringIO()
    configure("info", "json", stream=stream)
    try:
        fail("-".join(["hunter", "2"]))
    except ValueError:
        structlog.get_logger().exception("Failed to reconcile")

    (record,) = lines(stream)
    assert "ValueError: 8" in record["exception"]
    assert "hunter-2" not in stream.getvalue()


def test_console_exception_shows_no_local_variables() -> None:
    stream = io.StringIO()
    configure("info", "console", stream=stream)
    try:
        fail("-".join(["hunter", "2"]))
    except ValueError:
        structlog.get_logger().exception("Failed to reconcile")

    assert "ValueError: 8" in stream.getvalue()
    assert "hunter-2" not in stream.getvalue()


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_bodies_that_libraries_log_at_debug_never_appear(fmt: Format) -> None:
    stream = io.StringIO()
    configure("debug", fmt, stream=stream)
    library = logging.getLogger("kubernetes_asyncio.client.rest")
    library.setLevel(logging.DEBUG)  # as Configuration(debug=True) does
    try:
        library.debug("response body: %s", "c2VjcmV0")
        library.info("also: %s", "c2VjcmV0")
    finally:
        library.setLevel(logging.NOTSET)

    assert stream.getvalue() == ""


def test_warnings_of_libraries_come_out_in_the_same_format() -> None:
    stream = io.StringIO()
    configure("info", "json", stream=stream)

    logging.getLogger("aiohttp.server").warning("Unhandled %s", "thing")

    (record,) = lines(stream)
    assert (record["event"], record["level"], record["logger"]) == (
        "Unhandled thing",
        "warning",
        "aiohttp.server",
    )
    assert record["timestamp"].endswith("Z")


def test_text_of_users_cannot_forge_a_line_on_the_console() -> None:
    stream = io.StringIO()
    configure("info", "console", stream=stream)

    structlog.get_logger().info("Saw a name", name="x\n2026 [error] Forged\x1b[31m")

    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    "odd", ["\ud800", 1 << 80, {1: "int key"}, {ObjectKey("a", "b"): 1}, object()]
)
def test_value_that_json_does_not_know_is_still_logged(odd: object) -> None:
    stream = io.StringIO()
    configure("info", "json", stream=stream)

    structlog.get_logger().info("Odd", odd=odd)

    (record,) = lines(stream)
    assert record["event"] == "Odd"


def test_configuring_twice_writes_each_record_once() -> None:
    stream = io.StringIO()
    configure("info", "json", stream=io.StringIO())
    configure("info", "json", stream=stream)

    logging.getLogger("aiohttp.server").error("Once")

    assert len(lines(stream)) == 1
