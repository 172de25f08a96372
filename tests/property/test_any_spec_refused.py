# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever is written into a resource, the controller's plan has errors with paths.

From a resource that is right, anything of it is made anything else: whole sections, single fields,
by every kind of JSON there is, too deep, too big, half characters. Then there are the mistakes that
people make, each of which is told at the field where it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from api.v1alpha2.providers import SECTIONS
from configs.catalogue import embedded
from configs.eras import ERAS, api_of
from controller.llamastack.planning.plan import Plan, make_plan
from tests.support.bases import base_of
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.json_places import put
from tests.support.spec_strategies import AnySpec, any_valid_spec, plan_of

LONGEST = 4000
"""Characters of a message: it has to fit into a condition with others."""

Path = tuple[str | int, ...]
_DEEP: Any = "bottom"
for _ in range(90):
    _DEEP = {"a": [_DEEP]}

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([10**400, -(10**30), "x" * 20_000, "\ud800", "\0", "a\nb", "${env.x}", "~"])
)
_ANYTHING = st.one_of(
    _SCALARS,
    st.just(_DEEP),
    st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=10,
    ),
    st.lists(st.integers(0, 9), min_size=150, max_size=200),
)
_SPECS = st.sampled_from(ERAS).flatmap(any_valid_spec)


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in JSON data."""
    yield at
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*at, key))


def offline_plan(spec: AnySpec, resource: Any) -> Plan:
    """The plan for a resource that began as one with this spec."""
    base = None if "name" in spec.sections["distribution"] else base_of(spec.era)
    return make_plan(resource, DISTRIBUTIONS, base=base)


def assert_told(plan: Plan) -> None:
    """A plan has a config, or errors that somebody can act on."""
    assert plan.generated is not None or plan.errors or plan.postponed
    assert bool(plan.errors) == (plan.problem is not None)
    for found in (*plan.errors, *plan.warnings):
        assert found.path.startswith(("spec", "metadata", "apiVersion", "kind"))
        assert found.message.strip()
        assert "\n" not in str(found)
        assert len(str(found)) <= LONGEST


@settings(max_examples=300)
@given(spec=_SPECS, data=st.data())
def test_a_damaged_resource_gets_errors_with_paths(spec: AnySpec, data: st.DataObject) -> None:
    resource, _ = plan_of(spec)
    for _ in range(data.draw(st.integers(1, 3))):
        all_places = [at for at in places(resource) if at and at[0] in {"spec", "metadata"}]
        at = data.draw(st.sampled_from(all_places))
        resource = put(resource, at, data.draw(_ANYTHING))
    before = repr(resource)

    plan = offline_plan(spec, resource)

    assert repr(resource) == before
    assert_told(plan)


@settings(max_examples=150)
@given(spec=_SPECS, key=st.sampled_from(["spec", "metadata", "kind"]), new=_ANYTHING)
@example(spec=AnySpec("0.7", {"distribution": {"name": "starter"}}), key="spec", new=_DEEP)
def test_a_resource_without_its_main_parts_gets_errors(spec: AnySpec, key: str, new: Any) -> None:
    assume((key, new) != ("kind", None))  # absent, which says nothing wrong
    resource, _ = plan_of(spec)

    plan = offline_plan(spec, {**resource, key: new})

    assert plan.errors
    assert_told(plan)


# --- mistakes that people make --------------------------------------------------------------------


def providers(spec: AnySpec) -> list[tuple[str, Path, dict[str, Any]]]:
    """Section, place and text of each provider of a spec."""
    found: list[tuple[str, Path, dict[str, Any]]] = []
    for section, written in spec.sections.get("providers", {}).items():
        if isinstance(written, dict):
            found.append((section, ("spec", "providers", section), written))
        else:
            for index, item in enumerate(written):
                found.append((section, ("spec", "providers", section, index), item))
    return found


def shown(at: Path) -> str:
    """A place as messages have it."""
    text = ""
    for step in at:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def one_provider(draw: st.DataObject, spec: AnySpec) -> tuple[str, Path, dict[str, Any]]:
    """One of the providers of a spec."""
    found = providers(spec)
    assert found
    chosen: tuple[str, Path, dict[str, Any]] = draw.draw(st.sampled_from(found))
    return chosen


_WITH_PROVIDERS = _SPECS.filter(lambda spec: bool(providers(spec)))


def paths(plan: Plan) -> set[str]:
    """Where the errors are."""
    return {error.path for error in plan.errors}


@settings(max_examples=60)
@given(spec=_WITH_PROVIDERS, data=st.data(), name=st.sampled_from(["vlllm", "nope", "other::x"]))
def test_an_unknown_provider_is_told_at_its_name(
    spec: AnySpec, data: st.DataObject, name: str
) -> None:
    _, at, written = one_provider(data, spec)
    resource, _ = plan_of(spec)

    plan = offline_plan(spec, put(resource, at, {**written, "provider": name}))

    assert f"{shown(at)}.provider" in paths(plan)


_WRONG: dict[str, list[Any]] = {
    "provider": [5, None, [], {}, "", "a b", "a/b", "${env.X}"],
    "id": [5, [], "", "a/b", "-a"],
    "endpoint": [5, [], "host:80", "http://a b"],
    "apiKey": ["plain", 5, {"secretKeyRef": {"name": "n"}}, {"value": "plain"}],
    "settings": ["plain", [], 5],
    "secretRefs": ["plain", {"host": "plain"}, {"host": {"secretKeyRef": {"key": "k"}}}],
}


@settings(max_examples=100)
@given(spec=_WITH_PROVIDERS, data=st.data(), field=st.sampled_from(sorted(_WRONG)))
def test_a_field_of_the_wrong_type_is_told_at_the_field(
    spec: AnySpec, data: st.DataObject, field: str
) -> None:
    _, at, written = one_provider(data, spec)
    wrong = data.draw(st.sampled_from(_WRONG[field]))
    resource, _ = plan_of(spec)

    plan = offline_plan(spec, put(resource, at, {**written, field: wrong}))

    assert any(path.startswith(f"{shown(at)}.{field}") for path in paths(plan)), plan.errors


@settings(max_examples=100)
@given(spec=_WITH_PROVIDERS, data=st.data())
def test_what_a_provider_requires_is_told_where_it_would_go(
    spec: AnySpec, data: st.DataObject
) -> None:
    section, at, written = one_provider(data, spec)
    bare = {key: value for key, value in written.items() if key in {"id", "provider"}}
    resource, _ = plan_of(spec)

    plan = offline_plan(spec, put(resource, at, bare))

    required = _required(spec, section, written["provider"])
    inside = {path.removeprefix(shown(at) + ".") for path in paths(plan)}
    assert {key.rpartition(".")[2] for key in inside} >= required, plan.errors
    assert_told(plan)


def _required(spec: AnySpec, section: str, name: str) -> set[str]:
    """Fields of the resource without which a provider does not work, by their last names."""
    api = next((api_of(known, spec.era) for known in SECTIONS if known == section), None)
    if api is None or "::" not in name:
        return set()  # without an endpoint, a short name may mean another type
    kind = embedded().find(spec.era, api, name, connected=False)
    structural = {"kvstore", "sqlstore", "persistence", "metadata_store", "storage_dir", "db_path",
                  "path"}  # fmt: skip
    fields = {kind.endpoint: "endpoint", kind.secret: "apiKey"}
    return {fields.get(key, key) for key in {*kind.required} - structural - {*kind.nullable}}


@settings(max_examples=60)
@given(spec=_SPECS, distribution=st.sampled_from([{}, {"name": "nope"}, {"name": ""}, "starter"]))
def test_a_wrong_distribution_is_told_there(spec: AnySpec, distribution: Any) -> None:
    resource, _ = plan_of(spec)

    plan = offline_plan(spec, put(resource, ("spec", "distribution"), distribution))

    assert any(path.startswith("spec.distribution") for path in paths(plan))


@settings(max_examples=60)
@given(spec=_SPECS)
def test_a_model_of_a_provider_that_is_not_there_is_told_at_the_model(spec: AnySpec) -> None:
    resource, _ = plan_of(spec)
    models = [*spec.sections.get("resources", {}).get("models", []), {"name": "q", "provider": "q"}]
    resources = {**spec.sections.get("resources", {}), "models": models}

    plan = offline_plan(spec, put(resource, ("spec", "resources"), resources))

    assert f"spec.resources.models[{len(models) - 1}].provider" in paths(plan)


@pytest.mark.parametrize("storage", [{"kv": {"type": "redis"}}, {"sql": {"type": "postgres"}}])
@settings(max_examples=20)
@given(spec=_SPECS)
def test_a_store_without_its_address_is_told_at_the_address(
    storage: dict[str, Any], spec: AnySpec
) -> None:
    resource, _ = plan_of(spec)
    field = "kv.endpoint" if "kv" in storage else "sql.connectionString"

    plan = offline_plan(spec, put(resource, ("spec", "storage"), storage))

    assert f"spec.storage.{field}" in paths(plan)


def test_a_resource_as_an_api_server_stores_it_is_no_problem() -> None:
    spec = AnySpec("0.7", {"distribution": {"name": "starter"}})
    resource, _ = plan_of(spec)
    stored = json.loads(json.dumps({**resource, "status": {"phase": "Ready"}}))

    assert offline_plan(spec, stored).errors == ()
