# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A path of v1alpha2 as the author of a v1alpha1 object reads it.

Every rule is written once, for v1alpha2. What it says reaches the author of a v1alpha1 object at
the field that he wrote: paths are led back along the table of the conversion, in front of a message
and inside it. What v1alpha1 cannot say is in the annotation, so that is where such a field is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

from api import ANNOTATIONS, VERSION
from api.conversion import hidden
from api.conversion.items import METADATA, SETTINGS
from api.conversion.places import ABSENT, get
from api.conversion.shared import of_one_version
from api.conversion.spec import MOVES
from api.errors import Finding
from api.v1alpha2.types import Spec

F = TypeVar("F", bound=Finding)

Segments: TypeAlias = tuple[str, ...]

_SEGMENT: Final = re.compile(r"\[[^\]]*\]|[^.\[\]]+")
_PATH: Final = re.compile(
    r"\bspec\.([A-Za-z][A-Za-z0-9]*)(?:\[\d+\])?(?:\.[A-Za-z][A-Za-z0-9]*(?:\[\d+\])?)*"
)
_SECTIONS: Final = frozenset(field.alias or name for name, field in Spec.model_fields.items())

_ANNOTATION: Final = f"metadata.annotations[{ANNOTATIONS[VERSION]}]"
_WHOSE: Final = f" of {VERSION}"

_ABOVE: Final[Mapping[Segments, Segments]] = {
    # What holds several fields in one version and none, or several, in the other.
    ("workload",): ("server",),
    ("workload", "overrides"): ("server", "podOverrides"),
    ("workload", "storage"): ("server", "storage"),
    ("workload", "storage", "size"): ("server", "storage", "size"),
    ("workload", "storage", "mountPath"): ("server", "storage", "mountPath"),
    ("networking",): ("network",),
    ("networking", "tls"): ("server", "tls"),
}

_WHOLE: Final[Mapping[Segments, Segments]] = {
    move.new: move.old for move in MOVES if move.old != ("server", "port")
}


class WrittenPaths:
    """The paths of one object as its author wrote them. Its annotation is read at most once.

    Args:
        obj: the object in v1alpha1; may be anything at all.
    """

    def __init__(self, obj: Mapping[str, Any]) -> None:
        self._obj = obj

    def path(self, path: str) -> str:
        """Where the author wrote what v1alpha2 has at a path.

        Args:
            path: of v1alpha2, e.g. ``spec.providers.inference[1].settings.region``.

        Returns:
            The path in v1alpha1, or that of the annotation; other paths than those of the spec as
            they are.
        """
        head, *rest = _SEGMENT.findall(path) or [path]
        if head != "spec" or not rest:
            return path
        found = _translated(tuple(rest), get(self._obj, ("spec",)))
        if found is None or (not self._is_written(found) and self._is_hidden(tuple(rest))):
            return _ANNOTATION
        return _joined(("spec", *found))

    def finding(self, finding: F) -> F:
        """A finding of v1alpha2 for the author."""
        path, message = self.path(finding.path), self.text(finding.message)
        if path == _ANNOTATION:
            message = f"{finding.path}: {message}"
        return replace(finding, path=path, message=message, hint=self.text(finding.hint))

    def text(self, text: str) -> str:
        """A message with every path in it translated; of others it is said whose they are.

        A text that is translated already stays as it is: messages are kept from status to status.
        """
        return _PATH.sub(self._in_text, text)

    def _in_text(self, match: re.Match[str]) -> str:
        if match[1] not in _SECTIONS:  # of another kind, e.g. spec.template of a Deployment
            return match[0]
        path = self.path(match[0])
        if path != _ANNOTATION:
            return path
        said = match.string.startswith(_WHOSE, match.end())
        return match[0] if said else f"{match[0]}{_WHOSE}"

    @functools.cached_property
    def _hidden(self) -> frozenset[Segments]:
        """The places of the annotation that are named by keys alone."""
        changes = hidden.loads(get(self._obj, ("metadata", "annotations", ANNOTATIONS[VERSION])))
        places = (tuple(step for step in c.place if isinstance(step, str)) for c in changes)
        return frozenset(p for p, c in zip(places, changes, strict=True) if len(p) == len(c.place))

    def _is_hidden(self, keys: Segments) -> bool:
        """Whether the annotation has a field, or what it is in."""
        place = ("spec", *keys)
        return any(place[:length] in self._hidden for length in range(1, len(place) + 1))

    def _is_written(self, keys: Segments) -> bool:
        """Whether the object shows a field; a null is something that somebody wrote."""
        above = get(self._obj, ("spec", *keys[:-1]))
        return isinstance(above, Mapping) and keys[-1] in above


