# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""v1alpha1 against the Go operator's CRD, path by path.

That CRD is no part of this repository. Where it is not beside it, the comparison is skipped; that
it finds what it should is tested without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from api.crd import custom_resource_definition
from configs.yaml_reader import load, load_all
from hack.crd_differences import DIFFERENCES, VERSION
from hack.root import ROOT
from tests.support.schema_differences import Difference, differences
from tests.support.structural import complaints

_SHARED = ROOT.parent / "shared" / "data"
_CRD = _SHARED / "upstream-crd.yaml"
_SAMPLES = _SHARED / "upstream-samples"

needs_go_crd = pytest.mark.skipif(not _CRD.exists(), reason="the Go operator's CRD is not here")


def _version(crd: Any) -> Any:
    (found,) = [v for v in crd["spec"]["versions"] if v["name"] == "v1alpha1"]
    return found


def _ours() -> Any:
    return _version(custom_resource_definition())


def _theirs() -> Any:
    return load(_CRD.read_text("utf-8"))


def _schema(version: Any) -> Any:
    return version["schema"]["openAPIV3Schema"]


def _listed() -> Iterator[Difference]:
    for row in DIFFERENCES:
        for path in row.paths:
            for keyword, theirs, ours in row.changes:
                yield path, keyword, theirs, ours


def _of_version(theirs: Any, ours: Any) -> Iterator[Difference]:
    """Differences beside the schema; ours describes its columns, too."""
    for keyword in ("served", "storage", "selectableFields", "subresources"):
        if theirs[keyword] != ours[keyword]:
            yield VERSION, keyword, theirs[keyword], ours[keyword]


@needs_go_crd
def test_every_difference_is_listed_and_every_listed_one_is_there() -> None:
    theirs, ours = _version(_theirs()), _ours()

    found = [
        (path.removeprefix("."), keyword, go, here)
        for path, keyword, go, here in differences(_schema(theirs), _schema(ours))
    ] + list(_of_version(theirs, ours))
    listed = list(_listed())

    assert [difference for difference in found if difference not in listed] == []
    assert [difference for difference in listed if difference not in found] == []
    assert len(listed) == len(found)


@needs_go_crd
def test_columns_are_the_same() -> None:
    keys = ("name", "type", "jsonPath", "priority")

    def columns(version: Any) -> Any:
        return [
            {key: column[key] for key in keys if key in column}
            for column in version["additionalPrinterColumns"]
        ]

    assert columns(_ours()) == columns(_version(_theirs()))


@needs_go_crd
@pytest.mark.parametrize("key", ["group", "names", "scope"])
def test_the_resource_has_the_same_names(key: str) -> None:
    assert custom_resource_definition()["spec"][key] == _theirs()["spec"][key]


@needs_go_crd
def test_every_sample_is_valid() -> None:
    samples = [
        manifest
        for file in sorted(_SAMPLES.glob("*.yaml"))
        for manifest in load_all(file.read_text("utf-8"))
        if manifest["kind"] == "LlamaStackDistribution"
    ]

    assert len(samples) >= 6
    for sample in samples:
        assert list(complaints(_schema(_ours()), sample)) == []


# --- the comparison itself -----------------------------------------------------------------------

_STRING: Mapping[str, Any] = {"type": "string"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        pytest.param(
            _object(a=_STRING), _object(a={"type": "integer"}),
            [(".a", "type", "string", "integer")], id="type",
        ),
        pytest.param(
            _object(a=_STRING), _object(a={**_STRING, "default": ""}),
            [(".a", "default", None, "")], id="default",
        ),
        pytest.param(
            {**_object(a=_STRING), "required": ["a"]}, _object(a=_STRING),
            [("", "required", ("a",), None)], id="required",
        ),
        pytest.param(
            _object(a=_STRING), _object(b=_STRING),
            [(".b", "field", None, True), (".a", "field", True, None)], id="fields",
        ),
        pytest.param(
            _object(a=_object(b=_STRING, c=_STRING)),
            _object(a={**_object(b=_STRING), "x-kubernetes-preserve-unknown-fields": True}),
            [(".a", "x-kubernetes-preserve-unknown-fields", None, True)], id="opened",
        ),
        pytest.param(
            {"type": "array", "items": _STRING},
            {"type": "array", "items": _STRING, "x-kubernetes-list-type": "set"},
            [("", "x-kubernetes-list-type", "atomic", "set")], id="list type",
        ),
        pytest.param(
            {"type": "array", "items": _STRING},
            {"type": "array", "items": {**_STRING, "maxLength": 3}},
            [("[]", "maxLength", None, 3)], id="items",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": _STRING},
            {"type": "object", "additionalProperties": {"type": "integer"}},
            [(".*", "type", "string", "integer")], id="values",
        ),
        pytest.param(
            {"x-kubernetes-validations": [{"rule": "a", "message": "x"}]},
            {"x-kubernetes-validations": [{"rule": "b", "message": "x"}]},
            [("", "x-kubernetes-validations", ("a",), ("b",))], id="CEL",
        ),
        pytest.param(
            {"type": "array", "items": {"type": "integer", "format": "int32"}},
            {
                "type": "array",
                "items": {"type": "integer", "format": "int32", "maximum": 2147483647},
                "x-kubernetes-list-type": "atomic",
            },
            [], id="what means the same",
        ),
        pytest.param(
            {"anyOf": [{"type": "integer"}, _STRING], "x-kubernetes-int-or-string": True},
            {"x-kubernetes-int-or-string": True},
            [], id="integer or string",
        ),
        pytest.param(
            {**_STRING, "enum": ["a", "b"], "description": "x"}, {**_STRING, "enum": ["b", "a"]},
            [], id="order and description",
        ),
    ],
)  # fmt: skip
def test_comparison_finds_what_differs(theirs: Any, ours: Any, expected: Any) -> None:
    assert list(differences(theirs, ours)) == expected
