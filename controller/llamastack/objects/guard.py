# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""JSON patches that are carried out on the version that they were made for, or not at all. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from informers.ports import Object


def guarded(live: Object, operations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A patch that a write in between makes a conflict.

    Args:
        live: the object that the operations were made for.
        operations: of a JSON patch.
    """
    version = live["metadata"]["resourceVersion"]
    # A `test` operation would fail as an invalid object, and not as a conflict.
    guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
    return [guard, *operations]
