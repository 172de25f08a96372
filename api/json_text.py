# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""JSON text of values that are nested deeper than the usual encoders go.

Objects come from whoever may write them, and the API server admits thousands of levels in a field
whose content is anybody's. An encoder that raises would take every list of resources along.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def deep_json(value: Any) -> str:
    """JSON with sorted keys, however deep the value is. Slower than the usual encoders."""
    pieces: list[str] = []
    stack: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    closing = [""]
    while stack:
        for before, item in stack[-1]:
            pieces.append(before)
            if isinstance(item, Mapping):
                pieces.append("{")
                closing.append("}")
                stack.append(_members(item))
                break
            if isinstance(item, list | tuple):
                pieces.append("[")
                closing.append("]")
                stack.append(("," if i else "", each) for i, each in enumerate(item))
                break
            pieces.append(json.dumps(item, ensure_ascii=False))
        else:
            stack.pop()
            pieces.append(closing.pop())
    return "".join(pieces)


def _members(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for i, key in enumerate(sorted(node)):
        yield f"{',' if i else ''}{json.dumps(key, ensure_ascii=False)}:", node[key]
