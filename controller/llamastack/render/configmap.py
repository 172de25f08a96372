# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The generated ConfigMap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.kinds import CONFIG_HASH
from controller.llamastack.ownership import owner_reference_to
from controller.llamastack.render import labels

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest
    from informers.ports import Object

CONFIG_KEY = "config.yaml"


def generated(cr: Object, name: str, config_yaml: str, config_hash: str) -> Manifest:
    """Immutable: the kubelet need not watch it, and a name stands for one content (FR-023)."""
    metadata = cr["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels.of_config_map(metadata["name"]),
            "annotations": {CONFIG_HASH: config_hash},
            "ownerReferences": [owner_reference_to(cr)],
        },
        "immutable": True,
        "data": {CONFIG_KEY: config_yaml},
    }
