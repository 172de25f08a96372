# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Requests to strangers: a deadline, a size limit, careful redirects, nothing logged.

Whoever may create a resource chooses the host that is asked, so a host is treated as hostile: TLS
is verified and never given up by itself (plain HTTP only for hosts that the administrator named),
no body is read beyond its limit, and the Authorization header goes to the very origin that it was
meant for: a redirect to another host, port or scheme loses it. Registries redirect blobs to object
stores, which take offence at a foreign header, besides.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from yarl import URL

from llamastack_operator.oci.errors import (
    BadAnswer,
    DeadlineExceeded,
    TooLarge,
    Unavailable,
    Untrusted,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from multidict import CIMultiDictProxy

CALL_TIMEOUT_S: Final = 10.0  # one request and its whole answer
CONNECT_TIMEOUT_S: Final = 5.0
CONNECTIONS_PER_HOST: Final = 8
_MOST_REDIRECTS: Final = 5
_ERROR_BODY: Final = 8 * 1024  # bytes of a failure's body: enough for its code
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; of a failure, no more of the body than its code needs.

    Attributes:
        status: HTTP status.
        headers: never logged.
        body: never logged.
    """

    status: int
    headers: CIMultiDictProxy[str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether it is what was asked for."""
        return self.status == HTTPStatus.OK


class Http:
    """A connection pool for registries. Use as an asynchronous context manager.

    Args:
        tls: what to trust.
        plain_http: hosts, with port where one is used, that are spoken to without TLS.
        user_agent: sent with every request.
        call_timeout_s: for one request and its whole answer.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        plain_http: Collection[str] = (),
        user_agent: str,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._tls = tls
        self._plain_http = frozenset(plain_http)
        self._user_agent = user_agent
        self._timeout = aiohttp.ClientTimeout(
            total=call_timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, call_timeout_s)
        )
        self._proxies = getproxies_environment()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Http:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls, limit=0, limit_per_host=CONNECTIONS_PER_HOST, ttl_dns_cache=30
            ),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Proxies come from the environment, below; a .netrc must not add a password.
            trust_env=False,
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()

    def base(self, host: str) -> URL:
        """The root of a registry."""
        scheme = "http" if self.allows_http(host) else "https"
        return URL(f"{scheme}://{host}/", encoded=True)

    def allows_http(self, host: str) -> bool:
        """Whether the administrator lets us speak to a host without TLS."""
        return host in self._plain_http

    async def call(
        self,
        method: str,
        url: URL,
        *,
        limit: int,
        accept: str = "*/*",
        authorization: str | None = None,
        allow_http: bool = False,
    ) -> Answer:
        """One request, redirects followed.

        Args:
            method: GET or HEAD.
            url: where.
            limit: bytes of the body to read at most.
            accept: media types.
            authorization: value of the header, for the origin of ``url`` only.
            allow_http: whether redirects may lead to plain HTTP.

        Raises:
            RegistryError: no answer, too long an answer, or one that leads nowhere.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            headers = {"Accept": accept}
            if authorization is not None:
                headers["Authorization"] = authorization
            answer = await self._once(method, url, headers, limit)
            if answer.status not in _REDIRECTS:
                return answer
            target = _location(url, answer.headers.get("Location", ""), allow_http=allow_http)
            if target.origin() != url.origin():
                authorization = None
            url = target
        raise BadAnswer(f"{url.host} redirects in circles")

    async def _once(self, method: str, url: URL, headers: Mapping[str, str], limit: int) -> Answer:
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with` block")
        host = url.authority
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                proxy=self._proxy(url),
            ) as response:
                failed = response.status != HTTPStatus.OK
                body = await _read(response, _ERROR_BODY if failed else limit, cut=failed)
                return Answer(response.status, response.headers, body)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{host} did not answer in time") from error
        except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError) as error:
            raise Unavailable(f"cannot reach {host} through the operator's proxy") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise Untrusted(_untrusted(host, error.certificate_error)) from error
        except aiohttp.ClientSSLError as error:
            raise Untrusted(
                f"{host} does not speak TLS as it should; if it is meant to speak plain HTTP, "
                f"start the operator with --registry-plain-http={host}"
            ) from error
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL, ValueError) as error:
            raise BadAnswer(f"{host} does not speak HTTP as it should") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"cannot reach {host}: {_why(error)}") from error

    def _proxy(self, url: URL) -> str | None:
        proxy = self._proxies.get(url.scheme)
        return None if proxy is None or proxy_bypass(url.authority) else proxy


async def _read(response: aiohttp.ClientResponse, limit: int, *, cut: bool) -> bytes:
    declared = response.content_length
    if not cut and declared is not None and declared > limit and response.method != "HEAD":
        raise TooLarge(f"{response.url.host} sends {declared} bytes where {limit} are allowed")
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > limit:
            if cut:
                break
            raise TooLarge(f"{response.url.host} sends more than the {limit} bytes allowed")
    return bytes(body[:limit])


def _location(url: URL, location: str, *, allow_http: bool) -> URL:
    try:
        target = url.join(URL(location, encoded=True)) if location else None
        usable = (
            target is not None
            and bool(target.host)
            and target.user is None
            and target.scheme in ({"https", "http"} if allow_http else {"https"})
        )
    except ValueError:
        target, usable = None, False
    if target is None or not usable:
        raise BadAnswer(f"{url.host} redirects to something that is no https URL")
    return target


def _untrusted(host: str, error: Exception) -> str:
    detail = getattr(error, "verify_message", "") or type(error).__name__
    return (
        f"the certificate of {host} is not trusted: {detail}; if a private CA signed it, give that "
        "CA to the operator with --registry-ca-file"
    )


def _why(error: Exception) -> str:
    """The system's word for it, without addresses that the author of a resource need not know."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = getattr(inner, "errno", None)
    return os.strerror(number).lower() if number and number > 0 else "the connection broke"
