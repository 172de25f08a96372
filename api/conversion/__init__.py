# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Conversion between the versions: pure, total, and lossless both ways (R-D1, R-D8, R-D15).

=====================  ==========================================================================
``spec``, ``items``    the table of fields that both versions have, and how values change
``status``             what v1alpha1 derives from the status
``hidden``             what one version cannot say: an annotation on the object
``places``             where something is in JSON data, and changes there
``paths``              a path of v1alpha2 as the author of a v1alpha1 object reads it
``ogx``                OGXServer, which is of neither version: one way, and not lossless
=====================  ==========================================================================

v1alpha2 is the hub. Nothing is refused here: what is wrong with an object is moved as it is, and
validation tells. Only spec, status and the two annotations are touched, as the API server demands
of a conversion webhook; metadata that is no object is not, so there nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from api import ANNOTATIONS, GROUP, OLD_VERSION, TOO_LARGE, VERSION
from api.conversion import hidden, spec, status
from api.conversion.places import Change, get, path_of, unmade
from api.model import Json


def version_of(obj: Mapping[str, Any]) -> str:
    """Which version an object is written in.

    Raises:
        ValueError: it is of none of ours.
    """
    given = obj.get("apiVersion")
    for version in ANNOTATIONS:
        if given == f"{GROUP}/{version}":
            return version
    raise ValueError(f"apiVersion: must be one of {', '.join(_api_versions())}, got {given!r}")


def convert(obj: Mapping[str, Any], version: str) -> Json:
    """An object in another version.

    Args:
        obj: a LlamaStackDistribution as decoded from JSON; not changed. The result may share parts
            with it.
        version: ``v1alpha1`` or ``v1alpha2``.

    Raises:
        ValueError: the object's version or the other one is none of ours.
    """
    source = version_of(obj)
    if version not in ANNOTATIONS:
        raise ValueError(f"version: must be one of {', '.join(ANNOTATIONS)}, got {version!r}")
    if source == version:
        return dict(obj)
    there, back = _directions(version)
    body = _body(obj)
    result = hidden.restore(there(body), _hidden_in(obj, version), back)
    metadata = hidden.annotated(
        obj.get("metadata"),
        drop=ANNOTATIONS.values(),
        name=ANNOTATIONS[source],
        changes=hidden.lost(body, result, back),
    )
    converted = {**obj, **result, "apiVersion": f"{GROUP}/{version}"}
    return converted if metadata is obj.get("metadata") else {**converted, "metadata": metadata}


def hidden_paths(obj: Mapping[str, Any]) -> list[str]:
    """What an object keeps in its annotation: paths of the other version."""
    changes = _hidden_in(obj, _other(version_of(obj)))
    return [path_of(change.place) for change in changes]


def forgotten_paths(obj: Mapping[str, Any], converted: Mapping[str, Any]) -> list[str]:
    """Those of them that contradict the fields of the object, so that a conversion dropped them.

    Args:
        obj: the object.
        converted: what it became in the other version.
    """
    changes = _hidden_in(obj, version_of(converted))
    return [path_of(change.place) for change in unmade(_body(converted), changes)]


def unkept_paths(obj: Mapping[str, Any], converted: Mapping[str, Any]) -> list[str]:
    """What of an object neither the fields of the other version hold nor the annotation.

    That is so only where the metadata is nonsense that leaves no room for annotations.

    Args:
        obj: the object.
        converted: what it became in the other version.
    """
    version = version_of(converted)
    if version == version_of(obj) or hidden.has_room(obj.get("metadata")):
        return []
    _, back = _directions(version)
    changes = hidden.lost(_body(obj), _body(converted), back)
    return [path_of(change.place) for change in changes]


def is_readable(obj: Mapping[str, Any]) -> bool:
    """Whether all of what an object keeps in its annotation can be read, if it has one."""
    text = _annotation(obj, _other(version_of(obj)))
    return text is None or hidden.is_readable(text)


def is_partial(obj: Mapping[str, Any]) -> bool:
    """Whether an object is a view in v1alpha1 that lacks what had no room in an annotation."""
    return bool(get(obj, ("metadata", "labels", PARTIAL_LABEL)) == TOO_LARGE)


PARTIAL_LABEL: Final = ANNOTATIONS[VERSION]
"""On such a view: the name of the annotation that it lacks."""

_PARTS: Final = ("spec", "status")


def _hidden_in(obj: Mapping[str, Any], version: str) -> list[Change]:
    return hidden.loads(_annotation(obj, version))


def _annotation(obj: Mapping[str, Any], version: str) -> object:
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return annotations.get(ANNOTATIONS[version]) if isinstance(annotations, Mapping) else None


def _body(obj: Mapping[str, Any]) -> Json:
    return {part: obj[part] for part in _PARTS if part in obj}


def _other(version: str) -> str:
    return OLD_VERSION if version == VERSION else VERSION


def _directions(version: str) -> tuple[hidden.Convert, hidden.Convert]:
    """How bodies are converted to a version, and from it."""
    return (_up, _down) if version == VERSION else (_down, _up)


def _up(body: Json) -> Json:
    return _converted(body, spec.up, status.up)


def _down(body: Json) -> Json:
    return _converted(body, spec.down, status.down)


def _converted(body: Json, of_spec: Callable[[Any], Any], of_status: Callable[[Any], Any]) -> Json:
    result = dict(body)
    if "spec" in body:
        result["spec"] = of_spec(body["spec"])
    if "status" in body:
        result["status"] = of_status(body["status"])
    return result


def _api_versions() -> list[str]:
    return [f"{GROUP}/{version}" for version in ANNOTATIONS]
