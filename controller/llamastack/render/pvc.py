# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The PersistentVolumeClaim of the data volume, as a new one would be (P-A3).

What of it reaches a claim that is there already is decided by
``controller.llamastack.objects.claims``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.claims import DEFAULT_SIZE, access_modes, fitted, held
from controller.llamastack.objects.kinds import (
    PERSISTENT_VOLUME_CLAIM,
    REGISTRY_STATE,
    RETAINED_FOR,
)
from controller.llamastack.render import names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs


def render(inputs: Inputs) -> Child | None:
    """A claim, if the resource asks for a volume.

    A claim that outlives its resource has no owner reference, on which the garbage collector would
    act, but an annotation by which the next resource of that name knows its own.
    """
    storage = inputs.spec.workload.storage
    if storage is None:
        return None
    spec: dict[str, Any] = {
        "accessModes": list(access_modes(storage)),
        "resources": {"requests": {"storage": str(storage.size or DEFAULT_SIZE)}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    name = names.claim(inputs.name)
    made = child(inputs, PERSISTENT_VOLUME_CLAIM, name, {"spec": spec})
    if storage.retain_on_delete:
        metadata = made.manifest["metadata"]
        del metadata["ownerReferences"]
        metadata["annotations"] = {RETAINED_FOR: inputs.name}
        # The registry is in the volume: the next server has to know what it knows (R-D16c).
        if inputs.registry:
            metadata["annotations"][REGISTRY_STATE] = inputs.registry
    return replace(made, fit=fitted, fallback=held)
