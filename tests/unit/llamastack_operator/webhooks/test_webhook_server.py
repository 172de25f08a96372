# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The webhook server, asked over TLS on loopback (H1, H4)."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest

from llamastack_operator.observability.bind import AddressInUse, BindAddress
from llamastack_operator.webhooks import names, server
from llamastack_operator.webhooks.certificates.pair import Pair
from llamastack_operator.webhooks.converting import answer_conversion
from llamastack_operator.webhooks.review import MalformedReview
from llamastack_operator.webhooks.server import Handler, WebhookServer
from llamastack_operator.webhooks.tls import BadPair, ServingContext
from tests.support import reviews
from tests.support.authority import Authority
from tests.support.serving import Counts, Served, pair_of, served, trusting

AUTHORITY = Authority()
PAIR = pair_of(AUTHORITY)


async def echo(body: bytes, *, deadline: float) -> bytes:
    return b'{"got": ' + str(len(body)).encode() + b"}"


async def convert(body: bytes, *, deadline: float) -> bytes:
    return await answer_conversion(body)


class Handlers:
    """Handlers that do as they are told."""

    def __init__(self) -> None:
        self.validate: Handler = echo

    async def answer(self, body: bytes, *, deadline: float) -> bytes:
        return await self.validate(body, deadline=deadline)


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def running(handlers: Handlers) -> AsyncIterator[Served]:
    both = {names.CONVERT: convert, names.VALIDATE: handlers.answer}
    async with served(both, PAIR) as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def post(
    running: Served, session: aiohttp.ClientSession, path: str, body: bytes
) -> tuple[int, bytes]:
    return await running.post(path, body, AUTHORITY, session=session)


async def raw(running: Served, *lines: str, body: bytes = b"") -> tuple[int, str]:
    """Status and body of the answer to a request written by hand."""
    reader, writer = await running.open(AUTHORITY)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            return int(head.split()[1]), (await reader.read(200)).decode()
    finally:
        writer.close()


