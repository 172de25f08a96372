# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An endpoint as the server wants it: some providers want ``/v1``, some no scheme, some four keys.

``endpoint`` in a resource is always a URL. What a provider takes it for was found out by booting
and by reading its code: vLLM and its kin answer 404 without ``/v1``, passthrough and watsonx append
their path themselves, Weaviate wants ``host:port``, Chroma's client dies of a path, pgvector has no
URL at all. A slash at the end goes, because several providers paste their paths behind it, and
Ollama's looks whether its URL ends in exactly ``/v1``.

What no form of the provider's own can carry is refused: the server would drop it in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from configs.catalogue import ProviderType

_PATHS: Final[Mapping[tuple[str, str], str]] = {
    ("inference", "remote::vllm"): "/v1",
    ("inference", "remote::ollama"): "/v1",
    ("inference", "remote::tgi"): "/v1",
    ("inference", "remote::llama-cpp-server"): "/v1",
    ("inference", "remote::nvidia"): "/v1",
    ("inference", "remote::databricks"): "/serving-endpoints",
}
"""(API, type) → where under an address the API is that the provider speaks, the same in every era
from 0.4 on. For a URL without a path: people know such servers by their address."""

_AZURE_PATH: Final = "/openai/v1"
_AZURE_DOMAIN: Final = ".azure.com"
"""Azure's own hosts have the API at one place; what a gateway before them does, nobody knows."""

_APPENDED: Final[Mapping[tuple[str, str], str]] = {
    ("inference", "remote::passthrough"): "/v1",
    ("inference", "remote::watsonx"): "/ml/v1",
}
"""(API, type) → path that the provider appends itself, so it must not be there already."""

_HTTP: Final = frozenset({"http", "https"})
_POSTGRES: Final = frozenset({"postgresql", "postgres", "pgvector", "pg", "tcp"})
_SCHEMES: Final[Mapping[str, frozenset[str]]] = {
    "remote::milvus": _HTTP | {"tcp"},
    "remote::neo4j": frozenset(
        f"{name}{suffix}" for name in ("bolt", "neo4j") for suffix in ("", "+s", "+ssc")
    ),
    "remote::oci": frozenset({"tcp", "tcps"}),
}
"""Types that are not reached by HTTP, and their schemes."""

_ADDRESS_ONLY: Final = frozenset({"remote::weaviate", "remote::chromadb"})
"""Types that take host and port out of the URL and nothing else."""

_WEAVIATE_PORT: Final = 8080
_HTTPS_PORT: Final = 443

_ENV: Final = "${env."
_REFERENCE = re.compile(r"\$\{env\.[^}]*\}")
_DIGIT: Final = "1"  # in the place of a reference, to judge the rest: a host and a port alike


