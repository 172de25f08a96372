# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which era a config is of, by its shape (R-D5a).

For configs that do not say: base configs out of image labels. One that the operator brings is bound
to its era in distributions.json.

``version`` is 2 in every release, so the shape must tell. No single key does in every config,
because a config may lack any API. So all signs count: each names the eras whose servers accept it,
and how much it counts against the others. The era with the least against it is chosen. Signs of
providers come from the catalogue, so a new release brings its own.

Servers before 0.4 are not in the catalogue and not supported. Servers would read their configs all
the same (unknown keys are ignored in silence) and run with something that nobody wrote, so
``outdated`` recognises them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from configs import catalogue
from configs.catalogue import Catalogue
from configs.eras import ERAS, Era

SUPPORTED: Final = "supported are configs of the servers 0.4, 0.5-0.6, 0.7 and ogx 1.x"
"""What to say to somebody whose config is not."""

_PREFERENCE: Final[tuple[Era, ...]] = ("0.7", "0.5-0.6", "0.4", "ogx")
"""For configs that fit several: the current one first."""

_FATAL: Final = 100
"""Weight of what a server does not start on."""
_IGNORED: Final = 2
"""Weight of what a server throws away: it starts, and does not do what is written."""
_UNUSUAL: Final = 1
"""Weight of what a server takes, but nobody writes for it."""

_NOT_OGX: Final[frozenset[Era]] = frozenset(ERAS) - {"ogx"}
_NOT_0_4: Final[frozenset[Era]] = frozenset(ERAS) - {"0.4"}
_BEFORE_0_7: Final[frozenset[Era]] = frozenset({"0.4", "0.5-0.6"})
_ONLY_OGX: Final[frozenset[Era]] = frozenset({"ogx"})
_ONLY_0_4: Final[frozenset[Era]] = frozenset({"0.4"})

_LISTED: Final[Mapping[str, frozenset[Era]]] = MappingProxyType(
    dict.fromkeys(("shields", "datasets", "scoring_functions", "benchmarks"), _NOT_OGX)
)
"""APIs without providers of their own, which some eras lack; for ``apis``."""

_REGISTERED: Final[Mapping[str, frozenset[Era]]] = MappingProxyType(
    {
        **dict.fromkeys(("shields", "datasets", "scoring_fns", "benchmarks"), _NOT_OGX),
        "tool_groups": _BEFORE_0_7,
    }
)
"""Lists in ``registered_resources`` that some eras throw away."""

_OGX_SERVER: Final = frozenset({"insecure", "tls_config", "tenancy", "hsts_max_age"})
"""Keys of the section ``server`` that came with ogx."""

_TOP_UNTIL_0_2: Final = (
    "metadata_store", "inference_store", "models", "shields", "vector_dbs", "datasets",
    "scoring_fns", "benchmarks", "tool_groups",
)  # fmt: skip
"""Keys at the top that 0.3 moved into ``storage`` and ``registered_resources``."""

_OLD_ENDPOINTS: Final = ("url", "api_base")
"""What 0.4 renamed to base_url."""

_OLD_APIS: Final = ("telemetry", "memory")
"""APIs with providers that ended before 0.4."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """Something in a config that speaks for some eras."""

    eras: frozenset[Era]
    weight: int


def detect(data: Mapping[str, Any]) -> Era:
    """The era that a config fits best; the current one if it fits several equally.

    Args:
        data: a config.yaml of 0.4 or later, read.
    """
    return candidates(data)[0]


def candidates(data: Mapping[str, Any]) -> tuple[Era, ...]:
    """The eras that a config fits best: several if nothing in it tells them apart."""
    against = dict.fromkeys(_PREFERENCE, 0)
    for sign in _signs(data, catalogue.embedded()):
        for era in against.keys() - sign.eras:
            against[era] += sign.weight
    least = min(against.values())
    return tuple(era for era in _PREFERENCE if against[era] == least)


def outdated(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What shows that a config is of a server before 0.4, in words; empty for a later one.

    Only what no later server understands counts: a leftover beside the key of today does no harm,
    and some later releases brought configs of their own with a leftover in the place of the key.
    """
    stores = _stores(data)
    later = "distro_name" in data or "prompts" in stores
    seen = [f"the API {api}" for api in _OLD_APIS if api in apis(data)]
    if not _mapping(data.get("storage")):
        seen.extend(f"{key} at the top" for key in _TOP_UNTIL_0_2 if data.get(key))
    for api, entry in _entries(data):
        config = _mapping(entry.get("config"))
        name = f"providers.{api} {entry.get('provider_id')}"
        seen.extend(
            f"{name} with {key} instead of base_url"
            for key in _OLD_ENDPOINTS
            if not later and key in config and _was_renamed(api, entry, config, key)
        )
        seen.extend(
            f"{name} with a database of its own in {key}"
            for key in ("kvstore", "persistence_store", "responses_store", "metadata_store")
            if {"type", "db_path"} <= _mapping(config.get(key)).keys()
        )
    if "enabled" in _mapping(data.get("telemetry")) and stores and not later:
        seen.append("the section telemetry, and no store for prompts")
    return tuple(seen)


