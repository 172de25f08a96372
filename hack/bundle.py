# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One file with all that a kustomization of ``deploy`` leads to, for those without ``-k``.

It knows only what ``deploy/default`` says, resources and labels; of anything else it says that it
does not. A test on a real API server holds the result against kustomize's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from configs.yaml_reader import dump_all, load_all

_KNOWN = {"apiVersion", "kind", "resources", "labels"}
_FILE = "kustomization.yaml"

Json = dict[str, Any]


def bundle(directory: Path, fresh: Mapping[Path, str]) -> str:
    """The objects of a kustomization as one YAML text, in the order of its resources.

    Args:
        directory: with the kustomization.
        fresh: texts of files that may not be written yet, by path.

    Raises:
        ValueError: a kustomization says more than resources and labels.
    """
    return dump_all(list(_objects(directory.resolve(), fresh)))


def _objects(directory: Path, fresh: Mapping[Path, str]) -> Iterator[Json]:
    (kustomization,) = load_all((directory / _FILE).read_text("utf-8"))
    if unknown := set(kustomization) - _KNOWN:
        raise ValueError(f"{directory / _FILE}: {', '.join(sorted(unknown))} is not understood")
    labels = _labels(kustomization.get("labels", []))
    for resource in kustomization["resources"]:
        path = (directory / resource).resolve()
        found = _objects(path, fresh) if path.is_dir() else _documents(path, fresh)
        for obj in found:
            yield _labelled(obj, labels)


def _documents(path: Path, fresh: Mapping[Path, str]) -> Iterator[Json]:
    text = fresh[path] if path in fresh else path.read_text("utf-8")
    yield from (document for document in load_all(text) if document is not None)


def _labels(entries: list[Json]) -> dict[str, str]:
    if unknown := {key for entry in entries for key in entry} - {"pairs"}:
        raise ValueError(f"labels: {', '.join(sorted(unknown))} is not understood")
    return {key: value for entry in entries for key, value in entry["pairs"].items()}


def _labelled(obj: Json, labels: Mapping[str, str]) -> Json:
    if not labels:
        return obj
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **labels}}}
