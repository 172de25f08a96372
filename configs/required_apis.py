# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Dependency closure: no provider without the APIs that it needs.

The server resolves dependencies at boot and dies of a missing one; a file search needs vector_io,
files and inference, a vector store needs inference, and so on (catalogue, ``needs``). Three cases:
a user's provider gets a plain provider inside the server where there is one to give; else it is
refused; a provider of the base goes, with a warning, when the user disabled what it needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from configs import defaults, merge
from configs.catalogue import ProviderType
from configs.draft import Draft
from configs.errors import Findings
from configs.providers import ProviderEntry

_PLAIN: Final[Mapping[str, str]] = {
    "vector_io": "faiss",
    "files": "localfs",
    "tool_runtime": "model-context-protocol",
    "datasetio": "localfs",
    "scoring": "basic",
    "agents": "meta-reference",
    "responses": "builtin",
}
"""API → a provider that needs no service, no credential and no further package."""


def close(draft: Draft, disabled: Collection[str]) -> None:
    """Fills in, takes out or refuses until every provider has what it needs.

    Args:
        draft: the merged config; changed.
        disabled: APIs that the user disabled.
    """
    kinds = [entry.kind for found in draft.entries.values() for entry in found]
    while fillable := _fillable(kinds, draft, disabled):
        # What is filled in can need more: an agent needs files and vector stores.
        for api, kind in fillable.items():
            _fill(draft, api, kind)
            kinds.append(kind)
    lost: dict[str, list[str]] = {}
    while _drop_stranded(draft, lost):
        pass
    for found in draft.entries.values():
        for entry in found:
            for api in entry.kind.needs:
                if api not in draft.providers:
                    _refuse(entry, api, disabled, lost.get(api, ()), draft.findings)


def _fillable(
    kinds: Iterable[ProviderType], draft: Draft, disabled: Collection[str]
) -> dict[str, ProviderType]:
    """APIs that types need, nobody provides and nobody disabled, with what to fill in."""
    needed = {api for kind in kinds for api in kind.needs}
    found = {}
    for api in sorted(needed - set(draft.providers) - set(disabled)):
        name = _PLAIN.get(api, "")
        if name in draft.catalogue.short_names(draft.era, api):
            found[api] = draft.catalogue.find(draft.era, api, name, connected=False)
    return found


def _fill(draft: Draft, api: str, kind: ProviderType) -> None:
    provider_id = kind.name.split("::", 1)[1]
    config = defaults.structural(
        era=draft.era,
        api=api,
        kind=kind,
        provider_id=provider_id,
        distribution=draft.distribution,
    )
    entry = {"provider_id": provider_id, "provider_type": kind.name, "config": config}
    draft.providers[api] = [entry]
    merge.serve(draft.data, api)


def _drop_stranded(draft: Draft, lost: dict[str, list[str]]) -> bool:
    """Takes providers out that are not the user's and cannot start; says whether any was.

    Args:
        draft: the config; changed.
        lost: receives the APIs that went, each with those that it needed in vain.
    """
    changed = False
    for api in sorted(set(draft.providers) - set(draft.entries)):
        kinds = draft.catalogue.types(draft.era, api)
        kept = []
        in_vain: set[str] = set()
        for provider in draft.providers[api]:
            kind = kinds.get(provider["provider_type"])
            lacking = [need for need in kind.needs if need not in draft.providers] if kind else []
            if not lacking:
                kept.append(provider)
                continue
            changed = True
            in_vain.update(lacking)
            draft.findings.warn(
                "spec.disabled",
                f"{provider['provider_type']} of the API {api} goes, too",
                f"it needs {', '.join(lacking)}",
            )
        draft.providers[api] = kept
        if not kept:
            lost[api] = sorted(in_vain)
            merge.drop(draft.data, api)
    return changed


def _refuse(
    entry: ProviderEntry,
    api: str,
    disabled: Collection[str],
    lacking: Collection[str],
    findings: Findings,
) -> None:
    if api in disabled:
        why, hint = "which is disabled", "enable it, or remove this provider"
    elif lacking:
        why = f"which went because it needs {', '.join(lacking)}"
        hint = "enable what it needs, or remove this provider"
    else:
        why, hint = "which has no provider", "configure one, or use another distribution"
    findings.error(entry.path, f"{entry.kind.name} needs the API {api}, {why}", hint)
