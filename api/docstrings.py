# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The strings that stand below the fields of a class, out of its source.

pydantic can read them when a class is made (``use_attribute_docstrings``), but that takes nearly as
long as all the rest of importing our models. Only the schema needs them, so they are read when one
is made.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise


def attribute_docstrings(cls: type, root: type) -> dict[str, str]:
    """Docstrings by field: those that a class has, and those it inherits.

    Args:
        cls: a class below ``root``; one that has no source has none.
        root: where inheritance ends; has no fields.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(root)]):
        body = _bodies(base.__module__).get(base.__qualname__, [])
        for field, below in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = _string(below)
                found |= {field.target.id: text} if text else {}
    return found


def _string(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        value = statement.value.value
        return inspect.cleandoc(value) if isinstance(value, str) else ""
    return ""


@functools.cache
def _bodies(module: str) -> Mapping[str, list[ast.stmt]]:
    """The bodies of a module's classes by their qualified names."""
    return dict(_classes_in(ast.parse(inspect.getsource(sys.modules[module])), ""))


def _classes_in(node: ast.AST, prefix: str) -> Iterator[tuple[str, list[ast.stmt]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child.body
            yield from _classes_in(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes_in(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _classes_in(child, prefix)
