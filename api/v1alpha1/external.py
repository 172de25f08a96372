# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Providers that come as images and are installed when a pod starts."""

from __future__ import annotations

from pydantic import ConfigDict

from api.model import rules
from api.v1alpha2 import external


class ExternalProviders(external.ExternalProviders):
    """Providers that come as images and are installed when a pod starts."""

    model_config = ConfigDict(
        json_schema_extra=rules(*external.unique_ids("spec.server.externalProviders"))
    )