def _was_renamed(api: str, entry: Mapping[str, Any], config: Mapping[str, Any], key: str) -> bool:
    """Whether every era takes the endpoint of this provider as base_url, and it is not there."""
    kinds = [
        found
        for era in ERAS
        if (found := catalogue.embedded().types(era, api).get(str(entry.get("provider_type"))))
    ]
    return (
        bool(kinds)
        and "base_url" not in config
        and all(kind.endpoint == "base_url" and key not in kind.keys for kind in kinds)
    )


# --- signs ---------------------------------------------------------------------------------------


def _signs(data: Mapping[str, Any], known: Catalogue) -> Iterator[_Sign]:
    yield from _of_names(data)
    yield from _of_apis(data, known)
    for api, entry in _entries(data):
        yield from _of_provider(api, entry, known)
    yield from _of_storage(data)
    for kind, entries in _mapping(data.get("registered_resources")).items():
        if entries and kind in _REGISTERED:
            yield _Sign(_REGISTERED[kind], _IGNORED)
    if _OGX_SERVER & _mapping(data.get("server")).keys():
        yield _Sign(_ONLY_OGX, _IGNORED)


def _of_names(data: Mapping[str, Any]) -> Iterator[_Sign]:
    """0.4 wants image_name; 0.5 made distro_name of it and still takes the old one."""
    if "distro_name" not in data:
        yield _Sign(_ONLY_0_4, _UNUSUAL)
    elif "image_name" not in data:
        yield _Sign(_NOT_0_4, _FATAL)


def _of_apis(data: Mapping[str, Any], known: Catalogue) -> Iterator[_Sign]:
    for api in sorted(apis(data)):
        eras = frozenset(era for era in ERAS if known.types(era, api)) or _LISTED.get(api)
        if eras:
            yield _Sign(eras, _FATAL)


def _of_provider(api: str, entry: Mapping[str, Any], known: Catalogue) -> Iterator[_Sign]:
    kinds = {
        era: kind
        for era in ERAS
        if (kind := known.types(era, api).get(str(entry.get("provider_type"))))
    }
    if not kinds:
        return  # not a built-in one: says nothing
    yield _Sign(frozenset(kinds), _FATAL)
    config = _mapping(entry.get("config"))
    for key in config:
        eras = frozenset(era for era, kind in kinds.items() if key in kind.keys)
        if eras:
            yield _Sign(eras, _IGNORED)
    persistence = _mapping(config.get("persistence"))
    if api == "responses" and "responses" in persistence:
        state = "agent_state" in persistence
        yield _Sign(_NOT_OGX if state else _ONLY_OGX, _IGNORED if state else _FATAL)


def _of_storage(data: Mapping[str, Any]) -> Iterator[_Sign]:
    stores = _stores(data)
    for name in ("prompts", "connectors"):
        store = _mapping(stores.get(name))
        if "table_name" in store:
            yield _Sign(_ONLY_OGX, _FATAL)
        elif "namespace" in store:
            yield _Sign(_NOT_OGX, _IGNORED)
    if stores:
        yield _Sign(_NOT_0_4 if "connectors" in stores else _ONLY_0_4, _UNUSUAL)
    if "vector_stores" in stores:
        yield _Sign(_ONLY_OGX, _IGNORED)
    backends = _mapping(_mapping(data.get("storage")).get("backends"))
    if any("connection_string" in _mapping(backend) for backend in backends.values()):
        yield _Sign(_ONLY_OGX, _FATAL)


# --- reading what may have any form --------------------------------------------------------------


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else MappingProxyType({})


def _stores(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(_mapping(data.get("storage")).get("stores"))


def apis(data: Mapping[str, Any]) -> frozenset[str]:
    """The APIs that a config names, in ``apis`` or in ``providers``."""
    listed = data.get("apis")
    names = [*(listed if isinstance(listed, list) else ()), *_mapping(data.get("providers"))]
    return frozenset(name for name in names if isinstance(name, str))


def _entries(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for api, entries in _mapping(data.get("providers")).items():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping):
                yield api, entry
