# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Volumes for claims of tests: made by hand, because simulated nodes have no provisioner.

Claims are bound by the real binder. Classes and volumes belong to no namespace, so every test names
its own, and no claim of another test can take them.
"""

from __future__ import annotations

from typing import Any

from hack.cluster.client import Client

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"


def storage_class(
    client: Client,
    name: str,
    *,
    expandable: bool = False,
    default: bool = False,
    waits: bool = False,
) -> None:
    """A class whose volumes are made by hand.

    Args:
        client: of the administrator.
        name: of the class.
        expandable: whether claims may grow.
        default: whether claims without a class get it.
        waits: whether claims are bound only when a pod uses them (WaitForFirstConsumer).
    """
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    client.create(
        CLASSES,
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name, "annotations": annotations},
            "provisioner": "kubernetes.io/no-provisioner",
            "allowVolumeExpansion": expandable,
            "volumeBindingMode": "WaitForFirstConsumer" if waits else "Immediate",
        },
    )


def volume(
    client: Client,
    name: str,
    storage_class_name: str,
    *,
    size: str = "10Gi",
    modes: tuple[str, ...] = ("ReadWriteOnce",),
) -> dict[str, Any]:
    """A volume that any node can mount; its data is kept when its claim goes."""
    return client.create(
        VOLUMES,
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": list(modes),
                "storageClassName": storage_class_name,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": f"/tmp/{name}"},  # noqa: S108  # no node ever looks there
            },
        },
    )


def growing_volume(client: Client, name: str) -> None:
    """A class whose claims may grow, and one volume of it; both have the name."""
    storage_class(client, name, expandable=True)
    volume(client, name, name)
