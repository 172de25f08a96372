# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The generated ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from api.v1alpha2.references import CONFIG_KEY
from controller.llamastack.objects.kinds import CONFIG_HASH, REGISTRY_STATE
from controller.llamastack.objects.ownership import owner_reference_to
from controller.llamastack.render import install_input, labels

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs
    from controller.runtime.ports import Manifest
    from informers.ports import Object


CONFIG: Final = "ConfigMap"
"""A ConfigMap for the server's configuration."""

INSTALLS: Final = "ConfigMap of external providers"
"""One for what they are installed from alone."""


class Content(NamedTuple):
    """What a ConfigMap holds.

    Attributes:
        data: by key.
        digest: hash of it in hex, for its name.
    """

    data: Mapping[str, str]
    digest: str


def contents(inputs: Inputs) -> dict[str, Content]:
    """What the ConfigMaps of a resource hold, by purpose: :data:`CONFIG`, :data:`INSTALLS`.

    What providers are installed from is beside a generated configuration, so that both are one
    generation. A copy of the user's own is recognised by its hash, so it stands alone, and so does
    what providers are installed from where the configuration is mounted from the user's ConfigMap.
    Without external providers the hash is the configuration's.
    """
    generated = inputs.generated
    config = {} if generated.config_yaml is None else {CONFIG_KEY: generated.config_yaml}
    installs = install_input.files(inputs)
    if installs and generated.source == "generated":
        both = {**config, **installs}
        return {CONFIG: Content(both, install_input.digest(both))}
    found = {}
    if config:
        found[CONFIG] = Content(config, generated.config_hash)
    if installs:
        found[INSTALLS] = Content(installs, install_input.digest(installs))
    return found


def generated(
    cr: Object, name: str, data: Mapping[str, str], digest: str, *, registry: str = ""
) -> Manifest:
    """Immutable: the kubelet need not watch it, and a name stands for one content (FR-023).

    Args:
        cr: the owner.
        name: of the ConfigMap.
        data: the content by key.
        digest: its hash in hex.
        registry: state of the server's registry with this configuration; empty if unknown.
    """
    metadata = cr["metadata"]
    annotations = {CONFIG_HASH: digest}
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
        "data": dict(data),
    }
