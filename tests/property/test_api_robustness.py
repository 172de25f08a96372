# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever is written into a resource: findings with paths, never a traceback."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.errors import InvalidResource
from api.v1alpha2 import parse
from api.v1alpha2.parse import read
from api.v1alpha2.references import config_map_refs, secret_refs
from api.validation import validate
from controller.llamastack.cache.reference_index import secrets_of_pods
from tests.support.apicases import GOOD, resource
from tests.support.json_places import put

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
_RICHEST = [
    "workload with everything",
    "networking with everything",
    "models in both forms",
    "two providers with ids",
    "secrets and settings",
    "stores that are shared",
    "external providers",
]
_PATH = re.compile(r"\(object\)|(apiVersion|kind|metadata|spec|status)\b.*", re.DOTALL)


def _places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value, the value itself first."""
    found = [at]
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            found += _places(child, (*at, key))
    return found


@st.composite
def _damaged(draw: st.DrawFn) -> Any:
    """A good resource with something else in one to three places."""
    obj = GOOD[draw(st.sampled_from(_RICHEST))]
    for _ in range(draw(st.integers(1, 3))):
        obj = put(obj, draw(st.sampled_from(_places(obj))), draw(_JSON))
    return obj


@settings(max_examples=400)
@given(_damaged())
@example({"metadata": {"name": "a"}, "spec": {"providers": {"": {}}, "distribution": {}}})
def test_damaged_resource_gets_findings_with_paths(obj: Any) -> None:
    before = json.dumps(obj)

    found = validate(obj)

    assert json.dumps(obj) == before
    for error in found.errors:
        assert _PATH.fullmatch(error.path), error
        assert error.message
    for warning in found.warnings:
        assert warning.path is not None
        assert warning.message
    assert len(set(found.errors)) == len(found.errors)


@settings(max_examples=200)
@given(_JSON)
def test_anything_at_all_gets_errors(obj: Any) -> None:
    assert validate(obj).errors


@settings(max_examples=200)
@given(_damaged())
def test_what_validate_accepts_is_read_and_its_references_found(obj: Any) -> None:
    errors = validate(obj).errors
    resource_read, shape = read(obj)
    if errors:
        assert set(shape) <= set(errors)
        return

    cr = parse(obj)

    assert cr == resource_read
    for secret in secret_refs(cr.spec):
        assert secret.name
        assert secret.path.startswith("spec.")
    for config_map in config_map_refs(cr.spec):
        assert config_map.name
        assert config_map.path.startswith("spec.")
    # What is read before the object is read into the models is what would be read after.
    ahead = {key.name for key in secrets_of_pods(obj)}
    assert ahead <= {secret.name for secret in secret_refs(cr.spec)}


@settings(max_examples=100)
@given(_damaged())
def test_errors_are_the_same_each_time(obj: Any) -> None:
    assert validate(obj) == validate(copy.deepcopy(obj))


@settings(max_examples=100)
@given(st.sampled_from(sorted(GOOD)), st.dictionaries(st.text(min_size=1, max_size=6), _JSON))
def test_settings_are_handed_on_untouched(name: str, configuration: dict[str, Any]) -> None:
    obj = copy.deepcopy(GOOD[name])
    obj["spec"].pop("overrideConfig", None)
    obj["spec"].pop("disabled", None)
    obj["spec"]["providers"] = {"inference": {"provider": "vllm", "settings": configuration}}

    (provider,) = parse(obj).spec.providers.inference

    assert provider.settings == configuration


@settings(max_examples=100)
@given(st.permutations(["distribution", "providers", "storage", "networking", "workload"]))
def test_order_of_keys_does_not_matter(order: list[str]) -> None:
    spec = {
        "distribution": {"name": "starter"},
        "providers": {"inference": {"provider": "vllm"}},
        "storage": {"kv": {"type": "redis"}},
        "networking": {"tls": {"enabled": True}},
        "workload": {"replicas": 2},
    }

    shuffled = resource() | {"spec": {key: spec[key] for key in order}}

    assert validate(shuffled) == validate(resource() | {"spec": spec})


@settings(max_examples=200)
@given(_damaged())
def test_parse_succeeds_or_raises_its_own_error(obj: Any) -> None:
    cr, errors = read(obj)

    if errors:
        with pytest.raises(InvalidResource) as caught:
            parse(obj)
        assert caught.value.errors == errors
    else:
        assert parse(obj) == cr
