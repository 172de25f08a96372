# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The probe and metrics endpoints, over real sockets."""

from __future__ import annotations

import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from llamastack_operator.observability.bind import AddressInUse, BindAddress, BindError, listen
from llamastack_operator.observability.health import (
    Checks,
    HttpServer,
    health_app,
    metrics_app,
)

LOCAL = BindAddress.parse("127.0.0.1:0")


class Exposition:
    def render(self, accept: str) -> tuple[bytes, str]:
        return f"# accept {accept}\n".encode(), "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serving(app: web.Application, address: BindAddress = LOCAL) -> AsyncIterator[str]:
    server = HttpServer("--test-address", address, app)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8080", BindAddress("", 8080)),
        (":0", BindAddress("", 0)),
        ("127.0.0.1:65535", BindAddress("127.0.0.1", 65535)),
        ("localhost:1", BindAddress("localhost", 1)),
        ("[::1]:8081", BindAddress("::1", 8081)),
        ("0", BindAddress(enabled=False)),
    ],
)
def test_address_is_read_and_written_in_the_spelling_of_go(
    text: str, expected: BindAddress
) -> None:
    assert BindAddress.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "8080", ":", ":65536", ":-1", ":http", "::1:80", ":٣", "a b"])
def test_address_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not \[HOST\]:PORT|several colons"):
        BindAddress.parse(text)


async def test_healthy_checks_answer_ok() -> None:
    healthz = Checks()
    healthz.add("leader-election", lambda: None)
    async with serving(health_app(healthz=healthz, readyz=Checks())) as url:
        assert await get(f"{url}/healthz") == (200, "ok")
        assert await get(f"{url}/readyz") == (200, "ok")
        assert await get(f"{url}/healthz?verbose") == (
            200,
            "[+]leader-election ok\nhealthz check passed\n",
        )


async def test_failing_check_is_named_with_its_reason() -> None:
    readyz = Checks()
    readyz.add("webhooks", lambda: None)
    readyz.add("informers", lambda: "2 of 9 are not synced")
    async with serving(health_app(healthz=Checks(), readyz=readyz)) as url:
        assert await get(f"{url}/readyz") == (
            500,
            "[+]webhooks ok\n[-]informers failed: 2 of 9 are not synced\nreadyz check failed\n",
        )
        assert (await get(f"{url}/healthz"))[0] == 200


async def test_check_that_raises_has_failed() -> None:
    def broken() -> str | None:
        raise RuntimeError("internals")

    healthz = Checks()
    healthz.add("odd", broken)
    async with serving(health_app(healthz=healthz, readyz=Checks())) as url:
        status, text = await get(f"{url}/healthz")

    assert status == 500
    assert "[-]odd failed: the check raised RuntimeError" in text
    assert "internals" not in text


def test_two_checks_of_one_name_are_refused() -> None:
    checks = Checks()
    checks.add("x", lambda: None)
    with pytest.raises(ValueError, match="named x"):
        checks.add("x", lambda: None)


async def test_checks_are_asked_again_each_time() -> None:
    problems = ["starting", None]
    readyz = Checks()
    readyz.add("start", lambda: problems.pop(0))
    async with serving(health_app(healthz=Checks(), readyz=readyz)) as url:
        assert (await get(f"{url}/readyz"))[0] == 500
        assert (await get(f"{url}/readyz"))[0] == 200


async def test_metrics_pass_on_what_the_scraper_accepts() -> None:
    async with serving(metrics_app(Exposition())) as url:
        status, text = await get(f"{url}/metrics", Accept="application/openmetrics-text")

    assert (status, text) == (200, "# accept application/openmetrics-text\n")


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("identity", False)],
)
async def test_metrics_are_compressed_for_whoever_accepts_it(accepted: str, zipped: bool) -> None:
    async with (
        serving(metrics_app(Exposition())) as url,
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"{url}/metrics", headers={"Accept-Encoding": accepted}) as response,
    ):
        body = await response.read()

        assert (response.headers.get("Content-Encoding") == "gzip") is zipped
        assert (gzip.decompress(body) if zipped else body).startswith(b"# accept")


async def test_all_interfaces_share_one_free_port() -> None:
    app = health_app(healthz=Checks(), readyz=Checks())
    async with serving(app, BindAddress.parse(":0")) as url:
        assert await get(f"{url}/healthz") == (200, "ok")
        if socket.has_dualstack_ipv6():
            assert await get(url.replace("127.0.0.1", "[::1]") + "/healthz") == (200, "ok")


async def test_server_that_is_off_listens_nowhere() -> None:
    server = HttpServer("--x", BindAddress.parse("0"), web.Application())
    await server.start()

    assert server.port is None
    await server.stop()


async def test_port_in_use_is_an_error_that_names_the_flag_and_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = BindAddress("127.0.0.1", taken.getsockname()[1])
        server = HttpServer("--metrics-bind-address", address, web.Application())

        with pytest.raises(AddressInUse, match="is in use") as caught:
            await server.start()
        assert (caught.value.flag, caught.value.address) == ("--metrics-bind-address", address)
        assert str(caught.value).startswith(f"--metrics-bind-address {address}: ")
        await server.stop()


@pytest.mark.parametrize("host", ["192.0.2.1", "x..y"])
def test_place_where_nothing_can_listen_is_a_clear_error(host: str) -> None:
    with pytest.raises(BindError, match=r"--x .*: cannot listen there"):
        listen("--x", BindAddress(host, 0))


async def test_port_is_free_again_after_stop() -> None:
    app = health_app(healthz=Checks(), readyz=Checks())
    server = HttpServer("--x", LOCAL, app)
    await server.start()
    port = server.port
    assert port is not None
    await get(f"http://127.0.0.1:{port}/healthz")
    await server.stop()
    await server.stop()

    listen("--x", BindAddress("127.0.0.1", port)).close()
