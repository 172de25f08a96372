# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Field ownership moves into our apply entry, once (G7)."""

from __future__ import annotations

from typing import Any

from controller.llamastack.children.managed_fields import ownership_patch
from controller.llamastack.objects.kinds import APPLIED_HASH, FIELD_MANAGER


def entry(manager: str, operation: str, *fields: str, **more: str) -> dict[str, Any]:
    tree: dict[str, Any] = {"f:spec": {f"f:{name}": {} for name in fields}}
    return {"manager": manager, "operation": operation, "fieldsV1": tree, **more}


def live(*entries: dict[str, Any], ours: bool = True) -> dict[str, Any]:
    annotations = {APPLIED_HASH: "x"} if ours else {}
    metadata = {"resourceVersion": "5", "managedFields": list(entries), "annotations": annotations}
    return {"metadata": metadata}


def folded(obj: dict[str, Any]) -> list[dict[str, Any]]:
    guard, replace = ownership_patch(obj, cr_name="demo")
    assert guard == {"op": "replace", "path": "/metadata/resourceVersion", "value": "5"}
    assert replace["path"] == "/metadata/managedFields"
    result: list[dict[str, Any]] = replace["value"]
    return result


def test_object_written_by_apply_alone_needs_nothing() -> None:
    obj = live(entry(FIELD_MANAGER, "Apply", "a"), entry("kubelet", "Update", "b"))

    assert ownership_patch(obj, cr_name="demo") == []


def test_our_create_becomes_an_apply() -> None:
    assert folded(live(entry(FIELD_MANAGER, "Update", "a"))) == [entry(FIELD_MANAGER, "Apply", "a")]


def test_our_create_joins_our_apply() -> None:
    obj = live(entry(FIELD_MANAGER, "Update", "a", "b"), entry(FIELD_MANAGER, "Apply", "b", "c"))

    assert folded(obj) == [entry(FIELD_MANAGER, "Apply", "a", "b", "c")]


def test_entries_of_others_and_of_subresources_stay() -> None:
    scaler = entry("kubectl", "Update", "replicas", subresource="scale")
    status = entry(FIELD_MANAGER, "Update", "x", subresource="status")
    obj = live(scaler, entry(FIELD_MANAGER, "Update", "a"), status)

    assert folded(obj)[1:] == [scaler, status]


def test_fields_of_the_go_operator_are_taken_over_on_adoption() -> None:
    obj = live(entry("manager", "Update", "a"), entry("demo", "Apply", "b"), ours=False)

    assert folded(obj) == [entry(FIELD_MANAGER, "Apply", "a", "b")]


def test_a_manager_named_manager_keeps_its_fields_once_the_object_is_ours() -> None:
    """Many operators call themselves so; theirs is theirs after adoption."""
    obj = live(entry("manager", "Update", "a"))

    assert ownership_patch(obj, cr_name="demo") == []
