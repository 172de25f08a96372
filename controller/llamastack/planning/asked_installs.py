# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which external providers a resource asks for, also where its spec breaks a rule. Pure.

What is told of external providers must not depend on how much of a spec is right: one that asks for
some is answered, whether it leads to pods, breaks a rule, or has a section of a wrong type that no
admission refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api import GROUP, OLD_VERSION
from api.external_apis import API_OF_SECTION
from configs.installs import Install, installs

if TYPE_CHECKING:
    from api.v1alpha2 import LlamaStackDistribution


@dataclass(frozen=True, slots=True)
class AskedInstalls:
    """External providers of a spec.

    Attributes:
        any: whether there are some; ``None`` if that cannot be told.
        readable: those that are, in order; ``None`` if there are some that cannot be read.
    """

    any: bool | None = None
    readable: tuple[Install, ...] | None = None


NOT_TOLD: Final = AskedInstalls()
"""Nobody looked, or nothing can be told."""


def asked_installs(
    obj: Mapping[str, Any], resource: LlamaStackDistribution | None
) -> AskedInstalls:
    """What a resource asks for.

    Args:
        obj: the resource as it is stored, of either version.
        resource: as much of it as can be read; ``None`` for nothing. A section that cannot be read
            is left out, so that what is stored has the last word on whether there are any.
    """
    asked = _asks(obj)
    if not asked:
        return AskedInstalls(asked, () if asked is False else None)
    read = tuple(installs(resource.spec)) if resource else ()
    return AskedInstalls(True, read or None)


def _asks(obj: Mapping[str, Any]) -> bool | None:
    holder = obj.get("spec")
    if obj.get("apiVersion") == f"{GROUP}/{OLD_VERSION}" and isinstance(holder, Mapping):
        holder = holder.get("server") or {}
    if not isinstance(holder, Mapping):
        return None
    external = holder.get("externalProviders")
    if not isinstance(external, Mapping):
        return bool(external)
    return any(external.get(section) for section in API_OF_SECTION)
