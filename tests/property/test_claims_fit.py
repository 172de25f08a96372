# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever is asked of whatever claim: nothing is sent that the API server would refuse."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.llamastack.objects.claims import capacity, exceeds, fitted, is_bound, requested
from tests.support.claims import claim

sizes = st.sampled_from(["1", "1Gi", "5Gi", "5120Mi", "10Gi", "20Gi", "1Ti"])
classes = st.sampled_from([None, "", "fast", "slow"])
modes = st.lists(
    st.sampled_from(["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"]), min_size=1, unique=True
)


@st.composite
def claims(draw: st.DrawFn) -> dict[str, Any]:
    return claim(
        draw(sizes),
        phase=draw(st.sampled_from(["Pending", "Bound", "Lost"])),
        capacity=draw(sizes),
        storage_class=draw(classes),
        modes=tuple(draw(modes)),
    )


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": draw(modes),
        "resources": {"requests": {"storage": draw(sizes)}},
    }
    name = draw(classes)
    if name:
        spec["storageClassName"] = name
    return {"metadata": {"name": "demo-pvc"}, "spec": spec}


def applied(live: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    return {**live, "spec": {**live["spec"], **sent["spec"]}}


@given(claims(), manifests())
@settings(max_examples=200)
def test_nothing_but_the_size_changes_and_a_class_appears(
    live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    sent = fitted(wanted, live)["spec"]
    had = live["spec"].get("storageClassName")

    assert sent["accessModes"] == live["spec"]["accessModes"]
    if had is not None or "volumeName" in live["spec"]:
        assert sent.get("storageClassName") == had


@given(claims(), manifests())
@settings(max_examples=200)
def test_size_moves_only_as_the_api_server_allows(
    live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    before, after = requested(live), requested(fitted(wanted, live))

    if not is_bound(live):
        assert after == before
    if exceeds(before, after):
        assert exceeds(after, capacity(live))


@given(claims(), manifests())
@settings(max_examples=200)
def test_what_was_sent_once_is_sent_again(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    sent = fitted(wanted, live)

    assert fitted(wanted, applied(live, sent)) == sent
