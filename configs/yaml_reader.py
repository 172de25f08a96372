# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""YAML in and out.

Out: ``dump`` and ``dump_all`` write plain JSON data (``configs.yaml_writer``).

In: ``load`` and ``load_all`` read what a stranger wrote: a resource on the command line, a
config.yaml out of an image label, feature flags out of a ConfigMap. A stock loader is unsafe for
that even in its "safe" mode: a kilobyte of aliases expands to gigabytes, a repeated key silently
wins, nesting ends the stack, tags make objects. So a parser only cuts the text into events
(``configs.yaml_events`` says which, and that it makes no difference), and this module builds the
data from them, one node at a time, and stops at the first thing that is not plain JSON data or at
the first limit.

Bare scalars mean what they mean to kubectl (sigs.k8s.io/yaml, YAML 1.1): ``yes`` and ``on`` are
true, ``0644`` is octal; dates and ``1:30`` stay strings, as there. A file read offline and the same
file sent through kubectl must give the same resource. A config of the server means what it means to
the server: for that, another ``resolve``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from configs import scalars, yaml_writer
from configs.yaml_events import (
    HAS_C,
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    MappingStartEvent,
    Parser,
    Refused,
    ScalarEvent,
    events,
)
from configs.yaml_writer import Json

MAX_BYTES = 1024 * 1024 if HAS_C else 128 * 1024
"""Default limit of a text: about what the API server takes for one object, and half a second at the
worst; with the parser in Python four seconds (docs/decisions/0023-yaml-in-c.md)."""

MAX_NODES = 100_000
"""Nodes of one text, counted as if every alias were written out."""

MAX_DEPTH = yaml_writer.MAX_DEPTH
"""Levels of nesting read: whatever can be read can be written."""

Data: TypeAlias = Any
"""What ``load`` returns: dict, list, str, int, float, bool or None, all the way down."""

_TAGS = {
    f"tag:yaml.org,2002:{name}": kind
    for name, kind in (
        ("null", type(None)), ("bool", bool), ("int", int), ("float", float), ("str", str),
        ("map", dict), ("seq", list),
    )
}  # fmt: skip


_SHOWN = 60  # characters of a name quoted in a message


class YamlError(ValueError):
    """The text is not YAML, or is YAML that means more than plain JSON data.

    Attributes:
        problem: what is wrong, in one line.
        line: line, from 1; None when the problem has no place (size, encoding).
        column: column, from 1.
    """

    def __init__(self, problem: str, line: int | None = None, column: int | None = None) -> None:
        self.problem = problem
        self.line = line
        self.column = column
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(f"{place}{problem}")


def dump(data: Json, *, sort_keys: bool = True) -> str:
    """One document as text; the same data gives the same bytes.

    Raises:
        YamlError: the data is not plain JSON data (``configs.yaml_writer.document`` says what is).
    """
    try:
        return yaml_writer.document(data, sort_keys=sort_keys)
    except yaml_writer.EmitError as error:
        raise YamlError(str(error)) from error


def dump_all(documents: Iterable[Json], *, sort_keys: bool = True) -> str:
    """Several documents, each after a ``---`` line.

    Raises:
        YamlError: as ``dump``.
    """
    return "".join(f"---\n{dump(document, sort_keys=sort_keys)}" for document in documents)


def load(
    text: str | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_nodes: int = MAX_NODES,
    resolve: scalars.Resolver = scalars.resolve,
) -> Data:
    """The one document of a text; None for an empty text.

    Args:
        text: YAML, or JSON; bytes must be UTF-8.
        max_bytes: refuse a longer text unread.
        max_nodes: refuse a text of more values, counted as ``MAX_NODES`` is.
        resolve: what a bare scalar means (``configs.scalars``).

    Raises:
        YamlError: not YAML, more than one document, or beyond plain data and the limits.
    """
    documents = load_all(text, max_bytes=max_bytes, max_nodes=max_nodes, resolve=resolve)
    if len(documents) > 1:
        msg = f"expected one document, found {len(documents)}"
        raise YamlError(msg)
    return documents[0] if documents else None


def load_all(
    text: str | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_nodes: int = MAX_NODES,
    resolve: scalars.Resolver = scalars.resolve,
    parser: Parser | None = None,
) -> list[Data]:
    """All documents of a text, those that say nothing left out.

    Args:
        text: YAML, or JSON; bytes must be UTF-8.
        max_bytes: refuse a longer text unread.
        max_nodes: refuse a text of more values, counted as ``MAX_NODES`` is.
        resolve: what a bare scalar means (``configs.scalars``).
        parser: another than the fastest (``configs.yaml_events``).

    Raises:
        YamlError: not YAML, or beyond plain data and the limits.
    """
    if isinstance(text, bytes):
        _check_size(len(text), max_bytes)
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise YamlError("the text is not UTF-8") from error
    else:
        _check_size(len(text), max_bytes)
        _check_size(len(text.encode("utf-8", "surrogatepass")), max_bytes)
    try:
        found = _documents(events(text, parser), _Composer(max_nodes, resolve))
        return [data for data in found if data is not None]
    except Refused as error:
        raise YamlError(error.problem, error.line, error.column) from error


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        msg = f"the text is {size} bytes long, more than the {limit} allowed"
        raise YamlError(msg)


