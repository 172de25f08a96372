# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What changes between two renderings of one resource. Pure.

The generated ConfigMap is immutable and named after its content, so as an object it is always "one
goes, one comes". What people want to see is the change of the config.yaml in it: that is compared
as text of its own. All other objects are compared as YAML, under the names that ``kubectl diff``
gives them.

Whether pods restart is decided by the pod template alone, as the Deployment controller does it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.v1alpha2.references import CONFIG_KEY
from configs.yaml_reader import dump
from controller.llamastack.objects.claims import fitted
from controller.llamastack.objects.kinds import (
    CONFIG_HASH,
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    REGISTRY_STATE,
)

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest

CONTEXT = 3
"""Lines around a change, as ``diff -u`` shows."""

TOO_DIFFERENT = 20_000_000
"""Lines of one side times lines of the other beyond which no common lines are looked for: the
search takes seconds then, and nobody reads the answer."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two renderings.

    Attributes:
        lines: a unified diff, without line ends; empty if they are equal.
        summary: what will happen, in one sentence without a subject.
        reasons: what of the pod template changes, so that pods restart; empty if they do not.
        others: what else changes, in words.
    """

    lines: tuple[str, ...]
    summary: str
    reasons: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def compare(old: Sequence[Manifest], new: Sequence[Manifest]) -> Difference:
    """What a change leads to.

    Args:
        old: the objects of the resource as it was; empty if it is new, or its objects unknown.
        new: as it will be.
    """
    new, notes = _with_claims_kept(old, new)
    lines = [line for before, after in _texts(old, new) for line in _unified(before, after)]
    if not lines:
        return Difference((), "; ".join(("nothing changes", *notes)), others=tuple(notes))
    if not old:
        summary = "is new: creates " + ", ".join(_short(m) for m in new)
        return Difference(tuple(lines), "; ".join((summary, *notes)))
    reasons = _restart_reasons(old, new)
    others = (*_others(old, new, restarts=bool(reasons)), *notes)
    pods = f"pods restart: {', '.join(reasons)}" if reasons else "no pod restarts"
    return Difference(tuple(lines), "; ".join((pods, *others)), tuple(reasons), others)


def _with_claims_kept(
    old: Sequence[Manifest], new: Sequence[Manifest]
) -> tuple[list[Manifest], list[str]]:
    """As a cluster will have it, and what it will not do: no edit deletes or shrinks a claim."""
    claims = {_name(m): m for m in old if m["kind"] == PERSISTENT_VOLUME_CLAIM.kind}
    kept, notes = [], []
    for manifest in new:
        before = claims.pop(_name(manifest), None)
        if before is None:
            kept.append(manifest)
            continue
        spec = {**before["spec"], "volumeName": "-"}
        after = fitted(manifest, {**before, "spec": spec, "status": {"phase": "Bound"}})
        kept.append(after)
        asked, gets = manifest["spec"], after["spec"]
        stay = [_CLAIM_FIELDS[k] for k in _CLAIM_FIELDS if k in asked and asked[k] != gets.get(k)]
        if stay:
            notes.append(f"{_short(manifest)} keeps its {', '.join(stay)}")
    notes += [f"{_short(claim)} stays" for claim in claims.values()]
    return [*kept, *claims.values()], notes


_CLAIM_FIELDS = {"resources": "size", "storageClassName": "class", "accessModes": "access modes"}


# --- texts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    name: str
    lines: Sequence[str]


_NOTHING = _Text("/dev/null", ())


def _texts(old: Sequence[Manifest], new: Sequence[Manifest]) -> Iterator[tuple[_Text, _Text]]:
    """Pairs to compare: the configuration first, then the Deployment, for they decide."""
    yield _config_text(old, "old"), _config_text(new, "new")
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys(), key=_deployment_first):
        yield _text("old", name, before.get(name)), _text("new", name, after.get(name))


def _deployment_first(name: str) -> tuple[bool, str]:
    return not name.startswith(f"{DEPLOYMENT.group}."), name


def _by_name(manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    return {_name(m): _without_state(m) for m in manifests if not _is_generated(m)}


def _without_state(manifest: Manifest) -> Manifest:
    """Without what the operator notes for itself: it follows from the rest, and nobody reads it."""
    metadata = manifest["metadata"]
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key != REGISTRY_STATE
    }
    kept = {key: value for key, value in metadata.items() if key != "annotations"}
    if annotations:
        kept["annotations"] = annotations
    return {**manifest, "metadata": kept}


def _name(manifest: Manifest) -> str:
    """``apps.v1.Deployment.default.demo``, as kubectl diff has it."""
    version, metadata = manifest["apiVersion"].replace("/", "."), manifest["metadata"]
    return f"{version}.{manifest['kind']}.{metadata['namespace']}.{metadata['name']}"


def _text(side: str, name: str, manifest: Manifest | None) -> _Text:
    if manifest is None:
        return _NOTHING
    return _Text(f"{side}/{name}", dump(manifest).splitlines())


