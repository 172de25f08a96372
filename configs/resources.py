# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources that are registered when the server starts; here, the models (FR-040, FR-041).

A model without a provider goes to the first inference provider: the user's in list order, else the
first of the base that is on and serves such models. Every entry names its provider, because the
server finds it by itself only while there is exactly one. What clients write is always
``<provider id>/<model>``; the status shows it.
"""

from __future__ import annotations

from typing import Any, Final

from api.v1alpha2 import Model, Reason, Spec
from configs import merge, references, shields, tools
from configs.draft import Candidate, Config, Draft

MODELS_NEED_PROVIDER: Final = (
    "resources.models requires at least one inference provider to be configured"
)
"""In the words of the messages for tools and shields."""

_EMBED_ONLY: Final = frozenset({"inline::sentence-transformers", "inline::transformers"})
"""Inference providers that serve no language model."""


def register(spec: Spec, draft: Draft) -> tuple[str, ...]:
    """Adds the resources of a spec to the config.

    Returns:
        The names of all registered models, as clients write them, sorted.
    """
    _models(spec, draft)
    names = _names(draft)
    shields.register(spec.resources.shields, draft, models=names)
    tools.register(spec.resources.tools, draft)
    return tuple(sorted(names))


def default_embedding(draft: Draft, lost: str) -> None:
    """Makes the first registered embedding model the default of vector stores.

    For a config whose own default went with its provider: without one, every request for a vector
    store has to name a model.

    Args:
        draft: the config.
        lost: id of the provider that served the base's default.
    """
    if "vector_io" not in draft.providers:
        return
    for model in draft.resources.get("models", ()):
        if model.get("model_type") == "embedding":
            stores = draft.data.setdefault("vector_stores", {})
            stores[merge.EMBEDDING_DEFAULT] = {
                "provider_id": model["provider_id"],
                "model_id": model["model_id"],
            }
            return
    draft.findings.warn(
        "spec.providers.inference",
        f"replaces {lost}, which serves the distribution's default embedding model",
        "register an embedding model in spec.resources.models to be the default, or name one in "
        "each request for a vector store",
    )


def _models(spec: Spec, draft: Draft) -> None:
    added: dict[tuple[str, str], Config] = {}
    for model in spec.resources.models:
        provider_id = _provider_of(model, spec, draft)
        if provider_id is None:
            continue
        identity = (provider_id, model.name)
        if identity in added:
            text = f'the model "{model.name}" of provider "{provider_id}" is there twice'
            draft.findings.error(model.path, text)
        added[identity] = _entry(model, provider_id, draft)
    for entry in draft.entries.get("inference", ()):
        for name in entry.models:
            plain = {"model_id": name, "provider_id": entry.provider_id, "model_type": "llm"}
            added.setdefault((entry.provider_id, name), plain)
    if not added:
        return
    kept = [
        model
        for model in draft.resources.get("models", [])
        if (str(model.get("provider_id")), model.get("model_id")) not in added
    ]
    draft.resources["models"] = [*kept, *added.values()]


def _entry(model: Model, provider_id: str, draft: Draft) -> Config:
    """One entry, metadata in the server's spelling."""
    kind = model.model_type or ("embedding" if model.embedding_dimension else "llm")
    if kind == "embedding" and model.embedding_dimension is None:
        draft.findings.error(
            f"{model.path}.embeddingDimension", "is required for an embedding model"
        )
    metadata: dict[str, Any] = {
        "context_length": model.context_length,
        "embedding_dimension": model.embedding_dimension,
        "quantization": model.quantization,
    }
    metadata = {key: value for key, value in metadata.items() if value is not None}
    entry: Config = {"model_id": model.name, "provider_id": provider_id, "model_type": kind}
    return {**entry, "metadata": metadata} if metadata else entry


def _provider_of(model: Model, spec: Spec, draft: Draft) -> str | None:
    """The provider of a model; None after an error."""
    candidates = draft.candidates("inference")
    if model.provider is not None:
        return _named(model, candidates, spec, draft)
    if draft.entries.get("inference"):
        return candidates[0].provider_id
    embedding = model.embedding_dimension is not None or model.model_type in {"embedding", "rerank"}
    for candidate in candidates:
        if embedding or candidate.provider_type not in _EMBED_ONLY:
            return candidate.provider_id
    external = spec.external_providers
    if external and external.inference:
        return external.inference[0].provider_id
    draft.findings.error(
        "spec.resources.models",
        MODELS_NEED_PROVIDER,
        reason=Reason.MISSING_PROVIDER_FOR_RESOURCE,
    )
    return None


def _named(model: Model, candidates: list[Candidate], spec: Spec, draft: Draft) -> str | None:
    """The provider that a model names, if it is there and on."""
    external = spec.external_providers
    ids = [item.provider_id for item in candidates]
    ids += [item.provider_id for item in external.inference] if external else []
    if model.provider in ids:
        return model.provider
    hint = f"available: {', '.join(ids)}" if ids else "there is none"
    for entry in draft.providers.get("inference", ()):
        variable = references.condition(entry["provider_id"])
        if variable and references.nominal(entry["provider_id"]) == model.provider:
            hint = f"the distribution has it on only while {variable} is set; {hint}"
    draft.findings.error(
        f"{model.path}.provider",
        f'there is no inference provider "{model.provider}"',
        hint,
        reason=Reason.MISSING_PROVIDER_FOR_RESOURCE,
    )
    return None


def _names(draft: Draft) -> list[str]:
    """``<provider id>/<model>`` of every registered model that the server does not skip."""
    found = []
    for model in draft.resources.get("models", ()):
        # Since 0.3 the provider's own name of the model counts; ogx went back to model_id.
        own = model.get("provider_model_id") if draft.era != "ogx" else None
        name = references.active(str(own or model.get("model_id", "")), draft.variables)
        provider = references.active(str(model.get("provider_id", "")), draft.variables)
        if name and provider:
            found.append(f"{provider}/{name}")
    return found
