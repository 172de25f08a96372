# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What all children have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from controller.llamastack.objects.ownership import owner_reference_to
from controller.llamastack.render import labels
from informers.ports import ObjectKey, Resource, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.llamastack.render.inputs import Inputs
    from controller.runtime.ports import Manifest
    from informers.ports import Object

    Fit: TypeAlias = Callable[[Manifest, Object], Manifest]


@dataclass(frozen=True, slots=True)
class Child:
    """A desired object.

    Attributes:
        resource: its kind.
        manifest: complete intent.
        fit: what of it a live object can take, from both, where that is not all of it.
        fallback: likewise, for when the API server refuses that.
    """

    resource: Resource
    manifest: Manifest
    fit: Fit | None = None
    fallback: Fit | None = None

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return key_of(self.manifest)


def child(inputs: Inputs, resource: Resource, name: str, content: dict[str, Any]) -> Child:
    """An object of ours: kind, name, labels, owner and the content."""
    manifest = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": inputs.namespace,
            "labels": labels.of_objects(),
            "ownerReferences": [owner_reference_to(inputs.owner)],
        },
        **content,
    }
    return Child(resource, manifest)
