# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the server offers when it starts: models, tools, shields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from api.model import (
    ApiModel,
    Int32,
    Int64,
    NonEmpty,
    Polymorphic,
    UniqueItems,
    kind_of,
    problem,
)
from api.v1alpha2 import messages
from api.v1alpha2.providers import Identifier


class ModelMetadata(ApiModel):
    """What is known of a model."""

    context_length: Annotated[Int64, Field(ge=1)] | None = None
    """Tokens that fit into the context."""

    embedding_dimension: Annotated[Int32, Field(ge=1)] | None = None
    """Length of the vectors of an embedding model."""


class Model(ApiModel):
    """A model that is registered when the server starts."""

    name: NonEmpty
    """Name of the model as its provider knows it, e.g. meta-llama/Llama-3.2-3B-Instruct."""

    provider: Identifier | None = None
    """Id of the inference provider that serves it; the first one if absent."""

    metadata: ModelMetadata | None = None
    """What is known of the model: {contextLength, embeddingDimension}."""


def _model(value: Any) -> Any:
    """A name or an object → an object."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping):
        return value
    raise problem("name_or_model", f"{messages.NAME_OR_MODEL}, got {kind_of(value)}")


class Resources(ApiModel):
    """What is registered when the server starts, in addition to what the distribution has."""

    models: tuple[
        Annotated[
            Model,
            BeforeValidator(_model),
            Polymorphic("The name of a model, or an object"),
        ],
        ...,
    ] = ()
    """Models: names, or objects with more to say."""

    tools: Annotated[tuple[NonEmpty, ...], UniqueItems()] = ()
    """Tool groups, e.g. builtin::websearch; they need a toolRuntime provider."""

    shields: Annotated[tuple[NonEmpty, ...], UniqueItems()] = ()
    """Shields; they need a safety provider."""
