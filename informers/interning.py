# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Equal parts of cached objects are stored once (hash consing).

A thousand Deployments made by one controller differ in a few names; probes, security contexts,
owner references' kinds and most strings are the same in all of them. Cached objects are never
changed (B8), so equal parts can be one part. Sharing costs about 0.1 ms an object once, and takes
three quarters of a rendered Deployment's memory away.

Owner references are remembered longer than the rest. All children of one owner have the same, but
after a restart they come kind by kind, those of ten thousand owners between two of them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from informers.ports import Object

LIMIT = 8192
"""Parts that are remembered. What is unique fills the table, too, so it is emptied when it is full;
parts that were shared before stay shared, and common ones are back with the next object."""

OWNERS_LIMIT = 65_536
"""Likewise of owner references; one of them is four parts: its name, its uid, itself, the list."""

_OWNERS = "ownerReferences"


class Sharing:
    """A transform for :class:`informers.informer.Informer`; see :mod:`informers.transforms`.

    One instance may serve many informers: they share with each other then.

    Args:
        limit: parts to remember.
        owners_limit: parts of owner references to remember.
    """

    def __init__(self, *, limit: int = LIMIT, owners_limit: int = OWNERS_LIMIT) -> None:
        # Keys hold the identities of shared parts, which the values keep alive: a table is
        # emptied as a whole or not at all.
        self._parts: dict[Hashable, Any] = {}
        self._owners: dict[Hashable, Any] = {}
        self._limits = ((self._parts, limit), (self._owners, owners_limit))

    def __call__(self, obj: dict[str, Any]) -> Object:
        """The object, made of shared parts; equal to the one given, which is used up."""
        for table, limit in self._limits:
            if len(table) > limit:
                table.clear()
        shared: Object = self._share(obj, self._parts)
        return shared

    def _share(self, value: Any, parts: dict[Hashable, Any]) -> Any:
        kind = type(value)
        if kind is str:
            return parts.setdefault(value, value)
        if kind is dict:
            # Assigning to a key that exists keeps the order, which is part of the key.
            for name, part in value.items():
                value[name] = self._share(part, self._owners if name == _OWNERS else parts)
            key: Hashable = (dict, *value.keys(), *map(id, value.values()))
        elif kind is list:
            value[:] = [self._share(part, parts) for part in value]
            key = (list, *map(id, value))
        elif kind is int:
            return parts.setdefault((int, value), value)  # 1 is not True
        else:
            return value
        return parts.setdefault(key, value)
