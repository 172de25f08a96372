# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The server that the API server calls: HTTP/1.1 over TLS, with limits (H1).

Whatever goes wrong is an answer that lets nothing through: 400 for a body that is no review, 413
and 503 for what is too much, 504 for what took too long, 500 for a bug, which is counted. The API
server turns each into a refusal of the write.

Nobody is authenticated: whoever reaches the port learns what the rules say of an object of his own,
and with a namespace whether a name in it exists. A NetworkPolicy can keep others away. So nobody
may take much, either: bodies are bounded, one by one and all together, and so is the time for
sending them.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from aiohttp import web

from llamastack_operator.observability.bind import listen
from llamastack_operator.settings_values import duration
from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.review import MalformedReview

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from aiohttp import StreamReader

    from llamastack_operator.observability.bind import BindAddress
    from llamastack_operator.webhooks.metrics import WebhookMetrics
    from llamastack_operator.webhooks.tls import ServingContext

log = structlog.get_logger(__name__)

MOST_OF_ADMISSION: Final = 8 << 20
"""Bytes of a review: an object and the one before it, of which the API server takes 3 MiB each."""

MOST_OF_CONVERSION: Final = 16 << 20
"""Bytes of a review: a thousand objects of 16 KiB, or ten of the largest that etcd can hold. The
API server reads its storage object by object, so a review with more than one is rare."""

MOST_AT_ONCE: Final = 32 << 20
"""Bytes of all bodies in work. The container may have 512 MiB, and JSON grows when it is read:
:data:`llamastack_operator.webhooks.review.MOST_PARTS` says how much."""

DEFAULT_TIMEOUT_S: Final = 10.0
"""The API server's own for admission; it sends the one that is configured."""

LONGEST_TIMEOUT_S: Final = 30.0  # the most that it lets anybody configure
MARGIN_S: Final = 1.0
"""By how much an answer comes before the time-out: late answers are no answers."""

GRACE_S: Final = 0.25
"""What a handler gets beyond its deadline to say what it knows."""

IDLE_S: Final = 120.0
"""A connection without a request. Longer than the 90 s of the API server, so that it is never the
one who finds a connection closed while it writes."""

LINGER_S: Final = 1.0
"""How long a body that is refused may go on arriving, so that its sender reads why."""

STOP_TIMEOUT_S: Final = 2.0
"""For requests that are in work when the server stops; nearly all take milliseconds."""

_CHUNK: Final = 1 << 20  # bytes read at a time

_JSON: Final = "application/json"


class Handler(Protocol):
    """Answers reviews of one kind."""

    def __call__(self, body: bytes, *, deadline: float) -> Awaitable[bytes]:
        """The answer to a body, by a deadline on the loop's clock."""
        ...


