# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Status object of the Kubernetes API as a member of the error tree: the one classifier.

It arrives in two shapes. As the body of an HTTP answer with a failure status
(``llamastack_operator.kube.classify``), and in a watch that was accepted with HTTP 200, as one
event of type ERROR: after a restart of the API server that is the usual shape of 410 (A5).

Everything above matches exception types. Texts are looked at here only, and only where the API
server offers nothing better: an immutable field, a malformed apply and a cache that is being filled
have no reason of their own (k8s.io/apimachinery ``validation.FieldImmutableErrorMsg``,
k8s.io/apiserver ``fieldmanager/structuredmerge.go`` and ``storage/cacher``).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from informers import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

Causes: TypeAlias = tuple[tuple[str, str, str], ...]
"""``Status.details.causes`` as (reason, field, message)."""

_MAX_MESSAGE = 2_000  # characters; a message ends in logs and conditions

_BY_CODE: dict[int, type[errors.StatusError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    422: errors.Invalid,
    429: errors.TooManyRequests,
}

_BY_CAUSE: dict[str, type[errors.StatusError]] = {
    "FieldManagerConflict": errors.FieldManagerConflict,
    "NamespaceTerminating": errors.NamespaceTerminating,
    "ResourceVersionTooLarge": errors.ResourceVersionTooLarge,
}

_BY_REASON: dict[str, type[errors.StatusError]] = {
    "AlreadyExists": errors.AlreadyExists,
    "Expired": errors.Gone,
    "Gone": errors.Gone,
}


def error_of(
    status: Mapping[str, Any],
    *,
    code: int | None = None,
    retry_after: str | None = None,
    otherwise: str = "the watch failed",
) -> errors.StatusError:
    """The error that a Status reports; tolerant, since servers differ in what they fill in.

    Args:
        status: the object; not kept.
        code: HTTP status of the answer; that of the object, if it came in a watch.
        retry_after: the header, if there was one.
        otherwise: what failed, in words, for a Status without a message.
    """
    details = status.get("details")
    details = details if isinstance(details, dict) else {}
    causes: Causes = tuple(
        (str(c.get("reason", "")), str(c.get("field", "")), str(c.get("message", "")))
        for c in details.get("causes") or ()
        if isinstance(c, dict)
    )
    if code is None:
        given = status.get("code")
        code = given if isinstance(given, int) else int(HTTPStatus.INTERNAL_SERVER_ERROR)
    reason = str(status.get("reason", ""))
    unsaid = f"{otherwise}: HTTP {code}" + (f" {reason}" if reason else "")
    message = str(status.get("message") or unsaid)[:_MAX_MESSAGE]
    return type_of(code, reason, message, causes)(
        message,
        code=code,
        reason=reason,
        retry_after=seconds_of(retry_after or details.get("retryAfterSeconds")),
        causes=causes,
    )


def type_of(
    code: int, reason: str = "", message: str = "", causes: Causes = ()
) -> type[errors.StatusError]:
    """The type of the error, by the most telling of what the server says."""
    for cause in causes:
        if cause[0] in _BY_CAUSE:
            return _BY_CAUSE[cause[0]]
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    if code == HTTPStatus.UNPROCESSABLE_ENTITY:
        return _of_invalid(causes)
    if code == HTTPStatus.TOO_MANY_REQUESTS and "storage is (re)initializing" in message:
        return errors.Initializing
    if code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _of_apply(message)
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.ServerError
    return _BY_CODE.get(code, errors.StatusError)


def _of_apply(message: str) -> type[errors.StatusError]:
    if "failed to create typed patch object" in message:
        return errors.MalformedApply
    if "failed to create typed live object" in message:
        return errors.MisfitStored
    return errors.ServerError


def _of_invalid(causes: Causes) -> type[errors.StatusError]:
    if any(cause[1] == "metadata.uid" for cause in causes):
        # What an apply for a deleted and recreated object is told: the precondition failed.
        return errors.Conflict
    if any("field is immutable" in cause[2] for cause in causes):
        return errors.ImmutableField
    return errors.Invalid


def seconds_of(value: Any) -> float | None:
    """What a server asked to wait; ``None`` for nothing, or for an HTTP date."""
    try:
        return float(value) if value is not None else None
    except (TypeError, ValueError):
        return None  # the caller's own back-off will do


def describe(error: errors.ApiError) -> str:
    """Type and text of an error; never a body."""
    return f"{type(error).__name__}: {error}"
