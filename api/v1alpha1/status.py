# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The status: what the operator saw and did, as this version shows it."""

from __future__ import annotations

from api.v1alpha2 import status


class Status(status.Status):
    """What the operator saw and did.

    As in v1alpha2, nothing is required that would keep the whole from being written.
    """

    generated_config_map: str | None = None
    """Name of the ConfigMap with the configuration that was generated last."""
