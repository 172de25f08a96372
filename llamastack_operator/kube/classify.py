# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""HTTP answers of the Kubernetes API, classified once, at the edge.

Everything above this module matches exception types. Texts are looked at here only, and only
where the API server offers nothing better: an immutable field and a malformed apply have no
reason of their own (k8s.io/apimachinery ``validation.FieldImmutableErrorMsg``,
k8s.io/apiserver ``fieldmanager/structuredmerge.go``).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from informers import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def status_error(
    code: int, headers: Mapping[str, str], body: bytes, *, what: str
) -> errors.StatusError:
    """The error for an answer with a failure status.

    Args:
        code: HTTP status, 400 or above.
        headers: of the answer; ``Retry-After`` and ``Content-Type`` are read.
        body: of the answer; used only if it is a ``Status`` object, and never kept.
        what: the request in words, e.g. ``PATCH /api/v1/...``, for answers that do not explain
            themselves.
    """
    status = _status_object(body)
    if status is None:
        kind = headers.get("Content-Type", "no content type").split(";")[0]
        message = f"{what}: HTTP {code} ({kind}, not from the Kubernetes API server)"
        return _type_for(code, "", message, ())(
            message, code=code, retry_after=_retry_after(headers, {})
        )
    details = status.get("details") or {}
    causes = tuple(
        (str(c.get("reason", "")), str(c.get("field", "")), str(c.get("message", "")))
        for c in details.get("causes") or ()
        if isinstance(c, dict)
    )
    reason = str(status.get("reason", ""))
    message = str(status.get("message") or f"{what}: HTTP {code}")[:_MAX_MESSAGE]
    return _type_for(code, reason, message, causes)(
        message,
        code=code,
        reason=reason,
        retry_after=_retry_after(headers, details),
        causes=causes,
    )


def _status_object(body: bytes) -> dict[str, Any] | None:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) and data.get("kind") == "Status" else None


def _type_for(
    code: int, reason: str, message: str, causes: tuple[tuple[str, str, str], ...]
) -> type[errors.StatusError]:
    for cause in causes:
        if cause[0] in _BY_CAUSE:
            return _BY_CAUSE[cause[0]]
    if code == HTTPStatus.CONFLICT and reason == "AlreadyExists":
        return errors.AlreadyExists
    if code == HTTPStatus.UNPROCESSABLE_ENTITY and any(c[1] == "metadata.uid" for c in causes):
        # What an apply for a deleted and recreated object is told: the precondition failed.
        return errors.Conflict
    if code == HTTPStatus.UNPROCESSABLE_ENTITY and any(
        "field is immutable" in cause[2] for cause in causes
    ):
        return errors.ImmutableField
    if (
        code == HTTPStatus.INTERNAL_SERVER_ERROR
        and "failed to create typed patch object" in message
    ):
        return errors.MalformedApply
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.ServerError
    return _BY_CODE.get(code, errors.StatusError)


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> float | None:
    value = headers.get("Retry-After") or details.get("retryAfterSeconds")
    try:
        return float(value) if value is not None else None
    except (TypeError, ValueError):
        return None  # an HTTP date; the caller's own back-off will do