def _translated(keys: Segments, spec: Any) -> Segments | None:
    if keys[:1] == ("providers",):
        return _in_provider(keys, spec)
    if keys[:2] == ("resources", "models"):
        return _in_model(keys)
    if keys[:1] == ("storage",):
        known = keys[2:3] in ((), ("type",), ("connectionString",))
        return ("server", "storage", *keys[2:]) if known else None
    if keys == ("networking", "port") and get(spec, ("server", "containerSpec", "port")) is ABSENT:
        return ("server", "port")
    if keys in _ABOVE:
        return _ABOVE[keys]
    for length in range(len(keys), 0, -1):
        if (old := _WHOLE.get(keys[:length])) is not None:
            return _below(old, keys[:length], keys[length:])
    return None


def _below(old: Segments, new: Segments, field: Segments) -> Segments | None:
    """A field of what is the same in both versions, if both have it."""
    if new == ("networking", "expose") and field:  # v1alpha1 has only yes and no
        return None
    return None if field[:1] and field[0] in of_one_version(old, new) else (*old, *field)


def _in_provider(keys: Segments, spec: Any) -> Segments | None:
    """``providers.<section>[<index>].<field>…``."""
    position = _SECTION + (len(keys) > _SECTION and keys[_SECTION].startswith("["))
    head, field = ("server", *keys[:position]), keys[position:]
    if keys[1:2] and keys[1] in of_one_version(("server", "providers"), ("providers",)):
        return None
    if field[:1] == ("settings",):
        return (*head, *_in_settings(field[1:], _item(spec, keys[:position])))
    if field[:2] == ("secretRefs", "host"):
        return (*head, *field[1:])
    return None if field[:1] and field[0] in _PROVIDER_ONLY else (*head, *field)


def _in_settings(field: Segments, item: Any) -> Segments:
    """A setting; where two of them can be written, the place where it was, else the better one."""
    apart = field[:1] and field[0] in SETTINGS and get(item, ("config", field[0])) is ABSENT
    return field if apart else ("config", *field)


def _item(spec: Any, keys: Segments) -> Any:
    section = get(spec, ("server", *keys[:_SECTION]))
    if len(keys) == _SECTION or not isinstance(section, list | tuple):
        return section
    index = int(keys[_SECTION].strip("[]"))
    return section[index] if index < len(section) else ABSENT


def _in_model(keys: Segments) -> Segments | None:
    """``resources.models[<index>].<field>``."""
    head, field = ("server", *keys[:_MODEL]), keys[_MODEL:]
    if field[:1] and field[0] in METADATA:
        return (*head, "metadata", *field)
    return None if field[:1] and field[0] in _MODEL_ONLY else (*head, *field)


_SECTION: Final = 2  # segments up to the section of a provider
_MODEL: Final = 3  # segments up to a model
_PROVIDER_ONLY: Final = of_one_version(
    ("server", "providers", "inference"), ("providers", "inference")
)
_MODEL_ONLY: Final = of_one_version(("server", "resources", "models"), ("resources", "models"))


def _joined(segments: Segments) -> str:
    text = ""
    for segment in segments:
        text += segment if segment.startswith("[") or not text else f".{segment}"
    return text
