# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Everything that is wrong with a resource and can be told from the resource alone.

Three callers, one answer: the validating webhook, the reconciler (objects that were stored before
a rule, or while nobody watched), and ``validate`` on the command line. First the shape, by reading
into the models; then the rules, as far as the sections they look at could be read. All findings
come at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from api.errors import FieldError, FieldWarning
from api.unknown import unknown_fields
from api.v1alpha2.parse import read
from api.v1alpha2.rules import RULES
from api.v1alpha2.types import LlamaStackDistribution, Spec


@dataclass(frozen=True, slots=True)
class Validation:
    """What there is to say of an object.

    Attributes:
        resource: as far as it could be read; ``None`` if nothing could be made of it.
        errors: of shape first and then of rules, without repetitions.
        warnings: likewise.
    """

    resource: LlamaStackDistribution | None
    errors: tuple[FieldError, ...]
    warnings: tuple[FieldWarning, ...]


def validate(obj: Mapping[str, Any]) -> Validation:
    """Judge an object by every rule that needs no catalogue and no cluster.

    Args:
        obj: as decoded from JSON or YAML; may be anything at all.
    """
    resource, shape = read(obj)
    errors, warnings = dict.fromkeys(shape), dict.fromkeys(_unknown(obj))
    if resource is not None:
        broken = _broken_sections(shape)
        for rule in RULES:
            if rule.reads & broken:
                continue
            for finding in rule.check(resource):
                if isinstance(finding, FieldError):
                    errors[finding] = None
                else:
                    warnings[finding] = None
    return Validation(resource, tuple(errors), tuple(warnings))


def _unknown(obj: object) -> Iterable[FieldWarning]:
    if isinstance(obj, Mapping):
        yield from unknown_fields(Spec, obj.get("spec"), "spec")
        # Not below: metadata is the API server's own, a status is ours, of whatever version.
        top = dict.fromkeys(key for key in obj if key != "status")
        yield from unknown_fields(LlamaStackDistribution, top, "")


def _broken_sections(errors: Iterable[FieldError]) -> frozenset[str]:
    """``metadata`` and sections of the spec that have errors; all of them if the spec has."""
    broken: set[str] = set()
    for error in errors:
        head, _, rest = error.path.partition(".")
        if head == "metadata":
            broken.add("metadata")
        elif head == "spec" and rest:
            broken.add(rest.partition(".")[0].partition("[")[0])
        elif head in ("spec", "(object)"):
            broken.update(field.alias or name for name, field in Spec.model_fields.items())
    return frozenset(broken)
