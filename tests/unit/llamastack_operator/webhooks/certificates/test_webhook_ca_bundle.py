# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whom the API server trusts when it calls us."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.certificates.ca_bundle import (
    INJECTED,
    Address,
    corrections,
    is_called,
    keep_client_configs,
    trusts,
)
from tests.support.fakeapi.patches import CannotPatch, json_patched

OURS = Address("system", names.SERVICE, frozenset({"127.0.0.1", "hooks.example"}))
BUNDLE = b"-----ours-----"
ENCODED = base64.b64encode(BUNDLE).decode()


def service(**more: Any) -> dict[str, Any]:
    return {"service": {"name": names.SERVICE, "namespace": "system", "path": "/x"}, **more}


def definition(config: Any, strategy: str = "Webhook") -> dict[str, Any]:
    conversion: dict[str, Any] = {"strategy": strategy}
    if config is not None:
        conversion["webhook"] = {"clientConfig": config, "conversionReviewVersions": ["v1"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": names.DEFINITION, "resourceVersion": "7", "managedFields": [1]},
        "spec": {
            "group": "llamastack.io",
            "versions": [{"schema": "huge"}],
            "conversion": conversion,
        },
    }


def configuration(*configs: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": names.CONFIGURATION, "resourceVersion": "7"},
        "webhooks": [{"name": f"w{n}", "clientConfig": config} for n, config in enumerate(configs)],
    }


@pytest.mark.parametrize(
    ("config", "ours"),
    [
        (service(), True),
        (service(caBundle="old"), True),
        ({"url": "https://127.0.0.1:9443/convert"}, True),
        ({"url": "https://Hooks.Example/convert"}, True),
        ({"url": "https://elsewhere.example/convert"}, False),
        ({"url": 7}, False),
        ({"service": {"name": names.SERVICE, "namespace": "other"}}, False),
        ({"service": {"name": "other", "namespace": "system"}}, False),
        ({"service": None}, False),
        ({}, False),
    ],
)
def test_only_what_leads_to_us_is_corrected(config: dict[str, Any], ours: bool) -> None:
    for obj in (definition(config), configuration(config)):
        assert is_called(obj, OURS) is (ours and bool(config))
        assert bool(corrections(obj, OURS, BUNDLE)) is ours


@pytest.mark.parametrize("obj", [definition(None, "None"), configuration(), {"metadata": {}}])
def test_object_without_webhooks_needs_nothing(obj: dict[str, Any]) -> None:
    assert corrections(obj, OURS, BUNDLE) == []
    assert not is_called(obj, OURS)
    assert trusts(obj, OURS, BUNDLE)


@pytest.mark.parametrize("old", [{}, {"caBundle": ""}, {"caBundle": "b2xk"}, {"caBundle": None}])
def test_patch_makes_it_right_and_then_there_is_none(old: dict[str, Any]) -> None:
    for obj in (definition(service(**old)), configuration(service(**old), {"url": "https://x"})):
        patched = json_patched(obj, corrections(obj, OURS, BUNDLE))

        assert corrections(patched, OURS, BUNDLE) == []
        assert trusts(patched, OURS, BUNDLE)
        assert not trusts(obj, OURS, BUNDLE)


def test_patch_changes_nothing_else() -> None:
    theirs = {"url": "https://elsewhere.example", "caBundle": "theirs"}
    obj = configuration(theirs, service())

    patched = json_patched(obj, corrections(obj, OURS, BUNDLE))

    assert patched == configuration(theirs, service(caBundle=ENCODED))


@pytest.mark.parametrize(
    "meanwhile",
    [
        configuration({"url": "https://elsewhere.example"}),
        configuration(service(caBundle="bmV3ZXI=")),
        configuration(),
    ],
)
def test_patch_does_not_hold_for_anything_else(meanwhile: dict[str, Any]) -> None:
    operations = corrections(configuration(service()), OURS, BUNDLE)

    with pytest.raises(CannotPatch):
        json_patched(meanwhile, operations)


@pytest.mark.parametrize("annotation", INJECTED)
def test_bundle_that_cert_manager_keeps_is_left_alone(annotation: str) -> None:
    obj = definition(service())
    obj["metadata"]["annotations"] = {annotation: "system/cert"}

    assert corrections(obj, OURS, BUNDLE) == []


def test_all_authorities_of_a_bundle_are_trusted() -> None:
    both = base64.b64encode(b"--old--" + BUNDLE).decode()

    assert trusts(definition(service(caBundle=both)), OURS, BUNDLE)
    assert not trusts(definition(service(caBundle="%%%")), OURS, BUNDLE)


def test_of_a_definition_only_its_conversion_is_kept() -> None:
    kept = keep_client_configs(definition(service()))

    assert kept["spec"] == {"conversion": definition(service())["spec"]["conversion"]}
    assert "managedFields" not in kept["metadata"]
    assert corrections(kept, OURS, BUNDLE) == corrections(definition(service()), OURS, BUNDLE)


def test_of_a_configuration_only_where_it_leads_is_kept() -> None:
    obj = configuration(service())
    obj["webhooks"][0]["rules"] = ["many"]

    kept = keep_client_configs(obj)

    assert kept["webhooks"] == [{"clientConfig": service()}]


def test_process_without_a_namespace_is_called_by_no_service() -> None:
    nowhere = Address("", names.SERVICE, frozenset({"localhost"}))

    assert not nowhere.is_called_by({"service": {"name": names.SERVICE, "namespace": ""}})
    assert nowhere.is_called_by({"url": "https://localhost:9443/validate"})
