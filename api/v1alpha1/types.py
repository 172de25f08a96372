# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The custom resource: metadata and spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from api import GROUP, KIND, OLD_VERSION
from api.meta import ObjectMeta
from api.model import ApiModel, Int32, rules
from api.v1alpha1.fields import SchemaDefault
from api.v1alpha1.network import Network
from api.v1alpha1.server import Server
from api.v1alpha2.types import NAME_RULES

API_VERSION: Final = f"{GROUP}/{OLD_VERSION}"


class Spec(ApiModel):
    """What the user wants. Only server is required."""

    mistaken: ClassVar[Mapping[str, str]] = {
        "externalProviders": "did you mean spec.server.externalProviders?",
    }

    replicas: Annotated[Int32, Field(ge=0), SchemaDefault(1)] = 1
    """Number of pods; 1 if absent. With autoscaling it is the autoscaler's business."""

    server: Server
    """The server."""

    network: Network | None = None
    """Access to the server."""


class LlamaStackDistribution(ApiModel):
    """A Llama Stack server."""

    model_config = ConfigDict(json_schema_extra=rules(*NAME_RULES))

    api_version: str = API_VERSION
    """Group and version: llamastack.io/v1alpha1."""

    kind: str = KIND
    """LlamaStackDistribution."""

    metadata: ObjectMeta
    """Name, namespace, labels, annotations."""

    spec: Spec
    """What the user wants."""
