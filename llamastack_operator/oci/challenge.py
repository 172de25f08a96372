# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a registry wants to be asked: WWW-Authenticate, and the token it leads to. No I/O.

RFC 9110 section 11 (several challenges in one header, quoted strings) and the token protocol of
distribution (``docs/spec/auth/token.md``).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from llamastack_operator.oci.errors import BadAnswer

_LONGEST_HEADER: Final = 8192
_LONGEST_TOKEN: Final = 32 * 1024

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 -- RFC 9110's word for a word
_PART = re.compile(
    rf"""[\s,]*(?:
        (?P<key>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_TOKEN}))
        |(?P<scheme>{_TOKEN})(?:\s+|$)(?!=)
    )""",
    re.VERBOSE,
)
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate.

    Attributes:
        scheme: in lower case, e.g. ``bearer``.
        parameters: keys in lower case.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse(headers: Iterable[str]) -> list[Challenge]:
    """All challenges of all WWW-Authenticate headers; what is no challenge ends the reading."""
    found: list[Challenge] = []
    for header in headers:
        text, position = header[:_LONGEST_HEADER].rstrip(" \t,"), 0
        scheme, parameters = "", dict[str, str]()
        while position < len(text) and (match := _PART.match(text, position)):
            position = match.end()
            if match["scheme"]:
                scheme, parameters = match["scheme"].lower(), {}
                found.append(Challenge(scheme, parameters))
            elif scheme:
                quoted = match["quoted"]
                value = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                parameters.setdefault(match["key"].lower(), value)
    return found


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The one that we can answer: a token before a password, which then stays off most requests."""
    by_scheme = {challenge.scheme: challenge for challenge in reversed(list(challenges))}
    bearer = by_scheme.get("bearer")
    if bearer is not None and bearer.parameters.get("realm"):
        return bearer
    return by_scheme.get("basic")


def token_url(challenge: Challenge, repository: str, *, allow_http: bool) -> str:
    """Where to get a token for pulling.

    Args:
        challenge: a bearer one.
        repository: asked for where the challenge does not say.
        allow_http: whether the registry itself was allowed to be plain HTTP.

    Raises:
        BadAnswer: the realm is no URL to send a password to.
    """
    realm = challenge.parameters.get("realm", "")
    try:
        parts = urlsplit(realm)
        usable = bool(parts.hostname) and parts.username is None and not parts.fragment
        _ = parts.port
    except ValueError:
        raise BadAnswer("the registry names a token server that is no URL") from None
    if not usable or parts.scheme not in ({"https", "http"} if allow_http else {"https"}):
        raise BadAnswer("the registry names a token server that is no https URL")
    query = [("service", service)] if (service := challenge.parameters.get("service")) else []
    query.append(("scope", challenge.parameters.get("scope") or f"repository:{repository}:pull"))
    return parts._replace(query="&".join(filter(None, (parts.query, urlencode(query))))).geturl()


def read_token(body: bytes) -> str:
    """The token in a token server's answer.

    Raises:
        BadAnswer: there is none, or it cannot go into a header.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswer("the token server's answer is not JSON") from None
    token = None
    if isinstance(answer, dict):
        token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or not _PRINTABLE.fullmatch(token):
        raise BadAnswer("the token server's answer holds no token")
    return token


def basic(username: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
