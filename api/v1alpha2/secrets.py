# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""References to Secrets. Nothing in ``api`` ever holds a value of one (R-D16)."""

from __future__ import annotations

from api.model import ApiModel, AtomicModel, DataKey, ObjectName


class SecretKeySelector(AtomicModel):
    """One key of a Secret in the namespace of the resource."""

    name: ObjectName
    """Name of the Secret."""

    key: DataKey
    """The key in it."""


class SecretSource(ApiModel):
    """A value that is kept in a Secret."""

    secret_key_ref: SecretKeySelector
    """Which key of which Secret."""