class EndpointError(ValueError):
    """The provider cannot take this endpoint.

    Attributes:
        message: what is wrong, without the endpoint itself: it may hold a password.
        hint: what to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


def expand(kind: ProviderType, endpoint: str, *, api: str) -> dict[str, str | int]:
    """The config keys that stand for an endpoint.

    Args:
        kind: of the provider; it takes an endpoint.
        endpoint: a URL, or one with environment references, which the server expands.
        api: the server's name of the provider's API.

    Raises:
        EndpointError: the provider takes no endpoint, or not this one.
    """
    if kind.endpoint is None:
        raise EndpointError(f'is not taken by provider type "{kind.name}"', _instead(kind))
    if kind.name == "remote::pgvector":
        return _postgres(endpoint)
    if endpoint.startswith(_ENV):
        return {kind.endpoint: endpoint}
    url = _split(endpoint, _SCHEMES.get(kind.name, _HTTP))
    if kind.name in _ADDRESS_ONLY:
        return {kind.endpoint: _address(kind, endpoint, url)}
    if url.query:
        return {kind.endpoint: endpoint}
    plain = endpoint.rstrip("/")
    if not url.path.strip("/"):
        return {kind.endpoint: plain + _path(kind, url, api)}
    return {kind.endpoint: plain.removesuffix(_APPENDED.get((api, kind.name), "//"))}


def has_password(endpoint: str) -> bool:
    """Whether everybody who may read the resource can read a password in the endpoint."""
    try:
        return bool(urlsplit(_REFERENCE.sub("", endpoint)).password)
    except ValueError:
        return False


def doubt(kind: ProviderType, endpoint: str) -> str:
    """Why a provider that starts with this endpoint may not reach it; empty if it should.

    Args:
        kind: of the provider.
        endpoint: one that ``expand`` accepted.
    """
    if endpoint.startswith(_ENV):
        return ""
    url = urlsplit(_REFERENCE.sub(_DIGIT, endpoint))
    if kind.name == "remote::chromadb" and url.scheme == "https":
        return "is https, but the server reaches Chroma by plain HTTP"
    on_own_host = "localhost" in url.netloc
    public = url.scheme == "https" and url.port in {None, _HTTPS_PORT}
    if kind.name == "remote::weaviate" and not (on_own_host or public):
        return "is not reached: the server knows Weaviate on localhost, or by https on port 443"
    return ""


def _path(kind: ProviderType, url: SplitResult, api: str) -> str:
    """What is missing in a URL without a path."""
    if kind.name == "remote::azure" and str(url.hostname).endswith(_AZURE_DOMAIN):
        return _AZURE_PATH
    return _PATHS.get((api, kind.name), "")


def _address(kind: ProviderType, endpoint: str, url: SplitResult) -> str:
    """The endpoint of a provider that has no use for a path."""
    if url.path.strip("/") or url.query or "@" in url.netloc:
        raise EndpointError(
            "has more than an address, which the provider cannot pass on",
            "give scheme, host and port only",
        )
    plain = endpoint.rstrip("/")
    if kind.name != "remote::weaviate":
        return plain
    address = plain.partition("://")[2]
    if url.port is None and "localhost" in address:
        return f"{address}:{_WEAVIATE_PORT}"  # the provider splits at the colon
    return address.removesuffix(f":{_HTTPS_PORT}")  # the provider appends it


def _postgres(endpoint: str) -> dict[str, str | int]:
    """The keys host, port, db and user out of one URL."""
    example = "for example postgresql://user@host:5432/database"
    if _ENV in endpoint:
        raise EndpointError(
            "cannot be an environment reference for pgvector, which takes host, port, db and user",
            "set those in settings",
        )
    url = _split(endpoint, _POSTGRES, example)
    if url.password:
        raise EndpointError("must not contain a password", "keep it in a Secret: apiKey")
    if url.query:
        raise EndpointError(
            "has parameters, which pgvector cannot pass on", "it takes host, port, db and user only"
        )
    if "," in url.netloc:
        raise EndpointError("must name one host", example)
    database = url.path.strip("/")
    if "/" in database:
        raise EndpointError("must have the name of a database as its path", example)
    found: dict[str, str | int] = {"host": url.hostname or ""}
    if url.port:
        found["port"] = url.port
    if database:
        found["db"] = unquote(database)
    if url.username:
        found["user"] = unquote(url.username)
    return found


def _split(endpoint: str, schemes: frozenset[str], example: str = "") -> SplitResult:
    """The parts of a URL, references in it made digits.

    Raises:
        EndpointError: it is no URL with a host, has a fragment, or another scheme.
    """
    url, usable = None, False
    hint = example or f"for example {'http' if 'http' in schemes else min(schemes)}://host:8000"
    try:
        url = urlsplit(_REFERENCE.sub(_DIGIT, endpoint))
        usable = bool(url.hostname) and url.port != 0
    except ValueError:
        pass  # brackets that do not match, or a port that is none
    if url is None or not usable:
        raise EndpointError("is not a URL with a host", hint)
    if url.scheme not in schemes:
        names = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise EndpointError(f"must begin with {names}", hint)
    if url.fragment or endpoint.endswith("#"):
        raise EndpointError("has a fragment, which is never sent", hint)
    return url


def _instead(kind: ProviderType) -> str:
    """Where the address of such a provider goes."""
    if not kind.known:
        return "the operator does not know this type: put its connection into settings"
    if "region_name" in kind.keys:
        return "its address follows from settings.region_name"
    if kind.is_remote:
        return "its address is fixed"
    return "it runs inside the server"