def head(method: str = "POST", path: str = names.VALIDATE, **headers: Any) -> list[str]:
    given = {"Host": "x", "Content_Type": "application/json", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
    return [f"{method} {path} HTTP/1.1", *lines]


# --- answers -------------------------------------------------------------------------------


async def test_both_webhooks_answer_over_one_connection(
    running: Served, session: aiohttp.ClientSession
) -> None:
    status, body = await post(
        running, session, names.CONVERT, reviews.conversion(reviews.resource(), to=reviews.OLD)
    )
    assert status == HTTPStatus.OK
    (converted,) = reviews.response(body)["convertedObjects"]
    assert converted["apiVersion"] == reviews.OLD

    assert await post(running, session, names.VALIDATE, b"{}") == (200, b'{"got": 2}')
    assert running.counts.answers == {(names.CONVERT, 200): 1, (names.VALIDATE, 200): 1}
    assert running.counts.in_flight == 0


async def test_connection_is_kept_alive(running: Served) -> None:
    reader, writer = await running.open(AUTHORITY)
    for _ in range(3):
        writer.write("\r\n".join([*head(Content_Length=2), "", "{}"]).encode())
        assert b"200 OK" in await reader.readuntil(b'{"got": 2}')
    writer.close()


async def test_long_list_does_not_keep_the_loop(
    running: Served, session: aiohttp.ClientSession
) -> None:
    objects = [reviews.resource(f"r{n}", **reviews.with_key("s")) for n in range(2000)]
    body = reviews.conversion(*objects, to=reviews.OLD)
    longest, last = 0.0, time.process_time()  # on a busy machine, the clock on the wall runs on

    async def watch() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            longest, last = max(longest, now - last), now

    task = asyncio.create_task(watch())
    status, answer = await post(running, session, names.CONVERT, body)
    task.cancel()

    assert status == HTTPStatus.OK
    assert len(reviews.response(answer)["convertedObjects"]) == 2000
    # Reading and writing the JSON is one piece each; converting takes several times as long.
    assert longest < 0.25


async def test_conversion_that_fails_is_an_answer(
    running: Served, session: aiohttp.ClientSession
) -> None:
    body = reviews.conversion(reviews.resource(), reviews.resource("odd", version="v1"))

    status, answer = await post(running, session, names.CONVERT, body)

    assert status == HTTPStatus.OK
    result = reviews.response(answer)["result"]
    assert result["status"] == "Failure"
    assert "team/odd" in result["message"]


# --- whatever goes wrong lets nothing through (H1) -----------------------------------------


async def test_bug_is_a_failure_that_is_counted_and_shows_nothing(
    running: Served, session: aiohttp.ClientSession, handlers: Handlers
) -> None:
    async def fail(body: bytes, *, deadline: float) -> bytes:
        raise RuntimeError("with a secret")

    handlers.validate = fail
    status, answer = await post(running, session, names.VALIDATE, b"{}")

    assert status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert b"secret" not in answer
    assert running.counts.panics == 1
    assert running.counts.answers == {(names.VALIDATE, 500): 1}


async def test_body_that_is_no_review_is_a_bad_request(
    running: Served, session: aiohttp.ClientSession, handlers: Handlers
) -> None:
    async def refuse(body: bytes, *, deadline: float) -> bytes:
        raise MalformedReview("the body is not JSON")

    handlers.validate = refuse

    assert await post(running, session, names.VALIDATE, b"{}") == (400, b"the body is not JSON")
    assert (await post(running, session, names.CONVERT, b"{}"))[0] == HTTPStatus.BAD_REQUEST
    assert running.counts.panics == 0


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (head(path="/"), HTTPStatus.NOT_FOUND),
        (head(path="/validate/"), HTTPStatus.NOT_FOUND),
        (head("GET"), HTTPStatus.METHOD_NOT_ALLOWED),
        (head(Content_Type="text/plain", Content_Length=2), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (head(Transfer_Encoding="chunked"), HTTPStatus.LENGTH_REQUIRED),
        (head(Content_Length=server.MOST_OF_ADMISSION + 1), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (
            head(path=names.CONVERT, Content_Length=server.MOST_OF_CONVERSION + 1),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
        (["NONSENSE"], HTTPStatus.BAD_REQUEST),
    ],
)
async def test_request_that_is_none_of_ours_is_refused_before_its_body_comes(
    running: Served, lines: list[str], status: int
) -> None:
    answered, _ = await raw(running, *lines)

    assert answered == status


async def test_nonsense_of_strangers_is_not_logged(
    running: Served, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await raw(running, "NONSENSE"))[0] == HTTPStatus.BAD_REQUEST

    assert caplog.records == []


async def test_bodies_of_many_requests_are_bounded_together(
    running: Served, handlers: Handlers
) -> None:
    waiting = []
    for _ in range(server.MOST_AT_ONCE // server.MOST_OF_CONVERSION):
        reader, writer = await running.open(AUTHORITY)
        lines = head(path=names.CONVERT, Content_Length=server.MOST_OF_CONVERSION)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        writer.write(b" " * (server.MOST_OF_CONVERSION - 1))
        await writer.drain()
        waiting.append((reader, writer))
    await running.counts.until(lambda: running.counts.in_flight == len(waiting))

    async with asyncio.timeout(10):
        while (await raw(running, *head(Content_Length=9), body=b'{"a": {}}'))[0] != 503:
            pass  # the last bytes are on their way

    for _, writer in waiting:
        writer.close()
        await writer.wait_closed()
    await running.counts.until(lambda: running.counts.in_flight == 0)
    assert (await raw(running, *head(Content_Length=2), body=b"{}"))[0] == HTTPStatus.OK


async def test_lengths_that_are_only_told_keep_nobody_out(running: Served) -> None:
    """Two connections without a body kept every write in the cluster waiting."""
    waiting = []
    for _ in range(server.MOST_AT_ONCE // server.MOST_OF_CONVERSION):
        _, writer = await running.open(AUTHORITY)
        lines = head(path=names.CONVERT, Content_Length=server.MOST_OF_CONVERSION)
        writer.write("\r\n".join([*lines, "", "{"]).encode())
        waiting.append(writer)
    await running.counts.until(lambda: running.counts.in_flight == len(waiting))

    assert (await raw(running, *head(Content_Length=2), body=b"{}"))[0] == HTTPStatus.OK

    for writer in waiting:
        writer.close()
        await writer.wait_closed()


async def test_body_that_does_not_come_is_answered_in_time(running: Served) -> None:
    lines = head(path=f"{names.VALIDATE}?timeout=1s", Content_Length=100)
    began = asyncio.get_running_loop().time()

    status, text = await raw(running, *lines, body=b"{")

    assert status == HTTPStatus.GATEWAY_TIMEOUT
    assert "not done in time" in text
    assert asyncio.get_running_loop().time() - began < 0.9


async def test_handler_that_does_not_look_at_the_clock_is_ended(
    running: Served, handlers: Handlers
) -> None:
    async def sleep(body: bytes, *, deadline: float) -> bytes:
        await asyncio.sleep(3600)
        raise AssertionError

    handlers.validate = sleep
    lines = head(path=f"{names.VALIDATE}?timeout=1s", Content_Length=2)
    began = asyncio.get_running_loop().time()

    assert (await raw(running, *lines, body=b"{}"))[0] == HTTPStatus.GATEWAY_TIMEOUT
    assert asyncio.get_running_loop().time() - began < 1.0


@pytest.mark.parametrize(
    ("query", "left_s"),
    [
        ("", 9.0),
        ("?timeout=5s", 4.0),
        ("?timeout=1s", 0.5),
        ("?timeout=1h", 29.0),
        ("?timeout=x", 9.0),
    ],
)
async def test_handler_is_told_when_it_has_to_be_done(
    running: Served, session: aiohttp.ClientSession, handlers: Handlers, query: str, left_s: float
) -> None:
    async def tell(body: bytes, *, deadline: float) -> bytes:
        return str(deadline - asyncio.get_running_loop().time()).encode()

    handlers.validate = tell

    _, answer = await post(running, session, names.VALIDATE + query, b"{}")

    assert float(answer) == pytest.approx(left_s, abs=0.3)


# --- certificates (H4) ---------------------------------------------------------------------


async def test_new_connections_get_a_new_certificate_and_old_ones_go_on(
    running: Served,
) -> None:
    reader, writer = await running.open(AUTHORITY)
    other = Authority("other")
    running.context.use(pair_of(other))

    writer.write("\r\n".join([*head(Content_Length=2), "", "{}"]).encode())
    assert b"200 OK" in await reader.readuntil(b'{"got": 2}')
    writer.close()

    with pytest.raises(ssl.SSLCertVerificationError):
        await running.open(AUTHORITY)
    _, new = await running.open(other)
    new.close()


async def test_pair_that_does_not_fit_leaves_the_old_one(running: Served) -> None:
    other = pair_of(Authority("other"))
    for bad in (
        Pair(PAIR.certificate, other.key),
        Pair(b"", b""),
        Pair(PAIR.certificate, b""),
        Pair(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", PAIR.key),
    ):
        with pytest.raises(BadPair) as caught:
            running.context.use(bad)
        assert "PRIVATE" not in str(caught.value)

    assert running.context.pair == PAIR
    assert (running.counts.reads, running.counts.failed_reads) == (5, 4)
    _, writer = await running.open(AUTHORITY)
    writer.close()


async def test_without_a_certificate_handshakes_are_refused_until_there_is_one(
    handlers: Handlers,
) -> None:
    async with served({names.VALIDATE: handlers.answer}, None) as made:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await made.open(AUTHORITY)
        made.context.use(PAIR)
        await made.context.wait()
        _, writer = await made.open(AUTHORITY)
        writer.close()


async def test_plain_http_is_not_spoken(running: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"POST /validate HTTP/1.1\r\n\r\n")

    assert b"200" not in await reader.read(100)
    writer.close()


def test_old_versions_of_tls_are_not_spoken() -> None:
    assert ServingContext(Counts()).listening.minimum_version is ssl.TLSVersion.TLSv1_2


# --- start and stop ------------------------------------------------------------------------


async def test_port_in_use_is_told_by_its_setting(running: Served) -> None:
    address = BindAddress("127.0.0.1", running.port)
    second = WebhookServer("--webhook-port", address, running.context, {}, running.counts)

    with pytest.raises(AddressInUse, match="--webhook-port"):
        await second.start()


async def test_request_in_work_is_finished_and_no_other_is_taken(
    running: Served, handlers: Handlers
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(body: bytes, *, deadline: float) -> bytes:
        begun.set()
        await go_on.wait()
        return b'{"done": 1}'

    handlers.validate = wait
    port = running.port
    asked = asyncio.create_task(raw(running, *head(Content_Length=2), body=b"{}"))
    await begun.wait()
    stopping = asyncio.create_task(running.server.stop())
    await asyncio.sleep(0)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port, ssl=trusting(AUTHORITY))
    go_on.set()

    assert await asked == (200, '{"done": 1}')
    await stopping
    assert running.server.port is None


async def test_idle_connections_do_not_hold_up_the_end(running: Served) -> None:
    reader, writer = await running.open(AUTHORITY)
    writer.write("\r\n".join([*head(Content_Length=2), "", "{}"]).encode())
    await reader.readuntil(b'{"got": 2}')

    async with asyncio.timeout(server.STOP_TIMEOUT_S / 2):
        await running.server.stop()
    assert await reader.read() == b""
    writer.close()
