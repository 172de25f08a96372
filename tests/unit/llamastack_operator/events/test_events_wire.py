# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is reported always fits what the API server takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamastack_operator.events.correlator import COMBINED, Regarding, Series
from llamastack_operator.events.wire import (
    fitting,
    identifier,
    name_of,
    namespace_of,
    new_event,
    occurrence_of,
    series_of,
)

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "ns", "name": "web", "uid": "u1", "resourceVersion": "7"},
}


def regarding(name: str, namespace: str = "ns") -> Regarding:
    return Regarding("v1", "Pod", namespace, name, "u1")


def series(count: int = 1, **metadata: str) -> Series:
    obj = {**POD, "metadata": {**POD["metadata"], **metadata}}
    occurrence = occurrence_of(obj, type="Normal", reason="Up", action="Start", note="It is up")
    return Series(occurrence, "t1", "t2", count)


def test_new_event_has_all_that_the_api_demands() -> None:
    assert new_event(series(), "web.1", controller="operator", instance="pod-0") == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "ns", "name": "web.1"},
        "eventTime": "t1",
        "reportingController": "operator",
        "reportingInstance": "pod-0",
        "type": "Normal",
        "reason": "Up",
        "action": "Start",
        "note": "It is up",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "ns",
            "name": "web",
            "uid": "u1",
        },
    }


def test_event_that_is_stored_late_says_how_often_it_happened() -> None:
    event = new_event(series(3), "web.1", controller="operator", instance="pod-0")

    assert event["series"] == {"count": 3, "lastObservedTime": "t2"}


def test_patch_touches_the_series_only() -> None:
    assert series_of(series(3)) == {"series": {"count": 3, "lastObservedTime": "t2"}}


def test_cluster_scoped_object_reports_in_default() -> None:
    event = new_event(series(namespace=""), "web.1", controller="operator", instance="pod-0")

    assert namespace_of(regarding("node-1", "")) == "default"
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["regarding"]


def test_instance_is_cut_to_what_the_api_takes() -> None:
    event = new_event(series(), "web.1", controller="operator", instance="i" * 200)

    assert event["reportingInstance"] == "i" * 128


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ConfigGenerated", "ConfigGenerated"),
        ("config generated", "ConfigGenerated"),
        ("secret_not-found", "SecretNotFound"),
        ("", "Unknown"),
        ("…", "Unknown"),
        ("X" * 200, "X" * 128),
    ],
)
def test_reason_is_made_an_identifier(text: str, expected: str) -> None:
    assert identifier(text) == expected


def test_short_note_is_left_alone() -> None:
    assert fitting("Größe 3") == "Größe 3"


@given(st.text(alphabet=st.characters(codec=None), max_size=2000))
def test_any_note_fits_even_when_it_is_combined(note: str) -> None:
    combined = COMBINED + fitting(note)

    assert len(combined.encode()) <= 1024


def test_long_note_is_cut_between_characters() -> None:
    cut = fitting("ä" * 2000)

    assert cut.endswith("ä…")
    assert len(cut.encode()) in {1024 - len(COMBINED) - 1, 1024 - len(COMBINED)}


@given(
    name=st.text(alphabet="abcz019-.:A", min_size=1, max_size=300),
    serial=st.integers(1, 1 << 62),
)
def test_any_object_gives_a_valid_name(name: str, serial: int) -> None:
    event = name_of(regarding(name), serial)

    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert re.fullmatch(rf"{label}(\.{label})*", event)
    assert len(event) <= 253
    assert event.endswith(f".{serial:x}")


def test_name_starts_with_the_name_of_the_object() -> None:
    assert name_of(regarding("web-0.x"), 255) == "web-0.x.ff"
    assert name_of(regarding("system:node"), 255) == "event.ff"


@pytest.mark.parametrize("lost", ["apiVersion", "kind", "metadata"])
def test_object_without_identity_is_refused(lost: str) -> None:
    obj = {field: value for field, value in POD.items() if field != lost}
    with pytest.raises(KeyError):
        occurrence_of(obj, type="Normal", reason="Up", action="Start", note="")
