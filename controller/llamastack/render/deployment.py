# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Deployment.

Everything that the API server would default, and that another spec of ours would set, is written
out: then every edit, removal included, leads to exactly what a fresh create would give.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.claims import access_modes, is_single_node
from controller.llamastack.objects.compare import digest, has_same
from controller.llamastack.objects.kinds import (
    AUTOSCALED,
    CA_BUNDLE_HASH,
    CONFIG_MAPS_HASH,
    CONFIG_MAPS_SEEN,
    DEPLOYMENT,
    MERGE_REVISION,
    REGISTRY_STATE,
    SECRETS_HASH,
    STORAGE_SOURCES,
    TEMPLATE_HASH,
)
from controller.llamastack.render import init_containers, labels, names
from controller.llamastack.render.manifest import Child, child
from controller.llamastack.render.pod import pod_spec

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs, Mounts
    from informers.ports import Object

PROGRESS_DEADLINE_S = 600  # the API's default; a large image plus a model's start fit in


def render(inputs: Inputs, mounts: Mounts) -> Child:
    """One Deployment a resource."""
    workload = inputs.spec.workload
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels.selector(inputs.name)},
        "strategy": _strategy(inputs, mounts),
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": PROGRESS_DEADLINE_S,
        "template": {"metadata": _template_metadata(inputs), "spec": pod_spec(inputs, mounts)},
    }
    if workload.autoscaling is None:
        spec["replicas"] = workload.replicas
    rendered = child(inputs, DEPLOYMENT, names.deployment(inputs.name), {"spec": spec})
    # On the Deployment, not in the template: none of it is a reason for new pods.
    annotations = {}
    if inputs.registry:
        annotations[REGISTRY_STATE] = inputs.registry
    if inputs.config_maps_seen:
        annotations[CONFIG_MAPS_SEEN] = inputs.config_maps_seen
    if workload.autoscaling is not None:
        annotations[AUTOSCALED] = "true"
    if inputs.installs:
        annotations[TEMPLATE_HASH] = digest(spec["template"])
    if annotations:
        rendered.manifest["metadata"]["annotations"] = annotations
    return rendered


def with_lasting_tools(inputs: Inputs, mounts: Mounts, live: Object | None) -> Child:
    """The Deployment, with the image that merges external providers if no pod differs otherwise.

    That image is the operator's own, so every upgrade brings another one. Servers that run are not
    restarted for it: what it does has a revision of its own in the template. Whatever rolls the
    pods brings the new image, too.

    Args:
        inputs: of the children.
        mounts: that pods need.
        live: the Deployment as it is; ``None`` if there is none.
    """
    wanted = render(inputs, mounts)
    before = init_containers.merge_image_of(live) if live and inputs.installs else ""
    if not live or not before or before == inputs.options.merge_image:
        return wanted
    options = replace(inputs.options, merge_image=before)
    same = render(replace(inputs, options=options), mounts)
    return same if has_same(TEMPLATE_HASH, same.manifest, live) else wanted


def _strategy(inputs: Inputs, mounts: Mounts) -> dict[str, Any]:
    if _one_pod_at_a_time(inputs, mounts):
        return {"type": "Recreate"}
    # Never fewer pods than before while the new ones start.
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}


def _one_pod_at_a_time(inputs: Inputs, mounts: Mounts) -> bool:
    """Whether a new pod can only start when the old one has given its volume back.

    The modes are those of the live claim: it keeps them, whatever the spec says now.
    """
    storage = inputs.spec.workload.storage
    if storage is None:
        return False
    live = mounts.claim["spec"].get("accessModes") if mounts.claim else None
    return is_single_node(live or access_modes(storage))


def _template_metadata(inputs: Inputs) -> dict[str, Any]:
    overrides = inputs.spec.workload.overrides
    user_labels = dict(overrides.labels)
    annotations = dict(overrides.annotations)
    if inputs.secrets_hash:
        annotations[SECRETS_HASH] = inputs.secrets_hash
    if inputs.config_maps_hash:
        annotations[CONFIG_MAPS_HASH] = inputs.config_maps_hash
    if inputs.ca_bundle:
        annotations[CA_BUNDLE_HASH] = inputs.ca_bundle
    if inputs.storage_state:
        annotations[STORAGE_SOURCES] = inputs.storage_state
    if inputs.installs:
        annotations[MERGE_REVISION] = init_containers.REVISION
    metadata: dict[str, Any] = {"labels": {**user_labels, **labels.selector(inputs.name)}}
    if annotations:
        metadata["annotations"] = annotations
    return metadata