class WebhookServer:
    """Serves reviews.

    Args:
        flag: the setting that names the port, for messages.
        address: where to listen.
        serving: what connections get.
        handlers: by path.
        metrics: counts requests.
    """

    def __init__(
        self,
        flag: str,
        address: BindAddress,
        serving: ServingContext,
        handlers: Mapping[str, Handler],
        metrics: WebhookMetrics,
    ) -> None:
        self._flag = flag
        self._address = address
        self._serving = serving
        self._handlers = handlers
        self._metrics = metrics
        self._bytes = 0
        server = web.Server(
            self._answer,
            access_log=None,
            logger=_unheard(),
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
            auto_decompress=False,  # what is sent is counted, so it must not grow
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_TIMEOUT_S)
        self._port: int | None = None

    @property
    def port(self) -> int | None:
        """The port that is really bound; ``None`` while the server does not run."""
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            AddressInUse: another process listens there.
            BindError: nothing can listen there.
        """
        listener = listen(self._flag, self._address)
        try:
            await self._runner.setup()
            site = web.SockSite(self._runner, listener, ssl_context=self._serving.listening)
            await site.start()
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        log.info("Listened", flag=self._flag, host=self._address.host or "*", port=self._port)

    async def stop(self) -> None:
        """Take no more connections, and finish what is in work. Safe to call twice."""
        self._port = None
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = self._handlers.get(request.path)
        if handler is None:
            return _refusal(HTTPStatus.NOT_FOUND, "there is no webhook at this path")
        clock = asyncio.get_running_loop().time
        began, code = clock(), HTTPStatus.INTERNAL_SERVER_ERROR
        self._metrics.webhook_began(request.path)
        try:
            response = await self._guarded(request, handler, began + _time_of(request))
            code = HTTPStatus(response.status)
        finally:
            self._metrics.webhook_ended(request.path, int(code), clock() - began)
        return response

    async def _guarded(
        self, request: web.BaseRequest, handler: Handler, deadline: float
    ) -> web.Response:
        length = request.content_length
        problem = self._problem(request, length)
        if problem is not None:
            return problem
        received: list[bytes] = []
        try:
            async with asyncio.timeout_at(deadline):
                await self._receive(request.content, length or 0, received)
            body = b"".join(received)
            # The handler has the same deadline, and more to say when it comes; a second one here
            # is for what does not look at the clock.
            async with asyncio.timeout_at(deadline + GRACE_S):
                answer = await handler(body, deadline=deadline)
        except TimeoutError:
            return _refusal(HTTPStatus.GATEWAY_TIMEOUT, "the webhook was not done in time")
        except _TooMuch:
            return _too_much()
        except asyncio.IncompleteReadError:
            return _refusal(HTTPStatus.BAD_REQUEST, "the body is shorter than its length says")
        except MalformedReview as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        except Exception:
            self._metrics.webhook_panicked()
            log.exception("Failed to answer a webhook", webhook=request.path)
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the webhook failed; see its log")
        finally:
            self._bytes -= sum(map(len, received))
        return web.Response(body=answer, content_type=_JSON)

    async def _receive(self, content: StreamReader, length: int, received: list[bytes]) -> None:
        """Read a body. What counts is what came: a length costs its sender nothing."""
        missing = length
        while missing:
            chunk = await content.read(min(missing, _CHUNK))
            if not chunk:
                raise asyncio.IncompleteReadError(b"", length)
            if self._bytes + len(chunk) > MOST_AT_ONCE:
                raise _TooMuch
            received.append(chunk)
            self._bytes += len(chunk)
            missing -= len(chunk)

    def _problem(self, request: web.BaseRequest, length: int | None) -> web.Response | None:
        most = MOST_OF_CONVERSION if request.path == names.CONVERT else MOST_OF_ADMISSION
        if request.method != "POST":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "reviews are sent with POST")
        if request.content_type != _JSON:
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"reviews are {_JSON}")
        if length is None:
            return _refusal(HTTPStatus.LENGTH_REQUIRED, "the length of the body is not given")
        if length > most:
            text = f"the review has {length} bytes, and at most {most} are read"
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        return None


class _TooMuch(Exception):
    """There are too many bytes of bodies in work."""


def _too_much() -> web.Response:
    return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many reviews at once; try again")


def _unheard() -> logging.Logger:
    """For what aiohttp tells: a trace for each request that is no HTTP, whoever sends it.

    Our own failures are told here.
    """
    logger = logging.getLogger("aiohttp.webhooks")
    logger.setLevel(logging.CRITICAL)
    return logger


def _refusal(status: HTTPStatus, text: str) -> web.Response:
    """What the API server shows as the reason; a body that was not read ends the connection."""
    response = web.Response(status=status, text=text)
    response.force_close()
    return response


def _time_of(request: web.BaseRequest) -> float:
    """How long an answer may take: what the API server will wait for it, and less than that."""
    try:
        timeout_s = duration(request.query.get("timeout", ""))
    except ValueError:
        timeout_s = DEFAULT_TIMEOUT_S
    timeout_s = min(timeout_s, LONGEST_TIMEOUT_S)
    return timeout_s - MARGIN_S if timeout_s > 2 * MARGIN_S else timeout_s / 2
