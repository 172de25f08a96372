# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An edit: a field that is set, changed and removed, in a spec that allows it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One field or section, and what it is edited to.

    Attributes:
        name: of the row; unique.
        absent: the spec without the field.
        first: with it.
        second: with another value.
    """

    name: str
    absent: Json
    first: Json
    second: Json

    @property
    def steps(self) -> tuple[Json, Json, Json]:
        """The specs after setting, changing and removing the field."""
        return self.first, self.second, self.absent

    def __str__(self) -> str:
        return self.name


def secret(name: str, key: str) -> Json:
    """A reference to a Secret."""
    return {"secretKeyRef": {"name": name, "key": key}}


VLLM: Final[Json] = {
    "provider": "vllm",
    "endpoint": "http://vllm.example:8000/v1",
    "apiKey": secret("creds", "token"),
}

MINIMAL: Final[Json] = {"distribution": {"name": "starter"}, "providers": {"inference": VLLM}}
"""What most rows start from."""


def row(
    path: str, first: Any, second: Any, *, name: str = "", base: Json | None = None, **context: Any
) -> Row:
    """A row for the field at a path below ``spec``.

    Args:
        path: names joined by dots.
        first: the value that is set.
        second: the value that it is changed to.
        name: of the row, the path by default.
        base: the rest of the spec.
        context: sections that are merged into the rest, because the field needs them.
    """
    absent = merged(MINIMAL if base is None else base, context)
    return Row(
        name or path,
        absent,
        merged(absent, _placed(path, first)),
        merged(absent, _placed(path, second)),
    )


def _placed(path: str, value: Any) -> Json:
    """The value at its path, in a spec that has nothing else."""
    head, _, rest = path.partition(".")
    return {head: _placed(rest, value) if rest else value}


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> Json:
    """Objects are merged, everything else is replaced."""
    result = copy.deepcopy(dict(base))
    for key, value in more.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = merged(old, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


# --- which fields an edit touches --------------------------------------------------------------

_ALIKE: Final = (
    *("spec.providers", "spec.externalProviders"),
    *("spec.server.providers", "spec.server.externalProviders"),
)
_MODELS: Final = ("spec.resources", "spec.server.resources")


def values_of(spec: Json) -> dict[str, list[Any]]:
    """Every value in a spec, by path as in ``schema``; all that stand at one path together."""
    found: dict[str, list[Any]] = {}
    for path, value in _values("spec", spec):
        found.setdefault(path, []).append(value)
    return found


def _values(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _field(path, key, below)
            yield from _values(f"{path}{{}}", below)  # if it is a map
    elif isinstance(value, list):
        for member in value:
            yield from _values(f"{path}[]", member)


def _field(path: str, key: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield from _values(f"{path}.{key}", value)
    if path in _ALIKE:
        members = value if isinstance(value, list) else [value]
        for member in members:
            yield from _values(f"{path}.*[]", member)
    if path in _MODELS and key == "models":
        # A model is a name or an object.
        for model in value:
            if isinstance(model, str):
                yield f"{path}.models[].name", model
    if path == "spec.networking" and key == "expose" and isinstance(value, bool):
        yield "spec.networking.expose.enabled", value
