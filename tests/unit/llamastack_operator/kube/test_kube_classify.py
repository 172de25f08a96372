# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""HTTP answers become types, and bodies never become messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from informers import errors
from informers.status import error_of
from llamastack_operator.kube.classify import status_error


def status(code: int, reason: str = "", message: str = "m", **details: Any) -> bytes:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (400, status(400, "BadRequest"), errors.BadRequest),
        (401, status(401, "Unauthorized"), errors.Unauthorized),
        (403, status(403, "Forbidden"), errors.Forbidden),
        (
            403,
            status(403, "Forbidden", causes=[{"reason": "NamespaceTerminating"}]),
            errors.NamespaceTerminating,
        ),
        (404, status(404, "NotFound"), errors.NotFound),
        (409, status(409, "Conflict"), errors.Conflict),
        (409, status(409, "AlreadyExists"), errors.AlreadyExists),
        (
            409,
            status(409, "Conflict", causes=[{"reason": "FieldManagerConflict", "field": ".spec"}]),
            errors.FieldManagerConflict,
        ),
        (429, status(429, "TooManyRequests"), errors.TooManyRequests),
        (
            429,
            status(429, "TooManyRequests", message="storage is (re)initializing"),
            errors.Initializing,
        ),
        (410, status(410, "Expired"), errors.Gone),
        (422, status(422, "Invalid"), errors.Invalid),
        (
            422,
            status(
                422,
                "Invalid",
                causes=[{"reason": "FieldValueInvalid", "message": "x: field is immutable"}],
            ),
            errors.ImmutableField,
        ),
        (
            422,
            status(
                422,
                "Invalid",
                causes=[{"field": "metadata.uid", "message": "x: field is immutable"}],
            ),
            errors.Conflict,
        ),
        (500, status(500, "InternalError"), errors.ServerError),
        (
            500,
            status(500, message="failed to create typed patch object (a/b): .spec.x"),
            errors.MalformedApply,
        ),
        (
            500,
            status(500, message="failed to create typed live object (a/b): .spec.x"),
            errors.MisfitStored,
        ),
        (
            504,
            status(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge"}]),
            errors.ResourceVersionTooLarge,
        ),
        (418, status(418), errors.StatusError),
    ],
)
def test_status_answers_become_their_type(
    code: int, body: bytes, kind: type[errors.StatusError]
) -> None:
    error = status_error(code, {}, body, what="GET /x")
    streamed = error_of(json.loads(body))

    assert type(error) is kind
    assert error.code == code
    assert type(streamed) is kind, "an ERROR event of a watch says the same"
    assert (streamed.code, streamed.causes) == (error.code, error.causes)


def test_message_of_the_server_is_kept_word_for_word() -> None:
    text = 'deployments.apps is forbidden: User "u" cannot list resource "deployments"'

    error = status_error(403, {}, status(403, "Forbidden", text), what="GET /x")

    assert str(error) == text


def test_status_without_a_message_names_the_request() -> None:
    body = b'{"kind":"Status","reason":"Forbidden","code":403}'

    assert str(status_error(403, {}, body, what="PATCH /apis/x")) == (
        "PATCH /apis/x: HTTP 403 Forbidden"
    )


def test_body_that_is_no_status_object_is_never_shown() -> None:
    secret = b"<html>token=hunter2</html>"

    error = status_error(502, {"Content-Type": "text/html; charset=x"}, secret, what="GET /api")

    assert type(error) is errors.ServerError
    assert str(error) == ("GET /api: HTTP 502 (text/html, not from the Kubernetes API server)")
    assert "hunter2" not in repr(vars(error))


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, status(429), 7.0),
        ({}, status(429, retryAfterSeconds=3), 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, status(429), None),
        ({}, status(429), None),
    ],
)
def test_patience_asked_for_is_passed_on(
    headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    assert status_error(429, headers, body, what="x").retry_after == seconds


def test_long_messages_are_cut() -> None:
    error = status_error(422, {}, status(422, "Invalid", "x" * 100_000), what="x")

    assert len(str(error)) == 2000
