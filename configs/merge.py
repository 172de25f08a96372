# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Merging (R-D7): the base config, with the user's part laid over it.

Providers of a user replace the whole API of the base; disabled APIs go; whatever in the base refers
to a provider that is gone goes with it, because the server does not start on a dangling reference.
Keys that the engine has no business with stay as they are, known or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.v1alpha2 import Section
from configs import eras, references
from configs.draft import Config
from configs.eras import Era
from configs.errors import Findings
from configs.providers import ProviderEntry

API_OF_RESOURCE: Final[Mapping[str, str]] = {
    "models": "inference",
    "shields": "safety",
    "vector_stores": "vector_io",
    "vector_dbs": "vector_io",
    "datasets": "datasetio",
    "scoring_fns": "scoring",
    "benchmarks": "eval",
    "tool_groups": "tool_runtime",
}
"""List in ``registered_resources`` → the API whose providers its entries name."""


NAMELESS: Final = "custom"
"""Name of a server whose base does not say one."""

EMBEDDING_DEFAULT: Final = "default_embedding_model"
"""Key in ``vector_stores``: what embeds when a request does not say."""


def copy(base: Mapping[str, Any]) -> Config:
    """A copy of a base that can be changed, with the sections that every step expects."""
    data: Config = {key: _copy(value) for key, value in base.items()}
    if not (data.get("distro_name") or data.get("image_name")):
        data["image_name"] = NAMELESS  # no server starts without a name; every era takes this key
    for section in ("vector_stores", "safety"):
        if section in data and data[section] is None:
            del data[section]  # to the server the same, and not to be asked for at every step
    for section in ("providers", "registered_resources", "server"):
        data.setdefault(section, {})
    # An empty list says nothing, but would pass for an API that somebody serves.
    data["providers"] = {api: found for api, found in data["providers"].items() if found}
    storage = data.setdefault("storage", {})
    storage.setdefault("backends", {})
    storage.setdefault("stores", {})
    return data


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def add_providers(data: Config, entries: Mapping[str, Sequence[ProviderEntry]]) -> None:
    """Puts the user's providers in the place of the base's, API by API."""
    for api, found in entries.items():
        data["providers"][api] = [entry.data() for entry in found]
        serve(data, api)


def serve(data: Config, api: str) -> None:
    """Lists an API: what has providers and is not listed is started and not served.

    Without a list the server serves everything that has providers.
    """
    apis = data.get("apis")
    if apis and api not in apis:
        apis.append(api)


def drop(data: Config, api: str) -> None:
    """Takes an API out."""
    data["providers"].pop(api, None)
    if "apis" in data:
        data["apis"] = [name for name in data["apis"] if name != api]


def disable(
    data: Config, disabled: Sequence[Section], era: Era, findings: Findings
) -> frozenset[str]:
    """Subtracts disabled APIs (R-D6).

    Returns:
        The server's names of the APIs that the user does not want, in the base or not.
    """
    gone = set()
    for index, section in enumerate(disabled):
        api = eras.api_of(section, era)
        if api is not None:
            gone.add(api)
        if section == "telemetry":
            findings.warn(
                f"spec.disabled[{index}]",
                "nothing to disable: no telemetry is sent",
                "it is only with spec.providers.telemetry, or with an OTEL_* variable",
            )
        elif api is None or api not in data["providers"]:
            findings.warn(
                f"spec.disabled[{index}]", f"the distribution has no {section}: nothing to disable"
            )
        else:
            drop(data, api)
    return frozenset(gone)


def prune(data: Config) -> str | None:
    """Takes out what refers to providers that are gone.

    Returns:
        The provider of the base's default embedding model, if that default had to go.
    """
    ids = {
        api: {references.nominal(entry["provider_id"]) for entry in entries}
        for api, entries in data["providers"].items()
    }
    resources = data["registered_resources"]
    for kind, entries in list(resources.items()):
        api = API_OF_RESOURCE.get(kind)
        if api is None:
            continue
        kept = [
            entry
            for entry in entries
            if "provider_id" not in entry
            or references.nominal(str(entry["provider_id"])) in ids.get(api, ())
        ]
        if kept:
            resources[kind] = kept
        else:
            del resources[kind]
    _prune_safety(data, ids)
    return _prune_vector_stores(data, ids)


def _prune_vector_stores(data: Config, ids: Mapping[str, set[str]]) -> str | None:
    """The server dies of a default that is not there."""
    defaults = data.get("vector_stores", {})
    if defaults.get("default_provider_id") not in {None, *ids.get("vector_io", ())}:
        del defaults["default_provider_id"]
    gone = {}
    for key in (EMBEDDING_DEFAULT, "default_reranker_model"):
        model = defaults.get(key)
        provider = model.get("provider_id") if isinstance(model, dict) else None
        if provider is not None and provider not in ids.get("inference", ()):
            del defaults[key]
            gone[key] = str(provider)
    if not defaults:
        data.pop("vector_stores", None)
    return gone.get(EMBEDDING_DEFAULT)


def _prune_safety(data: Config, ids: Mapping[str, set[str]]) -> None:
    safety = data.get("safety")
    if not safety or "default_shield_id" not in safety:
        return
    shields = {
        shield.get("shield_id") for shield in data["registered_resources"].get("shields", ())
    }
    if "safety" not in ids or safety["default_shield_id"] not in shields:
        del safety["default_shield_id"]
    if not safety:
        del data["safety"]
