# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The custom resource as it is stored: with a status. For the schema alone; nobody reads one."""

from __future__ import annotations

from api.v1alpha1.status import Status
from api.v1alpha1.types import LlamaStackDistribution


class StoredLlamaStackDistribution(LlamaStackDistribution):
    """A Llama Stack server."""

    status: Status = Status.model_construct()
    """What the operator saw and did."""
