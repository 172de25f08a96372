# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Claims as the API server has them."""

from __future__ import annotations

from typing import Any


def claim(
    size: str = "10Gi",
    *,
    phase: str = "Bound",
    capacity: str | None = None,
    storage_class: str | None = "fast",
    modes: tuple[str, ...] = ("ReadWriteOnce",),
    metadata: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """A live claim ``demo-pvc``; bound, of the size that it asks for."""
    spec: dict[str, Any] = {
        "accessModes": list(modes),
        "resources": {"requests": {"storage": size}},
        "volumeMode": "Filesystem",
    }
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    found: dict[str, Any] = {"phase": phase, **status}
    if phase != "Pending":
        spec["volumeName"] = "pv-1"
        found["capacity"] = {"storage": capacity or size}
    meta = {"name": "demo-pvc", "namespace": "n", "uid": "c", "ownerReferences": [{"uid": "u"}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta | (metadata or {}),
        "spec": spec,
        "status": found,
    }
