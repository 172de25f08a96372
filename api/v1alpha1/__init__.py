# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Go operator's version, with what v1alpha2 brought at the places that it has there.

One module a section of the spec. The models are the source of the schema and of the documentation.
Objects are not reconciled by them but converted to v1alpha2, the hub, and judged by its rules.
"""

from api.v1alpha1.providers import SECTIONS
from api.v1alpha1.types import API_VERSION, LlamaStackDistribution, Spec

__all__ = ["API_VERSION", "SECTIONS", "LlamaStackDistribution", "Spec"]
