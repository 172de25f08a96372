# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers, laid over the base configuration (FR-X017, FR-X018, FR-X019).

An external provider wins over one of the base with the same id in the same API. Whatever else the
base has stays as it is, known or not, and in its order: it is worked on as plain data. The same
input leads to the same data in the same order (NFR-001).

Only the id, the API and the configuration of a provider come from the resource; its type and its
module come from its image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from api.external_apis import API_OF_SECTION
from configs import references
from configs.external import messages
from configs.external.entries import Entry
from configs.external.failures import ProviderError
from configs.external.metadata import Metadata

_SECTION_OF_API: Final = {api: section for section, api in API_OF_SECTION.items()}


@dataclass(frozen=True, slots=True)
class ExternalProvider:
    """A provider, by what the resource and what its image says.

    Attributes:
        entry: of the resource.
        metadata: of the image.
    """

    entry: Entry
    metadata: Metadata

    @property
    def provider_id(self) -> str:
        """Its id in the configuration."""
        return self.entry.provider.provider_id

    def data(self) -> dict[str, Any]:
        """Its entry in a configuration; without ``config`` if the resource has none."""
        found: dict[str, Any] = {
            "provider_id": self.provider_id,
            "provider_type": self.metadata.provider_type,
            "module": self.metadata.module,
        }
        if self.entry.config is not None:
            found["config"] = self.entry.config
        return found


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged configuration.

    Attributes:
        config: the configuration.
        warnings: what somebody should look at.
        notes: what was done, for the log.
    """

    config: Mapping[str, Any]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


class BaseError(ValueError):
    """The base configuration has not the form that the server reads."""


def check_unique(entries: Sequence[Entry]) -> None:
    """Checks that no two providers have one id, whatever their APIs (FR-X020).

    Raises:
        ProviderError: two have; names both.
    """
    seen: dict[str, Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.provider.provider_id, entry)
        if first is not entry:
            failure = messages.duplicate(first.provider, first.place, entry.provider, entry.place)
            raise ProviderError(failure)


def apis_of(entry: Entry) -> frozenset[str]:
    """The names that the metadata of a provider may call its API by.

    Servers of some eras have another name for the API of a section; its own is right in every era.
    """
    section_api = next(api for name, api in API_OF_SECTION.items() if name == entry.section)
    return frozenset({section_api, entry.api})


def section_of(api: str) -> str:
    """The section of the resource for providers of an API, by its name in their metadata."""
    return _SECTION_OF_API[api]


def check_placement(entry: Entry, metadata: Metadata) -> None:
    """Checks that a provider is in the section of its API (FR-X023).

    Raises:
        ProviderError: it is in another one.
    """
    if metadata.api in apis_of(entry):
        return
    raise ProviderError(
        messages.wrong_section(
            entry.provider,
            section=entry.section,
            declared=metadata.api,
            declared_section=section_of(metadata.api),
        )
    )


def extra_providers(providers: Sequence[ExternalProvider]) -> dict[str, Any]:
    """The external providers alone, as a server may take them some day.

    Args:
        providers: in the order of the resource.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for provider in providers:
        found.setdefault(provider.entry.api, []).append(provider.data())
    return {
        "apiVersion": "llamastack.io/v1alpha1",
        "kind": "ExternalProviders",
        "providers": found,
    }


def merge(
    base: Mapping[str, Any] | None,
    providers: Sequence[ExternalProvider],
    source: Literal["generated", "config-map"] = "generated",
) -> Merged:
    """Lays the providers over a base.

    Args:
        base: the configuration that they are added to, which is not changed; ``None`` for none.
        providers: in the order of the resource.
        source: who wrote the base.

    Raises:
        BaseError: a section that has to be changed has another form.
    """
    work = _Merge({"version": 2, "providers": {}} if base is None else base, source)
    for provider in providers:
        work.add(provider)
    return Merged(work.config, tuple(work.warnings), tuple(work.notes))


class _Merge:
    """A configuration that providers are added to."""

    def __init__(self, base: Mapping[str, Any], source: Literal["generated", "config-map"]) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self._source = source
        found = base.get("providers") or {}
        if not isinstance(found, Mapping):
            raise BaseError("providers must be a mapping")
        self._providers = dict(found)
        self._known = frozenset(found)  # before the first of ours
        self.config = {**base, "providers": self._providers}
        self._apis = self._own_apis(base)

    def _own_apis(self, base: Mapping[str, Any]) -> list[Any]:
        """The list of served APIs, to be appended to; without one the server serves all."""
        apis = base.get("apis")
        if not apis:
            return []
        if not isinstance(apis, list):
            raise BaseError("apis must be a list")
        own = self.config["apis"] = [*apis]
        return own

    def add(self, provider: ExternalProvider) -> None:
        """Puts one at the end of its API, in the place of whoever has its id there."""
        api = provider.entry.api
        entries = self._providers.get(api) or []
        if not isinstance(entries, list):
            msg = f"providers.{api} must be a list"
            raise BaseError(msg)
        kept = [entry for entry in entries if not _is_same(entry, provider.provider_id)]
        for entry in entries:
            if _is_same(entry, provider.provider_id):
                self.warnings.append(self._overridden(provider, entry.get("provider_type")))
        self._providers[api] = [*kept, provider.data()]
        self._serve(api, provider.provider_id)
        metadata = provider.metadata
        self.notes.append(
            messages.provider_added(
                provider.provider_id, api, metadata.provider_type, metadata.module
            )
        )

    def _overridden(self, provider: ExternalProvider, base_type: object) -> str:
        if self._source == "config-map":
            return messages.overridden_in_config_map(provider.provider_id)
        return messages.overridden(
            provider.provider_id, provider.entry.api, base_type, provider.metadata.provider_type
        )

    def _serve(self, api: str, provider_id: str) -> None:
        """An API that is not in the list would have its providers started and not be served."""
        if not self._apis or api in self._apis:
            return
        if api not in self._known:
            self.warnings.append(messages.unknown_api(provider_id, api))
        self._apis.append(api)
        self.notes.append(messages.api_added(provider_id, api))


def _is_same(entry: object, provider_id: str) -> bool:
    """Whether an entry has that id, at least when the variable that switches it on is set."""
    found = entry.get("provider_id") if isinstance(entry, Mapping) else None
    return isinstance(found, str) and references.nominal(found) == provider_id
