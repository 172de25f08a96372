# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Status object of an ERROR event as a member of the error tree.

A watch that was accepted with HTTP 200 can still fail: the server then sends one event of type
ERROR. After a restart of the API server that is the usual shape of 410 (A5).
"""

from __future__ import annotations

from typing import Any

from informers import errors

_SERVER_ERROR = 500

_BY_CODE: dict[int, type[errors.StatusError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    410: errors.Gone,
    422: errors.Invalid,
    429: errors.TooManyRequests,
}
_GONE_REASONS = frozenset({"Expired", "Gone"})


def error_of(status: dict[str, Any]) -> errors.StatusError:
    """The error that a Status reports; tolerant, since servers differ in what they fill in."""
    details = status.get("details")
    details = details if isinstance(details, dict) else {}
    causes = tuple(
        (str(c.get("reason", "")), str(c.get("field", "")), str(c.get("message", "")))
        for c in details.get("causes") or ()
        if isinstance(c, dict)
    )
    code = status.get("code")
    code = code if isinstance(code, int) else _SERVER_ERROR
    reason = str(status.get("reason", ""))
    seconds = details.get("retryAfterSeconds")
    return _type_for(code, reason, causes)(
        str(status.get("message") or reason or f"the watch failed with status {code}"),
        code=code,
        reason=reason,
        retry_after=float(seconds) if isinstance(seconds, (int, float)) else None,
        causes=causes,
    )


def _type_for(
    code: int, reason: str, causes: tuple[tuple[str, str, str], ...]
) -> type[errors.StatusError]:
    if any(cause[0] == "ResourceVersionTooLarge" for cause in causes):
        return errors.ResourceVersionTooLarge
    if reason in _GONE_REASONS:
        return errors.Gone
    if code >= _SERVER_ERROR:
        return errors.ServerError
    return _BY_CODE.get(code, errors.StatusError)


def describe(error: errors.ApiError) -> str:
    """Type and text of an error; never a body."""
    return f"{type(error).__name__}: {error}"
