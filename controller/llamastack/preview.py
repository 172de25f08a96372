# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The children of a resource without its cluster. Pure; for the command line."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from api.v1alpha2.references import CONFIG_KEY
from controller.llamastack.cache.reference_index import ODH_CA_BUNDLE
from controller.llamastack.children import table
from controller.llamastack.references.configuration import OverrideLocation, override_location_of
from controller.llamastack.render import ca_bundle, configmap, deployment, names
from controller.llamastack.render.ca_bundle import Bundle
from controller.llamastack.render.inputs import DEFAULT_OPTIONS, Inputs, Mounts, Options

if TYPE_CHECKING:
    from api.v1alpha2 import Spec
    from controller.llamastack.planning.plan import Plan
    from controller.runtime.ports import Manifest
    from informers.ports import Object

DEFAULT_NAMESPACE = "default"
UNKNOWN = "00000000"
UNKNOWN_IMAGE = "llamastack-operator:unknown"
"""Stands for the operator's own image, which merges external providers: a cluster knows it."""


def preview(
    obj: Object, plan: Plan, options: Options = DEFAULT_OPTIONS, *, trusts_cluster: bool = False
) -> list[Manifest]:
    """All children, as a new resource would get them, in the order of creation.

    Owner references are left out: they need a uid, which only a cluster gives.

    Args:
        obj: the resource.
        plan: what it asks for.
        options: what shapes children besides.
        trusts_cluster: its namespace has certificates that all servers in it trust.

    Raises:
        ValueError: the plan has a problem.
    """
    if plan.cr is None or plan.generated is None:
        raise ValueError("a plan with a problem has nothing to show")
    namespace = obj["metadata"].get("namespace") or DEFAULT_NAMESPACE
    owner = {**obj, "metadata": {**obj["metadata"], "namespace": namespace, "uid": ""}}
    source = override_location_of(plan.cr.spec, namespace)
    bundle = _bundle(plan.cr.spec, namespace, trusts_cluster=trusts_cluster)
    inputs = Inputs(
        owner=owner,
        spec=plan.cr.spec,
        generated=plan.generated,
        options=options if options.merge_image else replace(options, merge_image=UNKNOWN_IMAGE),
        ca_bundle=bundle.digest if bundle else "",
    )
    made = {
        purpose: _config_map(inputs, content)
        for purpose, content in configmap.contents(inputs).items()
    }
    names_of = {purpose: manifest["metadata"]["name"] for purpose, manifest in made.items()}
    ours = names_of.get(configmap.CONFIG, "")
    mounts = Mounts(
        _mounted(source, owner) if source else ours,
        CONFIG_KEY if source and not source.elsewhere else "",
        installs_name=names_of.get(configmap.INSTALLS, ours) if inputs.installs else "",
    )
    manifests = list(made.values())
    if bundle is not None:
        manifests.append(ca_bundle.child(owner, bundle, "").manifest)
    children = (
        *table.before_deployment(inputs),
        deployment.render(inputs, mounts),
        *table.after_deployment(inputs),
    )
    manifests += [child.manifest for child in children]
    return [_without_owner(manifest) for manifest in manifests]


def _config_map(inputs: Inputs, content: configmap.Content) -> Manifest:
    name = names.config_map(inputs.name, content.digest)
    return configmap.generated(
        inputs.owner, name, content.data, content.digest, registry=inputs.registry
    )


def _mounted(source: OverrideLocation, owner: Object) -> str:
    """The user's ConfigMap; for a copy of one elsewhere a name that no content leads to."""
    name: str = owner["metadata"]["name"]
    return names.config_map(name, UNKNOWN) if source.elsewhere else source.key.name


def _bundle(spec: Spec, namespace: str, *, trusts_cluster: bool) -> Bundle | None:
    """Stands for certificates that are in a cluster."""
    sources = []
    named = spec.networking.tls.ca_bundle if spec.networking.tls else None
    if named is not None:
        home = named.config_map_namespace or namespace
        keys = ", ".join(sorted(set(named.config_map_keys)))
        sources.append(f'ConfigMap "{home}/{named.config_map_name}", keys: {keys}')
    if trusts_cluster:
        sources.append(f'ConfigMap "{namespace}/{ODH_CA_BUNDLE}"')
    if not sources:
        return None
    places = "; ".join(sources)
    text = f"# Here the operator puts the certificates of {places}; and the public ones.\n"
    return Bundle(text, hashlib.sha256(text.encode()).hexdigest()[:16])


def _without_owner(manifest: Manifest) -> Manifest:
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "ownerReferences"}
    return {**manifest, "metadata": metadata}
