# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""HTTP answers of the Kubernetes API, classified once, at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from informers.status import error_of, seconds_of, type_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from informers.errors import StatusError


def status_error(code: int, headers: Mapping[str, str], body: bytes, *, what: str) -> StatusError:
    """The error for an answer with a failure status.

    Args:
        code: HTTP status, 400 or above.
        headers: of the answer; ``Retry-After`` and ``Content-Type`` are read.
        body: of the answer; used only if it is a ``Status`` object, and never kept.
        what: the request in words, e.g. ``PATCH /api/v1/...``, for answers that do not explain
            themselves.
    """
    retry_after = headers.get("Retry-After")
    status = _status_object(body)
    if status is not None:
        return error_of(status, code=code, retry_after=retry_after, otherwise=what)
    kind = headers.get("Content-Type", "no content type").split(";")[0]
    message = f"{what}: HTTP {code} ({kind}, not from the Kubernetes API server)"
    return type_of(code)(message, code=code, retry_after=seconds_of(retry_after))


def _status_object(body: bytes) -> dict[str, Any] | None:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) and data.get("kind") == "Status" else None
