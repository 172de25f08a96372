# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a LIST or WATCH asks for: namespace, selectors, how much of each object. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

_REQUIREMENT: Final = re.compile(r"([^=!]+)(==|=|!=)(.*)")


@dataclass(frozen=True)
class Selection:
    """A part of the objects of one kind.

    Attributes:
        namespace: theirs; empty for all.
        labels: a label selector of ``a=b``, ``a!=b``, ``a`` and ``!a``.
        fields: a field selector, of the same form.
        metadata_only: whether only their metadata are wanted.
    """

    namespace: str = ""
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object is part of it."""
        metadata = obj["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        if not all(_holds(each, metadata.get("labels") or {}) for each in _split(self.labels)):
            return False
        return all(_holds(each, _Fields(obj)) for each in _split(self.fields))

    def shape(self, obj: Json) -> Json:
        """An object as it is sent."""
        if not self.metadata_only:
            return obj
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }

    def event(
        self, type_: str, obj: Mapping[str, Any], old: Mapping[str, Any] | None
    ) -> tuple[str, Mapping[str, Any]] | None:
        """What an event looks like to whoever watches this part; ``None`` if it is none to them.

        Args:
            type_: ADDED, MODIFIED or DELETED.
            obj: after; the last state of a deleted object.
            old: before.
        """
        now, before = type_ != "DELETED" and self.matches(obj), old and self.matches(old)
        if now:
            return ("MODIFIED" if before else "ADDED"), obj
        if before and old is not None:
            version = obj["metadata"]["resourceVersion"]
            return "DELETED", {**old, "metadata": {**old["metadata"], "resourceVersion": version}}
        return None


EVERYTHING: Final = Selection()


@dataclass(frozen=True)
class _Fields:
    """Fields by path, as field selectors name them."""

    obj: Mapping[str, Any] = field(repr=False)

    def get(self, path: str) -> str | None:
        value: Any = self.obj
        for name in path.split("."):
            value = value.get(name, "") if isinstance(value, Mapping) else ""
        return str(value)


def _split(selector: str) -> list[str]:
    return [part.strip() for part in selector.split(",") if part.strip()]


def _holds(requirement: str, values: Mapping[str, str] | _Fields) -> bool:
    if match := _REQUIREMENT.fullmatch(requirement):
        name, operator, wanted = (part.strip() for part in match.groups())
        return (values.get(name) != wanted) if operator == "!=" else values.get(name) == wanted
    if requirement.startswith("!"):
        return values.get(requirement[1:].strip()) is None
    return values.get(requirement) is not None
