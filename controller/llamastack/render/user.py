# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Parts of a pod that users write themselves, passed through as they wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel


def plain(part: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """JSON data in the API's spelling, without what the user left out."""
    if isinstance(part, BaseModel):
        return part.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dict(part)


def plain_list(parts: Iterable[BaseModel | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Likewise, for a list."""
    return [plain(part) for part in parts]
