# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Fields that the resource has and this version of the controller does not act on yet.

A field that is accepted and ignored is the worst answer: somebody believes that there is a volume
behind the data, or a TLS bundle behind the trust. So such a resource is refused, by field, until
the controller can do what it asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from api.v1alpha2 import Spec
    from api.v1alpha2.references import SecretReference
    from configs.connection import StorageSecret

_MESSAGE = "is not supported by this version of the operator"
_OWN = "names the Secret that the operator itself fills for this resource; use another one"


def unsupported(spec: Spec) -> list[FieldError]:
    """One error for each such field that is set."""
    return [FieldError(path, _MESSAGE) for path in _paths(spec)]


def _paths(spec: Spec) -> Iterator[str]:
    fields = {
        "spec.externalProviders": spec.external_providers,
    }
    yield from (path for path, value in fields.items() if value is not None)


def own_references(
    secrets: Iterable[SecretReference], wanted: StorageSecret | None
) -> list[FieldError]:
    """One error for each reference to the very Secret: it would be made from itself."""
    name = wanted.name if wanted else None
    return [FieldError(secret.path, _OWN) for secret in secrets if secret.name == name]
