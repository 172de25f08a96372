# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a write is refused for, and what no write is ever refused for. Pure.

Never refused: a deletion, and any write to an object that is being deleted, because finalizers
have to come off; writes that leave the spec as it is, because labels, annotations and owner
references are others' business; subresources, because the status is ours and the scale has rules of
its own. An update is not refused for what was wrong before it, either: what somebody could not
know to be wrong, such as the rule of a newer operator, must not stand in the way of another change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from api import ANNOTATIONS
from api.json_text import deep_json
from api.v1alpha2.references import config_map_refs, secret_refs
from api.validation import validate
from controller.llamastack.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.errors import FieldError, FieldWarning
    from api.v1alpha2 import LlamaStackDistribution
    from api.v1alpha2.references import ConfigMapReference, SecretReference
    from configs.distributions import Distributions
    from llamastack_operator.webhooks.review import AdmissionRequest


@dataclass(frozen=True, slots=True)
class Judgement:
    """What can be told from an object alone.

    Attributes:
        errors: why it cannot be had.
        warnings: what works, but perhaps not as meant.
        secrets: what it refers to; empty if that cannot be told.
        config_maps: likewise.
    """

    errors: tuple[FieldError, ...] = ()
    warnings: tuple[FieldWarning, ...] = ()
    secrets: tuple[SecretReference, ...] = ()
    config_maps: tuple[ConfigMapReference, ...] = ()


def is_exempt(request: AdmissionRequest) -> bool:
    """Whether the write is let through whatever is in it."""
    if request.operation not in {"CREATE", "UPDATE"} or request.subresource or request.obj is None:
        return True
    if _is_going(request.obj) or (request.old is not None and _is_going(request.old)):
        return True
    return request.old is not None and _intent(request.obj) == _intent(request.old)


def judge(obj: Mapping[str, Any], distributions: Distributions | None) -> Judgement:
    """Everything that is wrong with an object and needs no look at the cluster.

    Args:
        obj: the object, in any version.
        distributions: what ``distribution.name`` can mean; ``None`` while that is not known, and
            then the rules that depend on it say nothing.
    """
    wanted = _without_status(obj)
    if distributions is None:
        found = validate(wanted)
        return _judgement(found.errors, found.warnings, found.resource)
    plan = make_plan(wanted, distributions)
    if plan.cr is None:
        return _judgement(plan.errors, plan.warnings, validate(wanted).resource)
    # What an image's labels say decides the rest; the operator asks its registry, a write waits for
    # no registry.
    errors = plan.errors if plan.question is None else ()
    return _judgement(errors, plan.warnings, plan.cr)


def introduced(new: Sequence[FieldError], old: Sequence[FieldError]) -> tuple[FieldError, ...]:
    """The errors that a write brings.

    Not those that were there before, wherever in its list an item is now: who puts one before it
    does not touch it. Of errors that read alike but for the place, there must be as many.
    """
    before = Counter(map(_without_places, old))
    exact = {(error.path, error.message) for error in old}
    before.subtract(_without_places(e) for e in new if (e.path, e.message) in exact)
    brought = []
    for error in new:
        if (error.path, error.message) in exact:
            continue
        alike = _without_places(error)
        if before[alike] > 0:
            before[alike] -= 1
        else:
            brought.append(error)
    return tuple(brought)


_PLACE: Final = re.compile(r"\[\d+\]")


def _without_places(error: FieldError) -> tuple[str, str]:
    return _PLACE.sub("[]", error.path), _PLACE.sub("[]", error.message)


def changed_references(new: Judgement, old: Judgement) -> Judgement:
    """The new judgement with only those references that the old one had nowhere."""
    secrets = {replace(reference, path="") for reference in old.secrets}
    config_maps = {replace(reference, path="") for reference in old.config_maps}
    return Judgement(
        errors=new.errors,
        warnings=new.warnings,
        secrets=tuple(r for r in new.secrets if replace(r, path="") not in secrets),
        config_maps=tuple(r for r in new.config_maps if replace(r, path="") not in config_maps),
    )


def _judgement(
    errors: tuple[FieldError, ...],
    warnings: tuple[FieldWarning, ...],
    resource: LlamaStackDistribution | None,
) -> Judgement:
    if resource is None:
        return Judgement(errors, warnings)
    spec = resource.spec
    return Judgement(errors, warnings, secret_refs(spec), config_map_refs(spec))


def _is_going(obj: Mapping[str, Any]) -> bool:
    metadata = obj.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))


def _intent(obj: Mapping[str, Any]) -> bytes:
    """What somebody asks for, as bytes: to Python, ``1`` and ``true`` are equal.

    It includes what the object's version has no fields for, in an annotation.
    """
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(annotations, Mapping):
        annotations = {}
    hidden = [annotations.get(name) for name in ANNOTATIONS.values()]
    content = [obj.get("apiVersion"), obj.get("spec"), hidden]
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # deeper than it goes
        return deep_json(content).encode()


def _without_status(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The status says nothing of what is wanted, and is the larger part of an object."""
    return {part: value for part, value in obj.items() if part != "status"}
