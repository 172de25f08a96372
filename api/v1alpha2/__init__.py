# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The hub and storage version: one module a section of the spec.

Normalisation of what may be written in several ways happens while reading, in
``api.v1alpha2.normalize``: whoever holds a :class:`LlamaStackDistribution` never asks whether a
provider was written as an object or as a list.
"""

from api.v1alpha2.parse import parse, read
from api.v1alpha2.providers import SECTIONS, Provider, Providers, Section
from api.v1alpha2.reasons import ConditionType, ConfigSource, InstallPhase, Phase, Reason
from api.v1alpha2.resources import Model, Resources
from api.v1alpha2.secrets import SecretKeySelector
from api.v1alpha2.types import API_VERSION, LlamaStackDistribution, Spec

__all__ = [
    "API_VERSION",
    "SECTIONS",
    "ConditionType",
    "ConfigSource",
    "InstallPhase",
    "LlamaStackDistribution",
    "Model",
    "Phase",
    "Provider",
    "Providers",
    "Reason",
    "Resources",
    "SecretKeySelector",
    "Section",
    "Spec",
    "parse",
    "read",
]
