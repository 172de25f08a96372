# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Custom resources from files, for the commands that work offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import api
from configs.yamlio import YamlError, load_all

MAX_BYTES = 3 << 20  # etcd takes objects of half that; what is larger is no resource


class BadFile(Exception):
    """The file is not what the command needs; the message names it and the reason."""


def read_resources(path: str) -> list[dict[str, Any]]:
    """The LlamaStackDistributions of a YAML or JSON file; other objects in it are passed over.

    Args:
        path: of the file; ``-`` for standard input.

    Raises:
        BadFile: unreadable, too large, not YAML, or without such a resource.
    """
    documents = _documents(path)
    found = [d for d in documents if isinstance(d, dict) and d.get("kind") == api.KIND]
    if not found:
        kinds = sorted({str(d.get("kind")) for d in documents if isinstance(d, dict)})
        seen = f"; it holds {', '.join(kinds)}" if kinds else ""
        raise BadFile(f"{path}: no {api.KIND} in this file{seen}")
    for document in found:
        version = document.get("apiVersion")
        wanted = f"{api.GROUP}/{api.VERSION}"
        if version != wanted:
            raise BadFile(f"{path}: apiVersion: {version!r} is not supported here; use {wanted!r}")
    return found


def _documents(path: str) -> list[Any]:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise BadFile(f"{path}: larger than {MAX_BYTES >> 20} MiB; no resource is")
    try:
        return [d for d in load_all(data.decode("utf-8")) if d is not None]
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: not UTF-8 text (byte {error.start})") from error
    except YamlError as error:
        raise BadFile(f"{path}: {error}") from error
