# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Everything that is wrong with a resource and can be told from the resource alone.

Three callers, one answer: the validating webhook, the reconciler (objects that were stored before
a rule, or while nobody watched), and ``validate`` on the command line. First the shape, by reading
into the models; then the rules, as far as the sections they look at could be read. All findings
come at once. Rules are written for the hub version: an object of v1alpha1 is converted, and what
there is to say is led back to the fields that its author wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from api import ANNOTATIONS, GROUP, OLD_VERSION, VERSION
from api.errors import FieldError, FieldWarning, Finding
from api.limits import MOST_VALUES, is_oversized
from api.model import ApiModel
from api.unknown import UNKNOWN, unknown_fields
from api.v1alpha2 import messages
from api.v1alpha2.parse import read
from api.v1alpha2.rules import RULES
from api.v1alpha2.types import LlamaStackDistribution, Spec

F = TypeVar("F", bound=Finding)


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
        obj: of either version, as decoded from JSON or YAML; may be anything at all.

    Returns:
        The resource in the hub version, and findings at the paths of the version that the object
        is written in.
    """
    if _is_oversized(obj):
        text = messages.TOO_MANY_VALUES.format(most=MOST_VALUES)
        return Validation(None, (FieldError("spec", text),), ())
    if _is_v1alpha1(obj):
        return _validate_v1alpha1(obj)
    return _validate(obj)


def as_written(findings: Iterable[F], obj: Mapping[str, Any]) -> tuple[F, ...]:
    """Findings about the hub version of an object, at the paths of the version it is written in."""
    if not _is_v1alpha1(obj):
        return tuple(findings)
    from api.conversion.paths import WrittenPaths  # noqa: PLC0415 -- see _validate_v1alpha1

    return tuple(map(WrittenPaths(obj).finding, findings))


def _is_oversized(obj: object) -> bool:
    return isinstance(obj, Mapping) and is_oversized(obj.get("spec"))


def _is_v1alpha1(obj: object) -> bool:
    return isinstance(obj, Mapping) and obj.get("apiVersion") == f"{GROUP}/{OLD_VERSION}"


def _validate(obj: Mapping[str, Any]) -> Validation:
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


def _validate_v1alpha1(obj: Mapping[str, Any]) -> Validation:
    """The shape is judged in v1alpha1, everything else in the hub version."""
    # Most objects are of the hub version, and a short command pays for every model that is built.
    from api import v1alpha1  # noqa: PLC0415
    from api.conversion import convert, forgotten_paths, hidden_paths, is_readable  # noqa: PLC0415
    from api.v1alpha1.parse import idle_fields, shape_errors  # noqa: PLC0415

    converted = convert(obj, VERSION)
    found = _validate(converted)
    if found.resource is None and found.errors and not isinstance(obj.get("spec"), Mapping):
        return found
    shape, annotation = shape_errors(obj), f"metadata.annotations[{ANNOTATIONS[VERSION]}]"
    errors = as_written(found.errors, obj)
    ruled = [warning for warning in found.warnings if warning.message != UNKNOWN]
    unknown = {warning.path for warning in found.warnings} - {warning.path for warning in ruled}
    warnings = [
        *_unknown(obj, v1alpha1.LlamaStackDistribution, v1alpha1.Spec),
        *idle_fields(obj),
        *as_written(ruled, obj),
        *(
            FieldWarning(annotation, f"{path}: {messages.NOT_KEPT}")
            for path in forgotten_paths(obj, converted)
        ),
        *(
            FieldWarning(annotation, f"{path}: {UNKNOWN}")
            for path in hidden_paths(obj)
            if path in unknown
        ),
        *([] if is_readable(obj) else [FieldWarning(annotation, messages.NOT_READABLE)]),
    ]
    return Validation(
        found.resource,
        tuple(dict.fromkeys([*shape, *_outside(errors, shape)])),
        tuple(dict.fromkeys(warnings)),
    )


def _outside(errors: Iterable[FieldError], said: Iterable[FieldError]) -> Iterator[FieldError]:
    """The errors of fields of which nothing is said already, nor of what they are in.

    By lengths, of which there are few: an object may have a wrong value 100,000 times.
    """
    paths = {error.path for error in said}
    lengths = {len(path) for path in paths}
    for error in errors:
        path = error.path
        if not any(path[:n] in paths and path[n : n + 1] in ("", ".", "[") for n in lengths):
            yield error


def _unknown(
    obj: object, model: type[ApiModel] = LlamaStackDistribution, spec: type[ApiModel] = Spec
) -> Iterable[FieldWarning]:
    if isinstance(obj, Mapping):
        yield from unknown_fields(spec, obj.get("spec"), "spec")
        # Not below: metadata is the API server's own, a status is ours, of whatever version.
        top = dict.fromkeys(key for key in obj if key != "status")
        yield from unknown_fields(model, top, "")


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
