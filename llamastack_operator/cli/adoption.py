# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a take-over of one resource from the Go operator would change. Pure.

Its live objects, cut down to what can change and to what somebody said, are compared with what this
operator would write. What only the cluster knows, such as hashes of Secrets, is left out of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.llamastack.children import table
from controller.llamastack.objects.kinds import (
    APPLIED_HASH,
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
)
from controller.llamastack.objects.ownership import (
    BeingDeleted,
    ResourceConflict,
    belongs,
    check_writable,
    is_orphan,
    is_written_by_predecessor,
)
from controller.llamastack.render import names
from controller.llamastack.render.ca_bundle import CA_BUNDLE_KEY
from llamastack_operator.cli.api_defaults import in_words_of, without_defaults
from llamastack_operator.cli.difference import Difference, compare
from llamastack_operator.cli.owned_fields import cut, union

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest
    from informers.ports import Object, Resource

RESOURCES: tuple[Resource, ...] = (
    DEPLOYMENT,
    *(kind.resource for kind in table.KINDS if kind.name("") != names.role_binding("")),
    CONFIG_MAP,
)
"""Kinds of objects that are compared. RoleBindings are left as they are."""

Live = Mapping[tuple[str, str], "Object"]
"""Objects of one namespace by kind and name, with their managed fields."""

_OURS = "llamastack.io/"
_NOTES = frozenset({"deployment.kubernetes.io/revision"})
_PROBES = frozenset({"startupProbe", "readinessProbe", "livenessProbe"})
_BUNDLE = "# The certificates that were put here.\n"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a take-over of a resource leads to.

    Attributes:
        lines: a unified diff of its objects.
        summary: in one sentence without a subject.
        restarts: whether its pods are replaced.
        refused: whether an object belongs to somebody else, so that it is not taken over.
    """

    lines: tuple[str, ...]
    summary: str
    restarts: bool = False
    refused: bool = False


def judge(cr: Object, live: Live, wanted: list[Manifest]) -> Verdict:
    """Compare what is there with what would be written.

    Args:
        cr: the resource as it is in the cluster.
        live: the objects of its namespace.
        wanted: its children, without owners.
    """
    deployment = live.get((DEPLOYMENT.kind, names.deployment(cr["metadata"]["name"])))
    if deployment is not None and APPLIED_HASH in (deployment["metadata"].get("annotations") or {}):
        return Verdict((), "was taken over already")
    conflicts, notes = _ownership(cr, live, wanted)
    if conflicts:
        return Verdict((), f"cannot be taken over: {'; '.join(conflicts)}", refused=True)
    before = [_before(cr, obj, _of(wanted, obj)) for obj in _own(cr, live, wanted)]
    after = [_after(manifest, _of(before, manifest)) for manifest in wanted]
    found = compare(before, after)
    return Verdict(found.lines, _summary(found, before, after, notes), bool(found.reasons))


# --- whose -------------------------------------------------------------------------------------


def _ownership(cr: Object, live: Live, wanted: list[Manifest]) -> tuple[list[str], list[str]]:
    """What is somebody else's, and what is worth knowing of the rest."""
    conflicts, notes = [], []
    for manifest in wanted:
        obj = live.get(_key(manifest))
        if obj is None:
            continue
        resource = _resource(manifest)
        if is_orphan(resource, manifest, obj, cr["metadata"]["name"]):
            notes.append(f"{resource.kind} {manifest['metadata']['name']} gets its owner back")
            continue
        try:
            check_writable(resource, obj, cr)
        except (ResourceConflict, BeingDeleted) as error:
            conflicts.append(str(error))
    return conflicts, notes


def _own(cr: Object, live: Live, wanted: list[Manifest]) -> Iterable[Object]:
    """The resource's objects: those that stay, and those that would go."""
    keys = {_key(manifest) for manifest in wanted}
    name = cr["metadata"]["name"]
    kinds = [(kind.resource, kind.name(name)) for kind in table.KINDS]
    for resource, child in (*kinds, (CONFIG_MAP, names.ca_bundle(name))):
        obj = live.get((resource.kind, child))
        if obj is not None and resource in RESOURCES and belongs(resource, obj, cr):
            keys.add((resource.kind, child))
    return [live[key] for key in sorted(keys) if key in live]


