# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the server offers when it starts: models, tools, shields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from api.model import ApiModel, Int32, Int64, Internal, NonEmpty, Polymorphic, UniqueItems
from api.v1alpha2 import normalize
from api.v1alpha2.providers import Identifier


class Model(ApiModel):
    """A model that is registered when the server starts."""

    name: NonEmpty
    """Name of the model as its provider knows it, e.g. meta-llama/Llama-3.2-3B-Instruct."""

    provider: Identifier | None = None
    """Id of the inference provider that serves it; the first one if absent."""

    context_length: Annotated[Int64, Field(ge=1)] | None = None
    """Tokens that fit into the context."""

    embedding_dimension: Annotated[Int32, Field(ge=1)] | None = None
    """Length of the vectors of an embedding model."""

    model_type: Literal["llm", "embedding", "rerank"] | None = None
    """What the model does; llm if absent."""

    quantization: NonEmpty | None = None
    """How the weights are quantised, e.g. fp8; handed on as metadata."""

    path: Annotated[str, Internal()] = ""
    """Where the user wrote it, e.g. ``spec.resources.models[1]``; filled in when reading."""


class Resources(ApiModel):
    """What is registered when the server starts, in addition to what the distribution has."""

    models: Annotated[
        tuple[
            Annotated[
                Model,
                BeforeValidator(normalize.model_or_refusal),
                Polymorphic("The name of a model, or an object"),
            ],
            ...,
        ],
        BeforeValidator(normalize.model_list),
    ] = ()
    """Models: names, or objects with more to say."""

    tools: Annotated[tuple[NonEmpty, ...], UniqueItems()] = ()
    """Tool groups, e.g. builtin::websearch; they need a toolRuntime provider."""

    shields: Annotated[tuple[NonEmpty, ...], UniqueItems()] = ()
    """Shields; they need a safety provider."""
