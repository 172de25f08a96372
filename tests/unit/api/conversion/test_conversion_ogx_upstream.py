# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The other operator's own samples and definition, where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.conversion.ogx import from_ogx, providers, vendors
from api.conversion.ogx.part import NOT_KNOWN
from configs.yaml_reader import load, load_all
from hack.root import ROOT
from llamastack_operator.cli.files import Entry
from llamastack_operator.cli.planning import OfflinePlanner
from tests.support.ogx import unaccounted

_UPSTREAM = ROOT.parent / "shared" / "data" / "upstream-ogx"
_CRD = _UPSTREAM / "ogxservers-crd.yaml"
_SAMPLES = sorted((_UPSTREAM / "samples").glob("*.yaml"))

pytestmark = pytest.mark.skipif(not _CRD.exists(), reason="OGXServer's CRD is not here")


@pytest.fixture(scope="module")
def schema() -> Any:
    (version,) = load(_CRD.read_text("utf-8"), max_bytes=1 << 20)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]


def example(node: Any, name: str = "a") -> Any:
    """Something of a schema that says everything; texts are the names of their fields."""
    if "enum" in node:
        return node["enum"][0]
    if "properties" in node:
        return {field: example(child, field) for field, child in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), dict):
        return {"a": example(node["additionalProperties"])}
    simple = {"integer": node.get("minimum", 1), "boolean": True, "string": name}
    kind = node.get("type", "")
    return [example(node["items"], name)] if kind == "array" else simple.get(kind, "1")


def whole(schema: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ogx.io/v1beta1",
        "kind": "OGXServer",
        "metadata": {"name": "demo"},
        "spec": example(schema["spec"]),
    }


def test_every_field_of_the_definition_is_known_and_accounted_for(schema: Any) -> None:
    obj = whole(schema)

    conversion = from_ogx(obj)

    unknown = (NOT_KNOWN, providers.UNKNOWN_VENDOR.partition("{")[0])
    assert [w for w in conversion.warnings if w.message.startswith(unknown)] == []
    assert unaccounted(obj) == []


def test_every_vendor_of_the_definition_is_in_the_table_and_no_other(schema: Any) -> None:
    sections = schema["spec"]["properties"]["providers"]["properties"]
    found = {
        (api, kind, vendor)
        for api, section in sections.items()
        if api != "fileProcessors"
        for kind, listed in section["properties"].items()
        for vendor in listed["properties"]
        if vendor != vendors.CUSTOM
    }

    assert found == set(vendors.VENDORS)


def _ogx_servers(path: Path) -> Iterator[dict[str, Any]]:
    for document in load_all(path.read_text("utf-8")):
        if document.get("kind") == "OGXServer":
            yield document


@pytest.mark.parametrize("path", _SAMPLES, ids=lambda path: path.stem)
def test_what_becomes_of_a_sample_is_valid(path: Path) -> None:
    for obj in _ogx_servers(path):
        conversion = from_ogx(obj)

        resource = conversion.resource
        resource["metadata"]["namespace"] = "team"
        assert OfflinePlanner().plan(Entry(path.name, resource)).errors == ()
        assert unaccounted(obj) == []


def test_there_are_samples() -> None:
    assert sum(len(list(_ogx_servers(path))) for path in _SAMPLES) > 5
