# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Docker archives, written by hand: a tar file of layers, a config, and a list of both.

No builder is needed for an image whose files are there already, and the result depends on nothing
but those files: names are sorted, times are zero. containerd, podman, buildah and docker all read
the format (``docker save``), and unlike an OCI layout it carries the image's name in a place on
which they agree.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.cluster.cache import Platform

_BLOCK = 1 << 20

Keep = Callable[[str], bool]
"""Whether a path (relative, without a leading slash) goes into a layer."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an archive is written from.

    Attributes:
        name: with registry and tag, e.g. ``localhost/probe:test``.
        layers: tar files, the lowest first.
        config: of the container: ``Entrypoint``, ``Env``, ``User`` and so on.
    """

    name: str
    layers: Sequence[Path]
    config: Mapping[str, Any] = field(default_factory=dict)


def write(image: Image, target: Path) -> Path:
    """Write the archive; it appears in one step."""
    return write_all([image], target)


def write_all(images: Sequence[Image], target: Path) -> Path:
    """Write several images into one archive; a layer that they share is in it once."""
    layers = {layer: file_digest(layer) for image in images for layer in image.layers}
    manifest, configs = [], {}
    for image in images:
        digests = [layers[layer] for layer in image.layers]
        config = _config(image, digests)
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        configs[name] = config
        files = [f"{digest}.tar" for digest in digests]
        manifest.append({"Config": name, "RepoTags": [image.name], "Layers": files})
    temporary = target.with_name(f".{target.name}.part")
    with tarfile.open(temporary, "w") as tar:
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        for name, config in configs.items():
            _add(tar, name, config)
        for digest, layer in {digest: layer for layer, digest in layers.items()}.items():
            with layer.open("rb") as file:
                tar.addfile(_entry(f"{digest}.tar", layer.stat().st_size), file)
    return temporary.replace(target)


def _config(image: Image, digests: Sequence[str]) -> bytes:
    return json.dumps(
        {
            "architecture": Platform.here().arch,
            "os": "linux",
            "config": dict(image.config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in digests]},
        }
    ).encode()


def pack(root: Path, names: Iterable[str], target: Path, *, keep: Keep = lambda _: True) -> Path:
    """Write a layer from parts of a tree; owners and modes as they are, times zero.

    Args:
        root: what becomes ``/`` in the image.
        names: paths below it, without a leading slash; directories with all that is in them.
        target: the tar file.
        keep: which paths to take.
    """

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.mtime, entry.uname, entry.gname = 0, "", ""
        return entry if keep(entry.name) else None

    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            tar.add(root / name, name, filter=plain)
    return target


def pack_files(files: Mapping[str, tuple[bytes, int]], target: Path) -> Path:
    """Write a layer from contents and modes by path, owned by root."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, (content, mode) in sorted(files.items()):
            _add(tar, name, content, mode)
    return target


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    tar.addfile(_entry(name, len(content), mode), io.BytesIO(content))


def _entry(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry
