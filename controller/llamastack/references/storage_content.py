# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the Secret ``<name>-storage-env`` holds (R-D16a), and whether it holds it already. Pure.

Connection strings and passwords of redis are in Secrets of users; the server takes their parts as
variables (``configs.connection``). Three questions are answered here without a value:

* What is it made from? A hash of the sources' uid and resourceVersion and of what becomes of them
  (:func:`state_of`). It stands on the Secret and on the pod template: the first says whether the
  Secret is out of date, the second makes the pods start again with what it holds now.
* Did somebody change it? The API server keeps who wrote which field (``managedFields``), and a
  field that somebody else changed is not ours any more. So the names of the keys that we hold
  prove the content, also after a restart and without keeping or comparing a value
  (:func:`keep_held`).
* What is in the way? :func:`derive` says it without a piece of a value.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from api.errors import FieldError
from configs import connection
from configs.connection import ConnectionStringError, StorageSecret
from controller.llamastack.objects.kinds import FIELD_MANAGER, STORAGE_SOURCES
from informers.errors import StatusError
from informers.transforms import keep_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from configs.connection import StorageValue
    from informers.ports import Object

HELD: Final = "held"
"""Key of what is kept of a Secret of ours beside its metadata: names of the data keys we hold."""

PIECE: Final = 4
"""Characters of a value in a row that no message may repeat."""

_METHOD: Final = "1"  # of making the parts; another one makes every Secret again
_DATA: Final = "f:data"
_FORM: Final = "Write it as postgresql://user:password@host/database"


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be written. Lives as long as a reconcile, and is never shown.

    Attributes:
        state: what it is made from; see :func:`state_of`.
        data: key to value, in base64.
    """

    state: str
    data: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What there is to do for the Secret of one resource.

    Attributes:
        state: what the Secret is made from; empty if there shall be none.
        content: to be written; ``None`` if there is nothing to write.
        errors: values that cannot be used.
        moving: a source is not there, or changes at this moment.
    """

    state: str = ""
    content: Content | None = None
    errors: tuple[FieldError, ...] = ()
    moving: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing is to be written, and nothing is wrong."""
        return self.content is None and not self.errors and not self.moving


NO_STORAGE: Final = Prepared()
"""No Secret, nothing to do."""


def state_of(wanted: StorageSecret, versions: Mapping[str, tuple[str, str]]) -> str:
    """Another text whenever the content may be another one.

    Args:
        wanted: what the configuration asks for.
        versions: uid and resourceVersion of each source, by name of the Secret.
    """
    made = [
        (v.key, v.source.name, v.source.key, v.part, v.family, v.redis, v.pasted)
        for v in wanted.values
    ]
    lines = orjson.dumps([_METHOD, made, sorted(versions.items())])
    return hashlib.sha256(lines).hexdigest()[:16]


def source_names(wanted: StorageSecret) -> tuple[str, ...]:
    """The Secrets of the user that it is made from, each once."""
    return tuple(dict.fromkeys(source.name for source in wanted.sources))


# --- is it there? ----------------------------------------------------------------------------


def keep_held(obj: dict[str, Any]) -> Object:
    """Transform of the informer: metadata, and the names of the data keys that we hold."""
    entries = obj["metadata"].get("managedFields")
    held = obj.get(HELD, []) if entries is None else sorted(_held(entries))
    return {**keep_metadata(obj), HELD: held}


def _held(entries: Iterable[dict[str, Any]]) -> set[str]:
    return {
        name.removeprefix("f:")
        for entry in entries
        if entry.get("manager") == FIELD_MANAGER
        for name in (entry.get("fieldsV1") or {}).get(_DATA) or ()
        if name.startswith("f:")
    }


def held_keys(live: Object) -> frozenset[str]:
    """The data keys of a cached Secret whose values are those that we wrote."""
    return frozenset(live[HELD])


def keys_of(wanted: StorageSecret) -> frozenset[str]:
    """The data keys that it must have."""
    return frozenset(value.key for value in wanted.values)


def in_place(live: Object, wanted: StorageSecret, state: str) -> bool:
    """Whether a cached Secret has what is asked for, and nobody changed it since."""
    annotations = live["metadata"].get("annotations") or {}
    return annotations.get(STORAGE_SOURCES) == state and keys_of(wanted) <= held_keys(live)


# --- from the sources ------------------------------------------------------------------------


def derive(
    wanted: StorageSecret, objects: Mapping[str, Object], state: str
) -> Content | tuple[FieldError, ...]:
    """The content, or what keeps a value from being used, one a field.

    Args:
        wanted: what the configuration asks for.
        objects: the sources as they are, by name; each has the keys that are asked for.
        state: of what it is made from.
    """
    data: dict[str, str] = {}
    errors: list[FieldError] = []
    for path in dict.fromkeys(value.path for value in wanted.values):
        values = tuple(value for value in wanted.values if value.path == path)
        try:
            data |= _derived(StorageSecret(wanted.name, values), objects)
        except ConnectionStringError as error:
            errors.append(_problem(values[0], str(error).removeprefix(f"{path}: ")))
    if errors:
        return tuple(errors)
    return Content(
        state, {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    )


def _derived(wanted: StorageSecret, objects: Mapping[str, Object]) -> dict[str, str]:
    sources = {}
    for source in wanted.sources:
        encoded = objects[source.name]["data"][source.key]
        try:
            sources[source.name, source.key] = base64.b64decode(encoded).decode("utf-8")
        except ValueError:
            raise ConnectionStringError("is not text in UTF-8") from None  # the cause quotes it
    return connection.derive(wanted, sources)


def _problem(value: StorageValue, problem: str) -> FieldError:
    source = value.source
    form = "" if value.redis else f"{_FORM}. "
    return FieldError(
        value.path,
        f'The value of key "{source.key}" in Secret "{source.name}" cannot be used: {problem}. '
        f"{form}Referenced by: {value.path}",
    )


# --- errors ----------------------------------------------------------------------------------


def without_values(error: StatusError, name: str, content: Content) -> StatusError:
    """The same error, unless its text repeats a piece of a value.

    The API server's own messages do not, but an admission plug-in may quote what it refuses.

    Args:
        error: of a write.
        name: of the Secret.
        content: what was written.
    """
    if not _repeats(error, content):
        return error
    return type(error)(
        f'Secret "{name}" was refused ({error.reason or error.code}); the answer is left out, '
        "because it repeats a part of what is in the Secret",
        code=error.code,
        reason=error.reason,
        retry_after=error.retry_after,
    )


def _repeats(error: StatusError, content: Content) -> bool:
    shown = " ".join((error.message, *(text for cause in error.causes for text in cause)))
    plain = (base64.b64decode(value).decode() for value in content.data.values())
    values = (*content.data.values(), *plain)
    pieces = {v[at : at + PIECE] for v in values for at in range(len(v) - PIECE + 1)}
    return any(shown[at : at + PIECE] in pieces for at in range(len(shown) - PIECE + 1))
