# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether a resource asks for external providers, however wrong the rest of it is."""

from __future__ import annotations

from typing import Any

import pytest

from api import GROUP, OLD_VERSION
from controller.llamastack.planning.asked_installs import AskedInstalls
from controller.llamastack.planning.plan import make_plan
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.installing import provider
from tests.support.rendering import resource

Json = dict[str, Any]

ONE: Json = {"inference": [provider("one")]}


def asked(spec: Any, version: str | None = None) -> AskedInstalls:
    obj = {**resource(), "spec": spec}
    if version:
        obj["apiVersion"] = f"{GROUP}/{version}"
    return make_plan(obj, DISTRIBUTIONS).installs


def in_v1alpha2(external: Any) -> AskedInstalls:
    return asked({"distribution": {"name": "starter"}, "externalProviders": external})


def in_v1alpha1(external: Any) -> AskedInstalls:
    server = {"distribution": {"name": "starter"}, "externalProviders": external}
    return asked({"server": server}, OLD_VERSION)


BOTH = pytest.mark.parametrize("of", [in_v1alpha2, in_v1alpha1])


@BOTH
def test_providers_are_those_of_the_spec(of: Any) -> None:
    found = of(ONE)

    assert found.any is True
    assert [each.provider.provider_id for each in found.readable] == ["one"]


@BOTH
@pytest.mark.parametrize(
    "external", [None, {}, {"inference": []}, {"install": {"sizeLimit": "1Gi"}}, 0, ""]
)
def test_nothing_is_asked_for_where_no_section_has_a_provider(of: Any, external: Any) -> None:
    assert of(external).any is False


@BOTH
@pytest.mark.parametrize(
    "external", [5, [provider()], {"inference": 5}, {"inference": [5]}, {"safety": [{}]}]
)
def test_section_of_a_wrong_type_asks_for_what_cannot_be_read(of: Any, external: Any) -> None:
    assert of(external) == AskedInstalls(True, None)


@BOTH
def test_broken_rule_leaves_the_providers_readable(of: Any) -> None:
    found = of({"inference": [provider("one")], "safety": [provider("one")]})

    assert [each.section for each in found.readable] == ["inference", "safety"]


def test_mistake_elsewhere_leaves_the_providers_readable() -> None:
    found = asked({"distribution": 5, "externalProviders": ONE})

    assert [each.path for each in found.readable or ()] == ["spec.externalProviders.inference[0]"]


@pytest.mark.parametrize("spec", [None, 5, [], "text"])
def test_spec_that_is_no_object_tells_nothing(spec: Any) -> None:
    assert asked(spec) == AskedInstalls()
    assert asked({"server": spec or 5}, OLD_VERSION) == AskedInstalls()


def test_spec_that_is_too_large_to_be_read_still_asks_for_providers() -> None:
    found = in_v1alpha2({"inference": [provider(config={"k": [0] * 200_000})]})

    assert found == AskedInstalls(True, None)
