# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether a child is in place is told without a request."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.llamastack.objects.compare import in_place, stamped
from controller.llamastack.objects.kinds import APPLIED_HASH
from controller.llamastack.objects.quantities import same_quantity


def manifest(**spec: Any) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"name": "a", "labels": {"l": "1"}}, "spec": spec}


def with_container(**fields: Any) -> dict[str, Any]:
    return manifest(template={"spec": {"containers": [{"name": "ours", **fields}]}})


def live_of(wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    live = copy.deepcopy(wanted)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 1}
    live["spec"] |= more
    live["status"] = {"replicas": 1}
    return live


def test_object_with_defaults_and_foreign_fields_is_in_place() -> None:
    wanted = stamped(manifest(replicas=1))
    live = live_of(wanted, paused=False)
    live["metadata"]["labels"]["theirs"] = "x"

    assert in_place(wanted, live)


@pytest.mark.parametrize(
    "drift",
    [
        lambda live: live["spec"].update(replicas=2),
        lambda live: live["spec"].pop("replicas"),
        lambda live: live["metadata"]["labels"].pop("l"),
        lambda live: live["metadata"]["annotations"].pop(APPLIED_HASH),
        lambda live: live["metadata"].pop("annotations"),
    ],
)
def test_every_drift_of_a_field_we_set_is_noticed(drift: Any) -> None:
    wanted = stamped(manifest(replicas=1))
    live = live_of(wanted)
    drift(live)

    assert not in_place(wanted, live)


def test_field_that_we_no_longer_send_is_noticed() -> None:
    before = stamped(manifest(replicas=1, paused=True))
    live = live_of(before)

    assert in_place(before, live)
    assert not in_place(stamped(manifest(replicas=1)), live)


def test_hash_does_not_depend_on_the_order_of_keys() -> None:
    one = stamped({"metadata": {"name": "a"}, "spec": {"x": 1, "y": 2}})
    other = stamped({"spec": {"y": 2, "x": 1}, "metadata": {"name": "a"}})

    assert one["metadata"]["annotations"] == other["metadata"]["annotations"]


def test_stamping_does_not_touch_the_manifest() -> None:
    original = manifest(replicas=1)
    before = copy.deepcopy(original)

    stamped(original)

    assert original == before


def test_zero_values_that_the_server_leaves_out_are_in_place() -> None:
    wanted = stamped(manifest(env=[{"name": "A", "value": ""}], emptyDir={}, list=[], n=0))
    live = live_of(wanted)
    del live["spec"]["env"][0]["value"], live["spec"]["list"], live["spec"]["n"]

    assert in_place(wanted, live)


def test_sidecar_of_somebody_else_is_none_of_our_business() -> None:
    wanted = stamped(with_container(image="a"))
    live = live_of(wanted)
    containers = live["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "sidecar", "image": "b"})

    assert in_place(wanted, live)
    containers[1]["image"] = "c"
    assert not in_place(wanted, live)


def test_plain_lists_are_compared_whole() -> None:
    wanted = stamped(manifest(args=["a", "b"]))
    live = live_of(wanted)
    live["spec"]["args"] = ["a", "b", "c"]

    assert not in_place(wanted, live)


def test_quantities_are_compared_as_amounts() -> None:
    resources = {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": "2"}}
    wanted = stamped(with_container(resources=resources))
    live = live_of(wanted)
    (container,) = live["spec"]["template"]["spec"]["containers"]
    container["resources"] = {
        "requests": {"cpu": "1", "memory": "1Gi"},
        "limits": {"cpu": "2000m"},
    }

    assert in_place(wanted, live)
    container["resources"]["limits"]["cpu"] = "3"
    assert not in_place(wanted, live)


@pytest.mark.parametrize(
    ("a", "b"),
    [("1", 1), ("0.5", "500m"), ("1k", "1000"), ("1Ki", "1024"), ("1e3", "1k"), ("1E", "1000P")],
)
def test_equal_amounts(a: object, b: object) -> None:
    assert same_quantity(a, b)


@pytest.mark.parametrize(
    ("a", "b"), [("1", "2"), ("1", None), ("1Ki", "1k"), ("x", "1"), ("", "0"), ("m", "0")]
)
def test_different_amounts_and_nonsense(a: object, b: object) -> None:
    assert not same_quantity(a, b)
