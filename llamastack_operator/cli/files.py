# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Custom resources from files, for the commands that work offline.

A file may come from anywhere (a pull request, a generator that went wrong), so reading one is
bounded: in bytes before anything is read, in values while it is parsed (``configs.yaml_reader``,
which also refuses tags, cycles, repeated keys and deep nesting), in resources before anything is
computed from them. What cannot be used is one line that names the file, and the place in it.

What a path may be is what kubectl takes: a file, a folder (its YAML and JSON files, not those of
folders in it), ``-``; a pipe from the shell works, too. A pipe that nobody writes into is an error
instead of a wait.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import api
from configs.yaml_reader import MAX_BYTES, MAX_NODES, YamlError, load_all
from llamastack_operator.cli.documents import Found, NoObject, objects_in
from llamastack_operator.cli.errors import UsageError
from llamastack_operator.cli.report import one_line, say

if TYPE_CHECKING:
    import argparse

MAX_RESOURCES = 1_000
"""Resources in all files together: a second and a half of work, and more than anybody reviews."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read.

    Attributes:
        size: bytes.
        nodes: values in it, as ``configs.yaml_reader`` counts them.
    """

    size: int = MAX_BYTES
    nodes: int = MAX_NODES


MANY = Limits(size=64 * MAX_BYTES, nodes=50 * MAX_NODES)
"""For a whole cluster in one file: tens of thousands of resources, as kubectl prints them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The resources that a command works on.

    Attributes:
        group: API group; its other kinds are refused.
        name: of the kind.
        versions: that are known; others are refused.
    """

    group: str
    name: str
    versions: tuple[str, ...]


RESOURCE = Kind(api.GROUP, api.KIND, api.VERSIONS)
OGX_SERVER = Kind(api.OGX_GROUP, api.OGX_KIND, (api.OGX_VERSION,))

DEFAULT_NAMESPACE = "default"
STDIN = "-"

_SUFFIXES = (".yaml", ".yml", ".json")  # what kubectl takes of a folder
_CHUNK = 1 << 16
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NAMED = 5  # objects that are passed over and named; of the others the number is


class BadFile(UsageError):
    """The file is not what the command needs; the message names it and the reason."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource and where it was found.

    Attributes:
        file: as the user named it.
        obj: the resource; anything may be wrong with it but its kind and version. Its namespace is
            filled in, as kubectl would.
        place: in the file, if that holds others.
    """

    file: str
    obj: dict[str, Any]
    place: str = ""

    @property
    def namespace(self) -> str:
        """Where it belongs; may be nonsense as long as nothing has validated it."""
        return str(_metadata(self.obj).get("namespace"))

    @property
    def name(self) -> str:
        """Likewise; of what has none, where it is."""
        place = f", {self.place}" if self.place else ""
        return str(_metadata(self.obj).get("name") or f"(no name{place})")

    @property
    def label(self) -> str:
        """How messages call it; without the namespace if it names none."""
        return f"{self.namespace}/{self.name}" if _has_namespace(self.obj) else self.name


def add_file_arguments(
    parser: argparse.ArgumentParser, verb: str, *, required: bool = True
) -> None:
    """``-f`` and ``-n``.

    Args:
        parser: of the command.
        verb: what the command does with the resources, for the help.
        required: whether there is no other way to say which resources.
    """
    add_filename_argument(parser, verb, required=required)
    parser.add_argument(
        "-n",
        "--namespace",
        default="",
        metavar="NS",
        help=f"namespace of resources that name none (default: {DEFAULT_NAMESPACE})",
    )


def add_filename_argument(
    parser: argparse.ArgumentParser, verb: str, *, required: bool = True
) -> None:
    """``-f`` alone."""
    parser.add_argument(
        "-f",
        "--filename",
        required=required,
        action="append",
        metavar="FILE",
        help=f"YAML or JSON to {verb}; a folder for all such files in it; - for standard input; "
        "may be repeated",
    )


def read_documents(paths: Sequence[str], kind: Kind = RESOURCE) -> list[Entry]:
    """The resources of some files as they are; of any number.

    Args:
        paths: of files or folders; ``-`` for standard input.
        kind: of the resources; all others are passed over, and named on standard error.

    Raises:
        BadFile: a file is unreadable, too large, not YAML, or holds no such resource.
    """
    return [entry for path in paths for entry in _entries(path, MANY, kind, names_others=True)]


def read_resources(paths: Sequence[str], *, namespace: str = "") -> list[Entry]:
    """The LlamaStackDistributions of some files; objects of other groups are passed over.

    Args:
        paths: of files or folders; ``-`` for standard input.
        namespace: of resources that name none; others must name the same. Empty: ``default``, and
            any.

    Raises:
        BadFile: a file is unreadable, too large, not YAML, or holds no such resource; or one
            resource is there twice, or in another namespace.
    """
    entries = [entry for path in paths for entry in _entries(path)]
    if len(entries) > MAX_RESOURCES:
        raise BadFile(f"{len(entries)} resources at once; more than {MAX_RESOURCES} are refused")
    _fill_in_namespaces(entries, namespace)
    _refuse_repeated(entries)
    return entries


def _entries(
    path: str, limits: Limits = Limits(), kind: Kind = RESOURCE, *, names_others: bool = False
) -> list[Entry]:
    """The resources of one path, which must have some."""
    is_folder = path != STDIN and os.path.isdir(path)  # Path.is_dir raises
    entries: list[Entry] = []
    others: list[Found] = []
    for file in map(str, _files_of(Path(path))) if is_folder else [path]:
        for found in _objects(file, limits, strays=is_folder):
            if _is_ours(file, found, kind):
                entries.append(Entry(file, found.obj, found.place))
            else:
                others.append(found)
    convertible = [o for o in others if kind is not OGX_SERVER and _is_ogx_server(o)]
    hint = _hint(path) if convertible else ""
    if not entries:
        kinds = [] if is_folder else sorted({str(other.obj["kind"]) for other in others})
        seen = f"; it holds {', '.join(kinds)}" if kinds else ""
        where = "the YAML and JSON files of this folder" if is_folder else "this file"
        raise BadFile(f"{path}: no {kind.name} in {where}{seen}{hint}")
    if convertible:
        say(one_line(f"warning: {path}: {OGX_SERVER.name} is passed over{hint}"), sys.stderr)
    if names_others:
        _say_passed_over(path, [o for o in others if kind is OGX_SERVER or not _is_ogx_server(o)])
    return entries


def _objects(file: str, limits: Limits, *, strays: bool) -> list[Found]:
    try:
        return objects_in(parse(read_bounded(file, limits.size), file, limits), strays=strays)
    except NoObject as error:
        raise BadFile(f"{file}: {error}") from error


def _say_passed_over(path: str, others: Sequence[Found]) -> None:
    if not others:
        return
    listed = [f"{other.obj['kind']} {other.name}".rstrip() for other in others[:_NAMED]]
    if len(others) > _NAMED:
        listed.append(f"{len(others) - _NAMED} more")
    many = "1 other object was" if len(others) == 1 else f"{len(others)} other objects were"
    say(one_line(f"warning: {path}: {many} passed over: {', '.join(listed)}"), sys.stderr)


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES and not p.is_dir())
    except OSError as error:
        raise BadFile(f"{folder}: {error.strerror}") from error


def _is_ogx_server(found: Found) -> bool:
    return found.obj["kind"] == OGX_SERVER.name and found.group == OGX_SERVER.group


def _hint(path: str) -> str:
    """What to do with resources that are not read, but could be converted."""
    file = shlex.quote(path)
    how = f"python -m llamastack_operator convert --from ogx -f {file} --to {api.VERSION}"
    return f"; to convert {OGX_SERVER.name}: {how}"


def _is_ours(path: str, found: Found, kind: Kind) -> bool:
    """Whether an object is one of the resources; near misses are refused."""
    name, version = found.obj.get("kind"), found.obj.get("apiVersion")
    if name != kind.name:
        if found.group == kind.group:
            text = f"kind: {name!r} is not known; {kind.group} has {kind.name}"
            raise BadFile(f"{path}: {found.prefix}{text}")
        return False
    known = [f"{kind.group}/{known}" for known in kind.versions]
    if version not in known:
        text = f"apiVersion: {version!r} is not supported; use {' or '.join(known)}"
        raise BadFile(f"{path}: {found.prefix}{text}")
    return True


def _metadata(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _has_namespace(obj: dict[str, Any]) -> bool:
    return bool(_metadata(obj).get("namespace"))


def _fill_in_namespaces(entries: Iterable[Entry], namespace: str) -> None:
    for entry in entries:
        metadata = _metadata(entry.obj)
        if metadata.get("namespace") in (None, ""):  # of other nonsense validation tells
            metadata["namespace"] = namespace or DEFAULT_NAMESPACE
        elif namespace and metadata["namespace"] != namespace:
            raise BadFile(
                f"{entry.file}: {entry.label} is not in the namespace {namespace!r} that was given"
            )


def _refuse_repeated(entries: Iterable[Entry]) -> None:
    seen: dict[str, Entry] = {}
    for entry in entries:
        if not _metadata(entry.obj).get("name"):
            continue  # of that, validation tells
        first = seen.setdefault(entry.label, entry)
        if first is not entry:
            also = "" if first.file == entry.file else f", and in {first.file}"
            place = f"{entry.place}: " if entry.place else ""
            raise BadFile(f"{entry.file}: {place}{entry.label} is there twice{also}")


def parse(data: bytes, path: str, limits: Limits = Limits()) -> list[Any]:
    """The documents of a text.

    Raises:
        BadFile: not YAML of plain data.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if data.startswith(_UTF16):
            raise BadFile(f"{path}: UTF-16 text; save it as UTF-8") from error
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise BadFile(f"{path}: line {line}, byte {column}: not UTF-8 text") from error
    try:
        return load_all(text, max_bytes=limits.size, max_nodes=limits.nodes)
    except YamlError as error:
        raise BadFile(f"{path}: {error}") from error


def read_bounded(path: str, size: int = MAX_BYTES) -> bytes:
    """The bytes of a file.

    Args:
        path: of the file; ``-`` for standard input.
        size: the most bytes that it may have.

    Raises:
        BadFile: unreadable, or larger.
    """
    try:
        data = _read_stdin(size) if path == STDIN else _read(path, size)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadFile(f"{path}: not the name of a file") from error  # it has a NUL character
    if len(data) > size:
        raise BadFile(f"{path}: larger than {size / 2**20:g} MiB; no resource is")
    return data


def _read_stdin(limit: int) -> bytes:
    if sys.stdin is None:
        raise BadFile("-: standard input is closed")
    return sys.stdin.buffer.read(limit + 1)


def _read(path: str, limit: int) -> bytes:
    """Without waiting in open(): a pipe that nobody writes into reads as empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.closing(os.fdopen(descriptor, "rb", buffering=0)) as file:
        parts: list[bytes] = []
        size = 0
        while size <= limit:
            part = file.read(_CHUNK)
            if part is None:  # a pipe with a writer that has nothing to say yet
                os.set_blocking(descriptor, True)
                continue
            if not part:
                break
            parts.append(part)
            size += len(part)
    return b"".join(parts)
