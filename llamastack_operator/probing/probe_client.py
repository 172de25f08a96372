# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Two GETs to one server: a deadline in all, a size limit, no redirects, no body in any text.

A server belongs to whoever may create a resource, and is treated as hostile: it may send ten
megabytes, send for ever, answer with a web page, or lead elsewhere (a redirect would make the
operator speak to hosts that the user cannot reach). Whatever it does becomes a short text of ours.
"""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson

from controller.llamastack.server import answers
from controller.llamastack.server.answers import ShapeUnknown
from controller.llamastack.server.probe_port import ServerReport
from llamastack_operator.http_streams import hang_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from controller.llamastack.server.probe_port import Server
    from llamastack_operator.probing.routes import Route

    T = TypeVar("T")

PROVIDERS: Final = "/v1/providers"
VERSION: Final = "/v1/version"

MOST_BYTES: Final = 512 * 1024  # forty providers with their configuration take a tenth
_STATUS_BYTES: Final = 16 * 1024
_CHUNK: Final = 64 * 1024
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class NotAllowed(Exception):
    """The API server does not let us ask."""


class _Unanswered(Exception):
    """Why not, for people; about the server and nothing but the server."""


class ProbeClient:
    """Asks servers. Use as an asynchronous context manager inside the running loop.

    Args:
        route: how they are reached.
        timeout_s: for one server, everything included.
        user_agent: sent with every request.
    """

    def __init__(self, route: Route, *, timeout_s: float, user_agent: str) -> None:
        self._route = route
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ProbeClient:
        self._session = aiohttp.ClientSession(
            connector=self._route.connector(),
            headers={
                "User-Agent": self._user_agent,
                "Accept": "application/json",
                # Compressed, a few bytes could be gigabytes.
                "Accept-Encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, server: Server) -> ServerReport:
        """What the server says of itself, as far as it says anything.

        Raises:
            NotAllowed: the API server does not let us.
        """
        async with asyncio.TaskGroup() as group:
            providers = group.create_task(
                self._ask_for(server, PROVIDERS, answers.providers), name="ask providers"
            )
            version = group.create_task(
                self._ask_for(server, VERSION, answers.version), name="ask version"
            )
        listed, reported = providers.result(), version.result()
        problems: dict[str, str] = {}
        for what, answer in (("its providers", listed), ("its version", reported)):
            if isinstance(answer, NotAllowed):
                raise answer
            if isinstance(answer, _Unanswered):
                problems[what] = str(answer)
        return ServerReport(
            version=reported if isinstance(reported, str) else "",
            providers=listed if isinstance(listed, tuple) else None,
            problem=_in_words(problems),
        )

    async def _ask_for(
        self, server: Server, path: str, read: Callable[[bytes], T]
    ) -> T | _Unanswered | NotAllowed:
        """Either the one or the other, so that the second question has its chance, too."""
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._get(server, path)
            return read(body)
        except (_Unanswered, NotAllowed) as error:
            return error
        except ShapeUnknown as error:
            return _Unanswered(str(error))
        except TimeoutError:
            return _Unanswered(f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _Unanswered(_why(error))

    async def _get(self, server: Server, path: str) -> bytes:
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with` block")
        way = await self._route.way(server)
        async with self._session.get(
            str(way.base) + path,
            headers=way.headers,
            allow_redirects=False,
            proxy=way.proxy,
            server_hostname=way.server_hostname,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
        ) as response:
            try:
                if response.status == HTTPStatus.OK:
                    body = await _read(response, MOST_BYTES)
                    if len(body) > MOST_BYTES:
                        raise _Unanswered(f"the answer is longer than {MOST_BYTES // 1024} KiB")
                    return body
                raise await self._failure(response)
            finally:
                hang_up(response)

    async def _failure(self, response: aiohttp.ClientResponse) -> Exception:
        status = response.status
        if self._route.through_api and _is_from_api(await _read(response, _STATUS_BYTES)):
            if status in _REFUSED:
                return NotAllowed(f"the API server answered {status}")
            return _Unanswered("the API server cannot reach it")
        if status in _REFUSED:
            return _Unanswered(f"it answers {status}: it asks for credentials, and none are sent")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return _Unanswered(f"it answers {status}: it redirects, which is not followed")
        return _Unanswered(f"it answers {status}")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or its beginning: a little more than the limit."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)


def _is_from_api(body: bytes) -> bool:
    """Whether it is the API server's own word and not the server's."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get("kind") == "Status"


def _why(error: Exception) -> str:
    """The system's word for it, without addresses."""
    if isinstance(error, aiohttp.ClientSSLError):
        return "it does not speak TLS as it should"
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = getattr(inner, "errno", None)
    if number and number > 0:
        return os.strerror(number).lower()
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        return "the connection broke"
    return "it does not speak HTTP as it should"


def _in_words(problems: dict[str, str]) -> str:
    if not problems:
        return ""
    if len(set(problems.values())) == 1:
        what = " and ".join(problems)
        return f"could not be asked for {what}: {next(iter(problems.values()))}"
    each = "; ".join(f"for {what}: {why}" for what, why in problems.items())
    return f"could not be asked {each}"