def _config_text(manifests: Sequence[Manifest], side: str) -> _Text:
    found = _generated(manifests)
    if found is None:
        return _NOTHING
    return _Text(f"{side}/{_name(found)}/{CONFIG_KEY}", found["data"][CONFIG_KEY].splitlines())


def _generated(manifests: Sequence[Manifest]) -> Manifest | None:
    return next(filter(_is_generated, manifests), None)


def _is_generated(manifest: Manifest) -> bool:
    annotations = manifest["metadata"].get("annotations") or {}
    return manifest["kind"] == CONFIG_MAP.kind and CONFIG_HASH in annotations


# --- unified diff ------------------------------------------------------------------------------


def _unified(old: _Text, new: _Text) -> Iterator[str]:
    if old.lines == new.lines:
        return
    yield f"--- {old.name}"
    yield f"+++ {new.name}"
    for group in _groups(old.lines, new.lines):
        (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = group[0], group[-1]
        yield f"@@ -{_range(old_from, old_to)} +{_range(new_from, new_to)} @@"
        for kind, a, b, c, d in group:
            if kind == "equal":
                yield from (f" {line}" for line in old.lines[a:b])
            else:
                yield from (f"-{line}" for line in old.lines[a:b])
                yield from (f"+{line}" for line in new.lines[c:d])


def _groups(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[list[tuple[str, int, int, int, int]]]:
    """Changes with their context, as ``difflib`` groups them."""
    if len(old) * len(new) > TOO_DIFFERENT:
        yield [("replace", 0, len(old), 0, len(new))]
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    yield from matcher.get_grouped_opcodes(CONTEXT)


def _range(start: int, stop: int) -> str:
    """As POSIX wants it: an empty range is named by the line before it."""
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


# --- summary -----------------------------------------------------------------------------------


def _others(old: Sequence[Manifest], new: Sequence[Manifest], *, restarts: bool) -> Iterator[str]:
    before, after = _generated(old), _generated(new)
    if after is not None and (before is None or _object(before) != _object(after)):
        yield f"new {_short(after)}"
    elif before is not None and after is None:
        yield "the image's own configuration runs"
    yield from _other_changes(old, new, restarts=restarts)


def _object(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def _short(manifest: Manifest) -> str:
    return f"{manifest['kind']} {_object(manifest)}"


def _other_changes(
    old: Sequence[Manifest], new: Sequence[Manifest], *, restarts: bool
) -> Iterator[str]:
    """Objects that change in another way than by their pod template."""
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys(), key=_deployment_first):
        a, b = before.get(name), after.get(name)
        if a is None or b is None:
            present = a or b or {}
            yield f"{_short(present)} {'appears' if a is None else 'is not rendered any more'}"
        elif a["kind"] == DEPLOYMENT.kind:
            replicas = [m["spec"].get("replicas") for m in (a, b)]
            if replicas[0] != replicas[1]:
                yield f"replicas {_shown(replicas[0])} to {_shown(replicas[1])}"
            elif a != b and not restarts:
                yield f"{_short(b)} changes"
        elif a != b:
            yield f"{_short(b)} changes"


def _shown(replicas: int | None) -> str:
    return "autoscaled" if replicas is None else str(replicas)


def _restart_reasons(old: Sequence[Manifest], new: Sequence[Manifest]) -> list[str]:
    """What of the pod template changes, most telling first; nothing if pods stay."""
    before, after = _template(old), _template(new)
    if before is None or after is None or before == after:
        return []
    was, will_be = _generated(old), _generated(new)
    reasons = []
    if was is not None and will_be is not None and _object(was) != _object(will_be):
        reasons.append(CONFIG_KEY)
        # Its new name is the whole of that change; what is left has other reasons.
        before = json.loads(json.dumps(before).replace(_object(was), _object(will_be)))
    elif (was is None) != (will_be is None):
        reasons.append(CONFIG_KEY)
    reasons += [key for key in _changed_parts(before, after) if key not in reasons]
    return reasons or ["pod template"]


def _template(manifests: Sequence[Manifest]) -> Mapping[str, Any] | None:
    found = next((m for m in manifests if m["kind"] == DEPLOYMENT.kind), None)
    return found["spec"]["template"] if found is not None else None


def _changed_parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names of what differs, as a pod spec calls it: of the server's container, then the rest."""
    pods = before["spec"], after["spec"]
    servers = pods[0]["containers"][0], pods[1]["containers"][0]
    found = [
        *_changed_keys(*servers),
        *(key for key in _changed_keys(*pods) if key != "containers"),
        *_changed_keys(before.get("metadata") or {}, after.get("metadata") or {}),
    ]
    if pods[0]["containers"][1:] != pods[1]["containers"][1:]:
        found.append("containers")
    return list(dict.fromkeys(found))


def _changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
