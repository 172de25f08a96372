# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Equal parts of cached objects are stored once (hash consing).

A thousand Deployments made by one controller differ in a few names; probes, security contexts,
owner references' kinds and most strings are the same in all of them. Cached objects are never
changed (B8), so equal parts can be one part. Sharing costs about 0.1 ms an object once, and takes
three quarters of a rendered Deployment's memory away.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from informers.ports import Object

LIMIT = 8192
"""Parts that are remembered. What is unique fills the table, too, so it is emptied when it is full;
parts that were shared before stay shared, and common ones are back with the next object."""


class Sharing:
    """A transform for :class:`informers.informer.Informer`; see :mod:`informers.transforms`.

    One instance may serve many informers: they share with each other then.

    Args:
        limit: parts to remember.
    """

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        # Keys hold the identities of shared parts, which the values keep alive: the table is
        # emptied as a whole or not at all.
        self._parts: dict[Hashable, Any] = {}

    def __call__(self, obj: dict[str, Any]) -> Object:
        """The object, made of shared parts; equal to the one given, which is used up."""
        if len(self._parts) > self._limit:
            self._parts.clear()
        shared: Object = self._share(obj)
        return shared

    def _share(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self._parts.setdefault(value, value)
        if kind is dict:
            # Assigning to a key that exists keeps the order, which is part of the key.
            for name, part in value.items():
                value[name] = self._share(part)
            key: Hashable = (dict, *value.keys(), *map(id, value.values()))
        elif kind is list:
            value[:] = map(self._share, value)
            key = (list, *map(id, value))
        elif kind is int:
            return self._parts.setdefault((int, value), value)  # 1 is not True
        else:
            return value
        return self._parts.setdefault(key, value)
