# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Secrets and ConfigMaps that a spec refers to, with contents that are good for something."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from hack.cluster.pki import Pki
from hack.validate_configs import text_of
from tests.support.config_specs import DISTRIBUTIONS

Json = dict[str, Any]

_DATABASE: Final = "postgresql://keeper:pass%2Fword@db.example:5433/stack"


def of(specs: Iterable[Json]) -> list[Json]:
    """Every object that one of the specs names, once, with all keys that any asks for."""
    keys: dict[tuple[str, str], dict[str, str]] = {}
    for spec in specs:
        for kind, name, key, value in _found(spec, ""):
            keys.setdefault((kind, name), {})[key] = value
    return [_object(kind, name, data) for (kind, name), data in sorted(keys.items())]


def _found(node: Any, path: str) -> Iterator[tuple[str, str, str, str]]:
    """Kind, name, key and value of what a part of a spec names."""
    if isinstance(node, list):
        for item in node:
            yield from _found(item, path)
    if not isinstance(node, dict):
        return
    for field, value in node.items():
        yield from _found(value, f"{path}.{field}")
    if isinstance(reference := node.get("secretKeyRef"), dict):
        value = _DATABASE if path.endswith("connectionString") else "a-secret-value"
        yield "Secret", reference["name"], reference["key"], value
    if isinstance(reference := node.get("configMapKeyRef"), dict):
        yield "ConfigMap", reference["name"], reference["key"], "a value"
    for field in ("secretName", "tlsSecretName"):
        if isinstance(name := node.get(field), str):
            yield from (("Secret", name, key, "-") for key in ("tls.crt", "tls.key"))
    if isinstance(name := node.get("configMapName"), str):
        if path.endswith("caBundle"):
            for key in node.get("configMapKeys") or ["ca-bundle.crt"]:
                yield "ConfigMap", name, key, certificate(f"{name}-{key}")
        else:
            yield "ConfigMap", name, "config.yaml", config(name)


@functools.cache
def certificate(name: str) -> str:
    """A certificate of an authority, another one for each name."""
    del name
    with tempfile.TemporaryDirectory() as folder:
        return Pki(Path(folder), server_names=("server.example",)).ca.decode()


def config(name: str) -> str:
    """A whole config.yaml, another one for each name."""
    return f"# {name}\n{text_of(DISTRIBUTIONS.known['starter'])}"


def _object(kind: str, name: str, data: dict[str, str]) -> Json:
    field = "stringData" if kind == "Secret" else "data"
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: data}
