# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What parts of the program need of the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Requester(Protocol):
    """Single requests; ``llamastack_operator.kube.rest.Client`` has it."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = ...,
        timeout_s: float = ...,
    ) -> Any:
        """One request; the decoded JSON answer. Raises ``informers.errors.ApiError``."""
        ...
