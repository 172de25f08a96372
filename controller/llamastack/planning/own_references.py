# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""References of a resource to what the operator makes for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.v1alpha2.references import SecretReference
    from configs.connection import StorageSecret

_OWN = "names the Secret that the operator itself fills for this resource; use another one"


def own_references(
    secrets: Iterable[SecretReference], wanted: StorageSecret | None
) -> list[FieldError]:
    """One error for each reference to the very Secret: it would be made from itself."""
    name = wanted.name if wanted else None
    return [FieldError(secret.path, _OWN) for secret in secrets if secret.name == name]
