# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Conversion loses nothing, both ways, whatever the object, and fields beat the annotation."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import GROUP, KIND, OLD_VERSION, VERSION
from api.conversion import convert
from api.conversion.places import same
from api.v1alpha1 import stored as old_stored
from api.v1alpha2.stored import StoredLlamaStackDistribution
from tests.support.schema_strategies import misfits_of, objects_of

OTHER = {OLD_VERSION: VERSION, VERSION: OLD_VERSION}


def _objects(version: str, body: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a version with some metadata."""
    metadata = st.fixed_dictionaries(
        {"name": st.just("llama")},
        optional={
            "annotations": st.dictionaries(st.sampled_from(["a", "b"]), st.text(), min_size=1),
            "managedFields": st.just([{"manager": "kubectl", "apiVersion": f"{GROUP}/v1alpha1"}]),
        },
    )
    return st.builds(
        lambda meta, parts: {
            **{key: parts[key] for key in ("spec", "status") if key in parts},
            "apiVersion": f"{GROUP}/{version}",
            "kind": KIND,
            "metadata": meta,
        },
        metadata,
        body,
    )


MODELS = {
    OLD_VERSION: old_stored.StoredLlamaStackDistribution,
    VERSION: StoredLlamaStackDistribution,
}
ALLOWED = {version: _objects(version, objects_of(model)) for version, model in MODELS.items()}
STRANGE = {
    version: _objects(
        version,
        objects_of(model, strange=True).map(lambda v: v if isinstance(v, dict) else {"spec": v}),
    )
    for version, model in MODELS.items()
}
MISFITS = {
    (version, part): _objects(version, misfits_of(model, part))
    for version, model in MODELS.items()
    for part in ("spec", "status")
}


@pytest.mark.parametrize("version", MODELS)
@given(data=st.data())
def test_there_and_back_is_the_same_object(version: str, data: st.DataObject) -> None:
    obj = data.draw(ALLOWED[version])
    before = copy.deepcopy(obj)
    there = convert(obj, OTHER[version])
    back = convert(json.loads(json.dumps(there)), version)
    assert same(back, before)
    assert same(obj, before)


@pytest.mark.parametrize("version", MODELS)
@given(data=st.data())
def test_nulls_unknown_fields_and_nonsense_come_back_too(version: str, data: st.DataObject) -> None:
    obj = data.draw(STRANGE[version])
    there = convert(obj, OTHER[version])
    assert same(convert(json.loads(json.dumps(there)), version), obj)


@pytest.mark.parametrize(("version", "part"), MISFITS)
@settings(max_examples=600)
@given(data=st.data())
def test_whatever_is_in_a_field_comes_back(version: str, part: str, data: st.DataObject) -> None:
    obj = data.draw(MISFITS[version, part])
    there = convert(obj, OTHER[version])
    assert same(convert(json.loads(json.dumps(there)), version), obj)
