# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What arrives is checked, stamped and transformed; the rest is counted (A17, A19)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from informers import errors
from informers.decoder import Decoder, EventType
from informers.interning import Sharing
from informers.metrics import Gauges, InformerMetrics
from informers.ports import Object, ObjectKey, Resource
from informers.status import error_of
from informers.transforms import drop_noise

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")


class Counting:
    """Counts what an informer counts."""

    def __init__(self) -> None:
        self.skipped = 0
        self.events: list[str] = []

    def informer(self, name: str, gauges: Gauges) -> InformerMetrics:
        return self

    def listed(self, *, seconds: float, items: int) -> None:
        pass

    def watch_opened(self) -> None:
        pass

    def watch_was_short(self) -> None:
        pass

    def event(self, type: str) -> None:
        self.events.append(type)

    def malformed(self) -> None:
        self.skipped += 1

    def handler_failed(self) -> None:
        pass


def make_intake(metrics: Counting, failures: list[str] | None = None, **options: Any) -> Decoder:
    def on_error(key: ObjectKey, error: Exception) -> None:
        (failures if failures is not None else []).append(f"{key}: {error}")

    return Decoder(
        DEPLOYMENTS,
        transform=options.get("transform", drop_noise),
        metrics=metrics,
        on_error=on_error,
    )


def event(type_: Any, obj: Any) -> bytes:
    return orjson.dumps({"type": type_, "object": obj})


WEB = {"metadata": {"name": "web", "namespace": "prod", "resourceVersion": "7"}}


@pytest.mark.parametrize(
    "line",
    [
        b"<html>502 Bad Gateway</html>",
        b"{",
        b'"a string"',
        b"[]",
        b"null",
        b'{"type":"ADDED"}',
        b'{"object":{}}',
        event("RENAMED", WEB),
        event(["ADDED"], WEB),
        event("ADDED", None),
        event("ADDED", []),
        event("ADDED", {}),
        event("ADDED", {"metadata": "x"}),
        event("ADDED", {**WEB, "kind": "Table", "apiVersion": "meta.k8s.io/v1"}),
        event("ADDED", {**WEB, "kind": "Deployment", "apiVersion": "extensions/v1beta1"}),
        event("BOOKMARK", {**WEB, "kind": "Pod"}),
    ],
)
def test_what_is_no_event_of_ours_is_counted_and_skipped(line: bytes) -> None:
    metrics = Counting()

    assert make_intake(metrics).event(line) is None
    assert metrics.skipped == 1


@pytest.mark.parametrize(
    "raw",
    [
        None,
        7,
        {"kind": "Deployment"},
        {"metadata": {}},
        {"metadata": {"name": ""}},
        {"metadata": {"name": 5}},
        {"metadata": {"name": "x", "namespace": None}},
        {"kind": "Status", "metadata": {"name": "x"}},
    ],
)
def test_object_without_a_key_is_counted_and_skipped(raw: Any) -> None:
    metrics = Counting()

    assert make_intake(metrics).admit(raw) is None
    assert metrics.skipped == 1


def test_events_are_decoded_and_counted_by_type() -> None:
    metrics = Counting()
    decoder = make_intake(metrics)
    decoded = [decoder.event(event(member.value, WEB)) for member in EventType]

    assert [each.type for each in decoded if each] == list(EventType)
    assert metrics.events == [member.value for member in EventType]
    assert decoded[0] is not None
    assert decoded[0].resource_version == "7"


@pytest.mark.parametrize(
    "kind", [{}, {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}]
)
def test_kind_is_stamped_on_list_items_and_metadata(kind: dict[str, str]) -> None:
    admitted = make_intake(Counting()).admit(orjson.loads(orjson.dumps({**kind, **WEB})))

    assert admitted is not None
    assert admitted.key == ObjectKey("prod", "web")
    assert admitted.obj == {"kind": "Deployment", "apiVersion": "apps/v1", **WEB}


def test_cluster_scoped_object_has_an_empty_namespace() -> None:
    admitted = make_intake(Counting()).admit({"metadata": {"name": "web"}})

    assert admitted is not None
    assert admitted.key == ObjectKey("", "web")


def test_key_is_made_of_the_strings_that_a_transform_shares() -> None:
    """Else each of ten thousand objects keeps a copy of its namespace."""
    decoder = make_intake(Counting(), transform=Sharing())

    first, second = (
        decoder.admit(orjson.loads(b'{"metadata": {"name": "%s", "namespace": "team"}}' % name))
        for name in (b"a", b"b")
    )

    assert first is not None
    assert second is not None
    assert first.key.namespace is second.key.namespace


def test_failing_transform_skips_its_object_and_nothing_else() -> None:
    def fragile(obj: dict[str, Any]) -> Object | None:
        return {"ok": 1 / obj["n"], "metadata": obj["metadata"]}

    metrics, failures = Counting(), list[str]()
    decoder = make_intake(metrics, failures, transform=fragile)

    assert decoder.admit({"n": 0, "metadata": {"name": "bad"}}) is None
    assert decoder.admit({"n": 1, "metadata": {"name": "good"}}) is not None
    assert failures == ["bad: division by zero"]
    assert metrics.skipped == 1


@pytest.mark.parametrize(
    ("status", "kind", "retry_after"),
    [
        ({"code": 410, "reason": "Expired"}, errors.Gone, None),
        ({"code": 410, "reason": "Gone"}, errors.Gone, None),
        ({"code": 500, "reason": "Expired"}, errors.Gone, None),
        ({"code": 403, "reason": "Forbidden"}, errors.Forbidden, None),
        ({"code": 429, "details": {"retryAfterSeconds": 3}}, errors.TooManyRequests, 3.0),
        ({"code": 500, "reason": "InternalError"}, errors.ServerError, None),
        (
            {"code": 504, "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]}},
            errors.ResourceVersionTooLarge,
            None,
        ),
        ({"code": 418}, errors.StatusError, None),
        ({}, errors.ServerError, None),
        ({"code": "x", "details": [], "message": None}, errors.ServerError, None),
    ],
)
def test_status_of_an_error_event_is_classified(
    status: dict[str, Any], kind: type[errors.StatusError], retry_after: float | None
) -> None:
    error = error_of(status)

    assert type(error) is kind
    assert error.retry_after == retry_after
    assert str(error)