# --- both sides --------------------------------------------------------------------------------


def _before(cr: Object, obj: Object, wanted: Manifest | None) -> Manifest:
    """What can change of a live object."""
    name = cr["metadata"]["name"]
    entries = [
        entry
        for entry in obj["metadata"].get("managedFields") or ()
        if is_written_by_predecessor(entry, name) and not entry.get("subresource")
    ]
    part = cut(dict(obj), union(entries), wanted)
    identity = {key: obj["metadata"][key] for key in ("name", "namespace")}
    metadata = {**(part.get("metadata") or {}), **identity}
    kind = {key: obj[key] for key in ("apiVersion", "kind")}
    manifest = _comparable({**part, **kind, "metadata": metadata})
    if obj["kind"] == DEPLOYMENT.kind and wanted and "replicas" not in wanted["spec"]:
        # The autoscaler has it.
        manifest["spec"].pop("replicas", None)
    if obj["kind"] == PERSISTENT_VOLUME_CLAIM.kind:
        # All of it stays.
        manifest["spec"] = without_defaults(obj["spec"])
        manifest["spec"].pop("volumeName", None)
    if obj["kind"] == CONFIG_MAP.kind:
        manifest["data"] = {CA_BUNDLE_KEY: _BUNDLE}
    return manifest


def _after(manifest: Manifest, before: Manifest | None) -> Manifest:
    after = _comparable(manifest)
    if before is None:
        return after
    found: Manifest = in_words_of(before, after)
    return found


def _comparable(obj: Mapping[str, Any]) -> Manifest:
    """What somebody said of an object, and others than the operator see."""
    plain: Manifest = {
        key: without_defaults(value)
        for key, value in obj.items()
        if key not in {"metadata", "status"}
    }
    plain["metadata"] = _metadata(obj["metadata"])
    if obj["kind"] == DEPLOYMENT.kind:
        template = plain["spec"]["template"]
        template["metadata"] = _metadata(template.get("metadata") or {})
    return {key: plain[key] for key in ("apiVersion", "kind", "metadata") if key in plain} | plain


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    annotations = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if not name.startswith(_OURS) and name not in _NOTES
    }
    kept = {name: metadata[name] for name in ("name", "namespace", "labels") if metadata.get(name)}
    return {**kept, **({"annotations": annotations} if annotations else {})}


def _key(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _of(manifests: Iterable[Manifest], obj: Mapping[str, Any]) -> Manifest | None:
    return next((m for m in manifests if _key(m) == _key(obj)), None)


def _resource(manifest: Mapping[str, Any]) -> Resource:
    return next(resource for resource in RESOURCES if resource.kind == manifest["kind"])


# --- in words ----------------------------------------------------------------------------------


def _summary(
    found: Difference, before: list[Manifest], after: list[Manifest], notes: list[str]
) -> str:
    if not found.lines:
        return "; ".join(("nothing changes", *notes))
    if not before:
        return found.summary
    reasons = list(dict.fromkeys(_reason(r, before, after) for r in found.reasons))
    pods = f"pods restart once: {', '.join(reasons)}" if reasons else "no pod restarts"
    others = [other.replace("is not rendered any more", "goes") for other in found.others]
    return "; ".join((pods, *others, *notes))


def _reason(name: str, before: list[Manifest], after: list[Manifest]) -> str:
    """The parts of a pod by the names that people call them, variables one by one."""
    if name in _PROBES:
        return "probes"
    if name != "env":
        return name
    was, will_be = _variables(before), _variables(after)
    changed = sorted(v for v in was.keys() | will_be.keys() if was.get(v) != will_be.get(v))
    return f"environment ({', '.join(changed)})" if changed else "environment (its order)"


def _variables(manifests: list[Manifest]) -> dict[str, Any]:
    for manifest in manifests:
        if manifest["kind"] == DEPLOYMENT.kind:
            container = manifest["spec"]["template"]["spec"]["containers"][0]
            return {variable["name"]: variable for variable in container.get("env") or ()}
    return {}