def _documents(events: Iterator[Any], composer: _Composer) -> Iterator[Data]:
    for event in events:
        if isinstance(event, ScalarEvent):
            composer.scalar(event)
        elif isinstance(event, CollectionStartEvent):
            composer.open(event)
        elif isinstance(event, CollectionEndEvent):
            composer.close()
        elif isinstance(event, AliasEvent):
            composer.alias(event)
        elif isinstance(event, DocumentEndEvent):
            yield composer.root
            composer.next_document()


@dataclass
class _Open:
    """A container whose end has not been seen."""

    data: dict[str, Data] | list[Data]
    anchor: str | None
    nodes: int = 1
    key: str | None = None
    merging: bool = False
    merges: list[dict[str, Data]] = field(default_factory=list)


class _Composer:
    """Builds data from events and keeps count."""

    def __init__(self, max_nodes: int, resolve: scalars.Resolver) -> None:
        self._max_nodes = max_nodes
        self._resolve = resolve
        self.root: Data = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Data, int] | None] = {}
        self._nodes = 0

    def next_document(self) -> None:
        """Anchors end with their document; the count of nodes does not."""
        self.root = None
        self._anchors.clear()

    def open(self, event: Any) -> None:
        """A mapping or a sequence begins."""
        data: dict[str, Data] | list[Data]
        data = {} if isinstance(event, MappingStartEvent) else []
        _expect_kind(event, type(data))
        if self._wants_key():
            raise _at(event, "a key must be a string, not a list or mapping")
        if len(self._stack) >= MAX_DEPTH:
            raise _at(event, f"nested deeper than {MAX_DEPTH} levels")
        self._count(event, 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # its value may not contain itself
        self._stack.append(_Open(data, event.anchor))

    def close(self) -> None:
        """The innermost container ends."""
        top = self._stack.pop()
        if isinstance(top.data, dict):
            for merged in top.merges:
                for key, value in merged.items():
                    top.data.setdefault(key, value)
        self._place(top.data, top.anchor, top.nodes)

    def scalar(self, event: Any) -> None:
        """A scalar: a key or a value."""
        self._count(event, 1)
        if self._wants_key():
            self._key(event)
        else:
            self._place(_value(event, self._resolve), event.anchor, 1, event)

    def alias(self, event: Any) -> None:
        """The value of an anchor once more: counted in full, shared in memory."""
        if event.anchor not in self._anchors:
            raise _at(event, f"nothing is anchored as &{_short(event.anchor)}")
        if self._wants_key():
            raise _at(event, "an alias cannot be a key")
        known = self._anchors[event.anchor]
        if known is None:
            raise _at(event, f"&{_short(event.anchor)} contains itself")
        data, nodes = known
        self._count(event, nodes)
        self._place(data, None, nodes, event)

    def _wants_key(self) -> bool:
        if not self._stack:
            return False
        top = self._stack[-1]
        return isinstance(top.data, dict) and top.key is None and not top.merging

    def _key(self, event: Any) -> None:
        top = self._stack[-1]
        if event.value == "<<" and not event.style and event.tag is None:
            top.merging = True
            return
        key = _value(event, self._resolve)
        if not isinstance(key, str):
            raise _at(event, f"the key {_short(event.value)} must be a string: write it in quotes")
        if key in top.data:
            raise _at(event, f"the key {_short(key)} is there twice")
        top.key = key
        if event.anchor is not None:
            self._anchors[event.anchor] = (key, 1)

    def _place(self, data: Data, anchor: str | None, nodes: int, event: Any = None) -> None:
        """Puts a finished value where it belongs."""
        if anchor is not None:
            self._anchors[anchor] = (data, nodes)
        if not self._stack:
            self.root = data
            return
        top = self._stack[-1]
        top.nodes += nodes
        if isinstance(top.data, list):
            top.data.append(data)
        elif top.merging:
            top.merging = False
            top.merges.extend(_merged(data, event))
        elif top.key is not None:
            top.data[top.key] = data
            top.key = None

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > self._max_nodes:
            raise _at(event, f"more than {self._max_nodes} values, aliases written out")


def _merged(data: Data, event: Any) -> list[dict[str, Data]]:
    """The mappings behind a merge key, first one first in rank."""
    sources = data if isinstance(data, list) else [data]
    for source in sources:
        if not isinstance(source, dict):
            raise _at(event, "<< takes a mapping or a list of mappings")
    return sources


def _value(event: Any, resolve: scalars.Resolver) -> scalars.Scalar:
    """The value of a scalar event."""
    text = _paired(event)
    if event.tag is None:
        if event.style:
            return text
    elif event.tag == "!" or _TAGS.get(event.tag) is str:
        return text
    try:
        value = resolve(text)
    except scalars.ScalarError as error:
        raise _at(event, str(error)) from error
    _expect_kind(event, type(value))
    return value


def _paired(event: Any) -> str:
    """The text, pairs of surrogate escapes (JSON's way past plane 0) made one character."""
    text = str(event.value)
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _at(event, "half of a surrogate pair") from error


def _expect_kind(event: Any, kind: type) -> None:
    """A tag may say what the value is anyway, nothing else."""
    if event.tag is None or event.tag == "!":
        return
    expected = _TAGS.get(event.tag)
    if expected is None:
        raise _at(event, f"the tag {_short(event.tag)} is not allowed")
    if expected is not kind:
        raise _at(event, f"the value is not what its tag {event.tag} says")


def _short(text: str) -> str:
    """A name of the text's author, short enough for one line and free of line breaks."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")[1:-1]


def _at(event: Any, problem: str) -> YamlError:
    if event is None:
        return YamlError(problem)
    return YamlError(problem, event.start_mark.line + 1, event.start_mark.column + 1)
