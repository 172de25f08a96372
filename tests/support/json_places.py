# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Places in JSON data: the same with something else there, or with its keys in another order."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


def put(value: Any, at: Sequence[str | int], new: Any) -> Any:
    """A copy of the data with something else at one place; the new thing itself at the root."""
    if not at:
        return new
    changed = copy.deepcopy(value)
    node = changed
    for step in at[:-1]:
        node = node[step]
    node[at[-1]] = new
    return changed


def shuffled(data: Any, random: Any) -> Any:
    """The same data, the keys of every mapping in an order that the dice choose."""
    if isinstance(data, dict):
        keys = list(data)
        random.shuffle(keys)
        return {key: shuffled(data[key], random) for key in keys}
    return [shuffled(item, random) for item in data] if isinstance(data, list) else data
