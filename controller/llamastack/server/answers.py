# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The bodies of ``/v1/providers`` and ``/v1/version``: bytes become a report, or nothing. Pure.

Servers of many releases answer, and anything may listen on a port: what is not understood is said
to be so and never an exception of another kind. Only the fields named here are taken. A provider's
``config`` is not one of them: servers echo it, some with credentials in it. Nor is what a server
says about a failure, which may quote anything; of its explanations only plain words of a provider
without a failure are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from controller.llamastack.server.probe_port import ReportedProvider

MOST_PROVIDERS: Final = 200  # the largest distribution has some forty
LONGEST_WORD: Final = 253
LONGEST_MESSAGE: Final = 200
WITHOUT_FAILURE: Final = frozenset({"OK", "Not Implemented"})

_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.")
_VERSION_CHARACTERS: Final = frozenset(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-_!"
)
_LONGEST_VERSION: Final = 64


class ShapeUnknown(ValueError):
    """The answer is not what servers answer; says in a few words what it is instead."""


def providers(body: bytes) -> tuple[ReportedProvider, ...]:
    """The providers that a server lists, sorted, so that another order is no change.

    Understood: ``{"data": [...]}`` (all current releases), a bare list, and a map of API names to
    lists (early releases). An item without API, id and type is left out.

    Raises:
        ShapeUnknown: it is none of these.
    """
    found: list[ReportedProvider] = []
    number = 0
    for api, item in _items(_decoded(body)):
        number += 1
        if number > MOST_PROVIDERS:
            raise ShapeUnknown(f"the answer lists more than {MOST_PROVIDERS} providers")
        provider = _provider(api, item)
        if provider is not None:
            found.append(provider)
    if number and not found:
        raise ShapeUnknown("the answer lists something other than providers")
    return tuple(sorted(found, key=lambda p: (p.api, p.id, p.type, p.health, p.message)))


def version(body: bytes) -> str:
    """The version that a server reports: ``{"version": "0.7.3"}``.

    Raises:
        ShapeUnknown: there is none in it.
    """
    data = _decoded(body)
    found = data.get("version") if isinstance(data, dict) else data
    if (
        not isinstance(found, str)
        or not 0 < len(found) <= _LONGEST_VERSION
        or not _VERSION_CHARACTERS.issuperset(found)
    ):
        raise ShapeUnknown("the answer has no version")
    return found


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ShapeUnknown("the answer is not JSON") from None


def _items(data: Any) -> Iterator[tuple[str, Any]]:
    """API name, where the shape says it outside the item, and item."""
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        data = data["data"]
    if isinstance(data, list):
        yield from (("", item) for item in data)
        return
    if not isinstance(data, dict) or not all(isinstance(v, list) for v in data.values()):
        raise ShapeUnknown("the answer is no list of providers")
    for api, entries in data.items():
        yield from ((api, item) for item in entries)


def _provider(api: str, item: Any) -> ReportedProvider | None:
    if not isinstance(item, dict):
        return None
    api = _word(item.get("api") or api)
    name, kind = _word(item.get("provider_id")), _word(item.get("provider_type"))
    if not (api and name and kind):
        return None
    health, message = _health(item.get("health"))
    return ReportedProvider(api, name, kind, health, message)


def _health(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return _word(value), ""
    if not isinstance(value, Mapping):
        return "", ""
    status, message = _word(value.get("status")), value.get("message")
    plain = (
        status in WITHOUT_FAILURE
        and isinstance(message, str)
        and len(message) <= LONGEST_MESSAGE
        and _PLAIN.issuperset(message)
    )
    return status, str(message) if plain else ""


def _word(value: Any) -> str:
    """A short printable text, or nothing."""
    if isinstance(value, str) and len(value) <= LONGEST_WORD and value.isprintable():
        return value
    return ""
