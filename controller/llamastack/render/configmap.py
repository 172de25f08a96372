# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The generated ConfigMap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.v1alpha2.references import CONFIG_KEY
from controller.llamastack.objects.kinds import CONFIG_HASH, REGISTRY_STATE
from controller.llamastack.objects.ownership import owner_reference_to
from controller.llamastack.render import labels

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest
    from informers.ports import Object


def generated(
    cr: Object, name: str, config_yaml: str, config_hash: str, *, registry: str = ""
) -> Manifest:
    """Immutable: the kubelet need not watch it, and a name stands for one content (FR-023).

    Args:
        cr: the owner.
        name: of the ConfigMap.
        config_yaml: the content.
        config_hash: its sha256 in hex.
        registry: state of the server's registry with this configuration; empty if unknown.
    """
    metadata = cr["metadata"]
    annotations = {CONFIG_HASH: config_hash}
    if registry:
        annotations[REGISTRY_STATE] = registry
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels.of_config_map(metadata["name"]),
            "annotations": annotations,
            "ownerReferences": [owner_reference_to(cr)],
        },
        "immutable": True,
        "data": {CONFIG_KEY: config_yaml},
    }
