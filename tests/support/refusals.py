# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which fields an answer of the API server names, and whether they are in what was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]

_PATH: Final = r"(?:spec|metadata)(?:\.[A-Za-z0-9_./-]+|\[[^\]]*\])*"
_STARTS: Final = re.compile(rf"(?:^|; )({_PATH}): ", re.MULTILINE)
_DENIED: Final = re.compile(r"denied (?:the )?request: ")


def problem_of(answer: Mapping[str, Any], obj: Any) -> str:
    """Why an author could not find what a refusal is about; empty if he can.

    Of what the API server says by the schema, one field has to be there: it goes on to say what it
    could not look at because of that. Whatever our own rules say has to be about a field of his.

    Args:
        answer: the Status.
        obj: what was written.
    """
    text = str(answer.get("message", ""))
    causes = (answer.get("details") or {}).get("causes") or ()
    fields = [cause["field"].removeprefix(".") for cause in causes if cause.get("field")]
    if fields and not any(is_known(field, obj) for field in fields):
        return f"nothing in {fields} is in it: {text}"
    said = _DENIED.split(text, maxsplit=1)
    ours = paths_of_text(said[1]) if len(said) > 1 else []
    unknown = [path for path in ours if not is_known(path, obj)]
    if unknown:
        return f"{unknown} are not in it: {text}"
    return "" if fields or ours else f"no path: {text}"


def paths_of_text(text: str) -> list[str]:
    """The fields with which the lines of a text begin; a policy says all in one line."""
    return _STARTS.findall(text)


def is_known(path: str, obj: Any) -> bool:
    """Whether a path leads to something in an object, or to what is missing right there."""
    return path.startswith(("spec", "metadata")) and _leads(f".{path}", obj)


def _leads(path: str, node: Any) -> bool:
    if not path:
        return True
    if isinstance(node, list):
        item = re.match(r"\[(\d+)\]", path)
        if item is None or int(item[1]) >= len(node):
            return False
        return _leads(path[item.end() :], node[int(item[1])])
    if node is None:
        return True  # as if it were not there: all of it is missing
    if not isinstance(node, Mapping):
        return False
    # Keys of maps have dots, and stand in the path as they are, or in brackets.
    for key, value in node.items():
        for step in (f".{key}", f"[{key}]"):
            rest = path.removeprefix(step)
            if rest != path and rest[:1] in {"", ".", "["} and _leads(rest, value):
                return True
    return re.fullmatch(r"\.[A-Za-z0-9_]+", path) is not None
