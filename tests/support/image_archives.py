# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Archives of images, as container tools write them, out of files in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

AMD64 = {"os": "linux", "architecture": "amd64"}


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive; fields are those of ``TarInfo``."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o755 if fields.get("type") == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for entry, content in members:
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """An archive of files, such as ``docker export`` writes."""
    return tar(*(member(path, content) for path, content in files.items()))


def docker_save(
    layers: Sequence[bytes], config: Mapping[str, Any] | None = None, images: int = 1
) -> bytes:
    """What ``docker save`` writes."""
    paths = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = {"Config": "config.json", "RepoTags": ["p:1"], "Layers": paths}
    return tar_of(
        {
            "manifest.json": json.dumps([manifest] * images).encode(),
            "config.json": json.dumps(AMD64 if config is None else config).encode(),
            **dict(zip(paths, layers, strict=True)),
        }
    )


def oci_archive(
    images: Sequence[tuple[Mapping[str, Any], Sequence[bytes]]], *, nested: bool = False
) -> bytes:
    """What ``podman save --format oci-archive`` writes: configuration and layers of each image."""
    blobs: dict[str, bytes] = {}

    def stored(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content)}

    def described(config: Mapping[str, Any], layers: Sequence[bytes]) -> dict[str, Any]:
        manifest = {
            "config": stored(json.dumps(config).encode()),
            "layers": [stored(layer) for layer in layers],
        }
        made = stored(json.dumps(manifest).encode())
        if len(images) > 1:
            made["platform"] = {key: config[key] for key in ("os", "architecture")}
        return made

    manifests = [described(config, layers) for config, layers in images]
    if nested:
        manifests = [stored(json.dumps({"manifests": manifests}).encode())]
    index = json.dumps({"manifests": manifests}).encode()
    return tar_of({"oci-layout": b"{}", "index.json": index, **blobs})


def zipped(content: bytes) -> bytes:
    """The same, compressed with gzip."""
    return gzip.compress(content, mtime=0)
