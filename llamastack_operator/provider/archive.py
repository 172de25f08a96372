# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An archive of an image: what ``docker export``, ``docker save`` and ``podman save`` write.

Sums of content are not compared: whoever could change one part of the archive could change all.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from configs.external.failures import one_line
from configs.external.offline.contents import Contents, Tree
from configs.external.offline.target import machine_of
from llamastack_operator.provider.errors import ImageError
from llamastack_operator.provider.layers import LayeredFiles

MAX_UNPACKED: Final = 8 * 1024**3
"""Bytes that all that is compressed in an archive unpacks to."""

MAX_RATIO: Final = 100
"""Times as much as all compressed bytes; packages have a tenth of that."""

MAX_LAYERS: Final = 500

_SPARE: Final = 64 * 1024 * 1024  # bytes that may always be unpacked
_CHUNK: Final = 1024 * 1024
_DOCUMENT: Final = 4 * 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_INDEXES: Final = 3  # that may be nested


@dataclass(frozen=True, slots=True)
class Archive:
    """What an archive holds.

    Attributes:
        contents: the files of the image.
        platform: that its configuration names; empty if there is none.
        search_path: directories with programs; empty if nobody says it.
    """

    contents: Contents
    platform: str = ""
    search_path: tuple[str, ...] = ()


def read(file: io.BufferedReader, platform: str, stack: ExitStack) -> Archive:
    """What is in an archive.

    Args:
        file: the archive.
        platform: of the image, where there are several; empty for any.
        stack: closes what is opened.

    Raises:
        ImageError: it is none of an image, or several of them.
        OSError: it cannot be read.
    """
    work = _Reader(stack, platform)
    outer = LayeredFiles()
    outer.add(work.unpacked(file), whiteouts=False)
    tree = Tree(outer, permissions=False)
    if outer.entry("lls-provider") is None:
        if outer.entry("manifest.json") is not None:
            return work.docker(tree)
        if outer.entry("oci-layout") is not None:
            return work.oci(tree)
    return Archive(outer)


class _Reader:
    """Reads one archive."""

    def __init__(self, stack: ExitStack, platform: str) -> None:
        self._stack = stack
        self._platform = platform
        self._compressed = 0
        self._unpacked = 0

    def unpacked(self, file: io.BufferedReader) -> io.BufferedReader:
        """A file as it was before it was compressed, if it was."""
        file.seek(0)
        magic = file.read(4)
        if magic.startswith(_ZSTD):
            raise ImageError("it is compressed with zstd, which is not supported; use gzip")
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if not magic.startswith(_GZIP):
            return file
        # Of all together: an image may name one layer many times.
        self._compressed += size
        most = min(MAX_UNPACKED, _SPARE + MAX_RATIO * self._compressed)
        target = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- it is
        for chunk in _decompressed(file):
            self._unpacked += len(chunk)
            if self._unpacked > most:
                raise ImageError("it unpacks to far more than an image of a provider has")
            target.write(chunk)
        target.flush()
        return self._stack.enter_context(open(target.fileno(), "rb", closefd=False))

    def docker(self, tree: Tree) -> Archive:
        """An archive of ``docker save``."""
        images = _document(tree, "manifest.json")
        if not isinstance(images, list) or len(images) != 1:
            count = len(images) if isinstance(images, list) else 0
            msg = f"the archive holds {count} images, not one"
            raise ImageError(msg)
        image = _mapping(images[0])
        layers, config = image.get("Layers"), image.get("Config")
        if not isinstance(layers, list) or not isinstance(config, str):
            raise ImageError("manifest.json in the archive has another form")
        return self._image(tree, config, [str(layer) for layer in layers])

    def oci(self, tree: Tree) -> Archive:
        """An OCI image layout."""
        manifest = self._manifest(tree, _mapping(_document(tree, "index.json")))
        layers = manifest.get("layers")
        if not isinstance(layers, list):
            raise ImageError("the manifest in the archive has another form")
        paths = [_blob(layer) for layer in layers]
        return self._image(tree, _blob(manifest.get("config")), paths)

    def _manifest(self, tree: Tree, index: Mapping[str, Any]) -> Mapping[str, Any]:
        """The one manifest of an index, or of an index in it."""
        for _ in range(_INDEXES):
            listed = index.get("manifests")
            if not isinstance(listed, list):
                return index
            fitting = [one for one in map(_mapping, listed) if self._fits(one)]
            if len(fitting) != 1:
                msg = f"the archive holds {len(fitting)} images, not one; --platform chooses"
                raise ImageError(msg)
            index = _mapping(_document(tree, _blob(fitting[0])))
        raise ImageError("the indexes in the archive are nested too deep")

    def _fits(self, descriptor: Mapping[str, Any]) -> bool:
        """Whether a manifest may be the one; attestations are of no platform."""
        platform = _platform(descriptor.get("platform"))
        if not platform:
            return not isinstance(descriptor.get("platform"), dict)
        return not self._platform or machine_of(platform) == machine_of(self._platform)

    def _image(self, tree: Tree, config: str, layers: list[str]) -> Archive:
        if len(layers) > MAX_LAYERS:
            msg = f"the image has more than {MAX_LAYERS} layers"
            raise ImageError(msg)
        described = _mapping(_document(tree, config))
        files = LayeredFiles()
        for layer in layers:
            files.add(self.unpacked(self._stack.enter_context(_opened(tree, layer))))
        return Archive(files, _platform(described), _search_path(described.get("config")))


def _decompressed(file: io.BufferedReader) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as unpacker:
            while chunk := unpacker.read(_CHUNK):
                yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImageError("it is no valid gzip") from error


def _opened(tree: Tree, path: str) -> io.BufferedReader:
    """A part of the archive."""
    try:
        return tree.open(path)
    except FileNotFoundError as error:
        msg = f"there is no {one_line(path)} in the archive"
        raise ImageError(msg) from error


def _document(tree: Tree, path: str) -> object:
    with _opened(tree, path) as file:
        content = file.read(_DOCUMENT + 1)
    if len(content) > _DOCUMENT:
        msg = f"{one_line(path)} in the archive has more than {_DOCUMENT} bytes"
        raise ImageError(msg)
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{one_line(path)} in the archive is not JSON"
        raise ImageError(msg) from error
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ImageError("a document in the archive has another form")
    return value


def _blob(descriptor: object) -> str:
    digest = _mapping(descriptor).get("digest")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise ImageError("a digest in the archive is not one of SHA-256")
    return f"blobs/sha256/{match[1]}"


def _platform(described: object) -> str:
    """A platform as image indexes write it; empty if it is none of ours."""
    if not isinstance(described, dict):
        return ""
    platform = f"{described.get('os')}/{described.get('architecture')}"
    return platform if machine_of(platform) else ""


def _search_path(config: object) -> tuple[str, ...]:
    variables = config.get("Env") if isinstance(config, dict) else None
    for variable in variables if isinstance(variables, list) else ():
        if isinstance(variable, str) and variable.startswith("PATH="):
            return tuple(filter(None, variable.removeprefix("PATH=").split(":")))[:100]
    return ()
