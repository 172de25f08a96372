# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An endpoint as the server wants it: some providers want `/v1`, some no scheme, some four keys.

`endpoint` in a resource is always a URL. What a provider takes it for was found out by booting:
vLLM and its kin answer 404 without `/v1`; Weaviate wants `host:port`; pgvector has no URL at all.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from configs.catalogue import ProviderType

_OPENAI_UNDER_V1: Final = frozenset(
    {"remote::vllm", "remote::ollama", "remote::tgi", "remote::llama-cpp-server"}
)
"""Servers whose OpenAI API is under /v1 of whatever address people know them by."""

_ENV: Final = "${env."


class EndpointError(ValueError):
    """The provider cannot take this endpoint.

    Attributes:
        message: What is wrong, without the endpoint itself: it may hold a password.
        hint: What to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


def expand(kind: ProviderType, endpoint: str) -> dict[str, str | int]:
    """The config keys that stand for an endpoint.

    Args:
        kind: Of the provider; it takes an endpoint.
        endpoint: A URL, or an environment reference that the server expands to one.

    Raises:
        EndpointError: The provider takes no endpoint, or not this one.
    """
    if kind.endpoint is None:
        raise EndpointError(f'is not taken by provider type "{kind.name}"', _instead(kind))
    if kind.name == "remote::pgvector":
        return _postgres(endpoint)
    if endpoint.startswith(_ENV):
        return {kind.endpoint: endpoint}
    url = _split(endpoint)
    if kind.name in _OPENAI_UNDER_V1 and url.path in {"", "/"} and not url.query:
        return {kind.endpoint: f"{url.scheme}://{url.netloc}/v1"}
    if kind.name == "remote::weaviate":
        return {kind.endpoint: url.netloc}
    return {kind.endpoint: endpoint}


def has_password(endpoint: str) -> bool:
    """Whether everybody who may read the resource can read a password in the endpoint."""
    try:
        return bool(urlsplit(endpoint).password)
    except ValueError:
        return False


def _postgres(endpoint: str) -> dict[str, str | int]:
    """The keys host, port, db and user out of one URL."""
    if _ENV in endpoint:
        raise EndpointError(
            "cannot be an environment reference for pgvector, which takes host, port, db and user",
            "set those in settings",
        )
    url = _split(endpoint)
    if url.password:
        raise EndpointError("must not contain a password", "keep it in a Secret: apiKey")
    found: dict[str, str | int] = {"host": url.hostname or ""}
    if url.port:
        found["port"] = url.port
    if database := url.path.strip("/"):
        found["db"] = unquote(database)
    if url.username:
        found["user"] = unquote(url.username)
    return found


def _split(endpoint: str) -> SplitResult:
    try:
        url = urlsplit(endpoint)
        if url.hostname and url.port != 0:
            return url
    except ValueError:
        pass  # brackets that do not match, or a port that is none
    raise EndpointError("is not a URL with a host", "for example http://vllm:8000/v1")


def _instead(kind: ProviderType) -> str:
    """Where the address of such a provider goes."""
    if not kind.known:
        return "the operator does not know this type: put its connection into settings"
    if "region_name" in kind.keys:
        return "its address follows from settings.region_name"
    if kind.is_remote:
        return "its address is fixed"
    return "it runs inside the server"
