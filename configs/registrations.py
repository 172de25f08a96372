# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a config makes the server write into its registry, in the server's own terms (R-D16c).

Identities and fields are those of the routing tables (core/routing_tables/*.py of 0.7.3), defaults
filled in as there, so that spelling out a default is no change. Three things are registered without
standing in the config (found by booting):

* The models that an inference provider lists. They are marked as listed, and the same model in the
  config conflicts with the mark: a model that is added to a provider which was there before counts
  as changed, because nobody can tell what the provider listed.
* The functions of a scoring provider, under names that do not contain the provider's id, with the
  id as a field. Another id for the same type conflicts.
* From 0.7 on, tool groups. The server replaces these by itself: when the provider behind one is
  gone, its first start ends with a KeyError, after the group is gone, and the second one is fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from api.k8s import EnvVar
from configs import merge, references
from configs.draft import Config, Draft
from configs.registry_key import Registration, digest


@dataclass(frozen=True, slots=True)
class _Kind:
    """One list in ``registered_resources``.

    Attributes:
        name: for people.
        id_key: field with the resource's id.
        own_key: field with the provider's name of it; empty if there is none.
        fields: the other fields that are kept, with what the server puts in for absent ones.
    """

    name: str
    id_key: str
    own_key: str
    fields: Mapping[str, Any] = field(default_factory=dict)


_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "models": _Kind(
            "model",
            "model_id",
            "provider_model_id",
            {"model_type": "llm", "metadata": {}, "model_validation": None},
        ),
        "shields": _Kind("shield", "shield_id", "provider_shield_id", {"params": {}}),
        "vector_stores": _Kind(
            "vector store",
            "vector_store_id",
            "provider_vector_store_id",
            {"embedding_model": None, "embedding_dimension": None, "vector_store_name": None},
        ),
        "datasets": _Kind(
            "dataset", "dataset_id", "", {"purpose": None, "source": None, "metadata": {}}
        ),
        "scoring_fns": _Kind(
            "scoring function",
            "scoring_fn_id",
            "provider_scoring_fn_id",
            {"description": None, "return_type": None, "params": None},
        ),
        "benchmarks": _Kind(
            "benchmark",
            "benchmark_id",
            "provider_benchmark_id",
            {"dataset_id": None, "scoring_functions": None, "metadata": {}},
        ),
        "tool_groups": _Kind(
            "tool group", "toolgroup_id", "", {"mcp_endpoint": None, "args": None}
        ),
    }
)

_DROPS_TOOL_GROUPS: Final = frozenset({"0.7", "ogx"})
"""Eras that read the list and throw it away."""


def of(draft: Draft, env: Iterable[EnvVar]) -> Iterator[Registration]:
    """Everything that a server registers when it starts with a config.

    Args:
        draft: the config, complete.
        env: variables of the user; fields may take their values from them.
    """
    values = {item.name: [item.value, _source(item)] for item in env}
    for provider in draft.candidates("inference"):
        yield Registration(_lister(provider.provider_id), "")
    for provider in draft.candidates("scoring"):
        name = f"functions of scoring provider {provider.provider_type}"
        yield Registration(name, digest(provider.provider_id))
    for key, kind in _KINDS.items():
        if key == "tool_groups" and draft.era in _DROPS_TOOL_GROUPS:
            continue
        for entry in draft.resources.get(key, ()):
            provider_id = _provider(entry, key, draft)
            if provider_id is not None:
                yield _registration(entry, kind, provider_id, draft, values)


def _lister(provider_id: str) -> str:
    return f"inference provider {provider_id}"


def _source(item: EnvVar) -> Any:
    """Where the value of a variable comes from: what is in there is not for us to read."""
    return item.value_from.model_dump(exclude_none=True) if item.value_from else None


def _provider(entry: Config, key: str, draft: Draft) -> str | None:
    """The provider of a resource; None if the server skips the entry."""
    written = entry.get("provider_id")
    if written is not None:
        return references.active(str(written), draft.variables)
    candidates = draft.candidates(merge.API_OF_RESOURCE[key])
    return candidates[0].provider_id if candidates else ""


def _registration(
    entry: Config, kind: _Kind, provider_id: str, draft: Draft, values: Mapping[str, Any]
) -> Registration:
    own_id = str(entry.get(kind.id_key, ""))
    provider_name = (entry.get(kind.own_key) if kind.own_key else None) or own_id
    fields = {
        key: default if entry.get(key) is None else entry[key]
        for key, default in kind.fields.items()
    }
    texts = [text for _, text in references.marked([provider_name, fields])]
    used = {name: values[name] for text in texts for name in _used(text, draft) if name in values}
    compared = digest([provider_id, _expanded([provider_name, fields], draft), used])
    if kind.name != "model":
        return Registration(f"{kind.name} {_expanded(own_id, draft)}", compared)
    # Since 0.3 the provider's own name of the model counts; ogx went back to model_id.
    name = _expanded(own_id if draft.era == "ogx" else str(provider_name), draft)
    if draft.era == "ogx":
        name = name.removeprefix(f"{provider_id}/")
    identifier = f"{kind.name} {provider_id}/{name}"
    return Registration(identifier, compared, _lister(provider_id))


def _used(text: str, draft: Draft) -> Iterator[str]:
    """The variables whose values a text still depends on."""
    return references.names(references.expand(text, draft.variables))


def _expanded(value: Any, draft: Draft) -> Any:
    """A value as far as it can be told without the values of variables."""
    if isinstance(value, str):
        return references.expand(value, draft.variables)
    if isinstance(value, dict):
        return {key: _expanded(item, draft) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, draft) for item in value]
    return value
