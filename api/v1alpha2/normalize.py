# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The one place where nodes with several forms get one form (R-D2).

========================================  ===================================================
what users may write                      what everybody else sees
========================================  ===================================================
``providers.<api>``: object or list       a tuple of providers, each with its path
``resources.models[]``: string or object  a model with a name and its path
``networking.expose``: bool or object     an object with ``enabled``; ``{}`` is enabled
========================================  ===================================================

These are pydantic before-validators: they change the form and leave the content alone. What has
neither form is refused here, in words that name the forms; wrong content is refused by the models.
A path is kept because the normalised index is not always what the user wrote: the only provider of
an API is ``spec.providers.inference``, not ``spec.providers.inference[0]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationInfo
from pydantic.alias_generators import to_camel

from api.model import kind_of, problem
from api.v1alpha2 import messages


def provider_list(value: Any, info: ValidationInfo) -> Any:
    """One provider or a list of them → a list; each knows its path."""
    path = f"spec.providers.{to_camel(info.field_name or '')}"
    items = one_or_list(value)
    if items is not value:
        return [_provider(value, path)]
    return [_provider(item, f"{path}[{index}]") for index, item in enumerate(items)]


def one_or_list(value: Any) -> Any:
    """One object or a list of them → a list; a list is returned as it is."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, list | tuple):
        return value
    raise problem("one_or_list", f"{messages.ONE_OR_LIST}, got {kind_of(value)}")


def _provider(value: Any, path: str) -> Any:
    return {**value, "path": path} if isinstance(value, Mapping) else value


def model_list(value: Any) -> Any:
    """Names and objects → objects."""
    if not isinstance(value, list | tuple):
        return value
    return [_model(item, f"spec.resources.models[{index}]") for index, item in enumerate(value)]


def _model(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return {"name": value, "path": path}
    return {**value, "path": path} if isinstance(value, Mapping) else value


def model_or_refusal(value: Any) -> Any:
    """Refuse an entry that is neither a name nor an object, where its index is known."""
    if isinstance(value, Mapping):
        return value
    raise problem("name_or_model", f"{messages.NAME_OR_MODEL}, got {kind_of(value)}")


def switch(value: Any) -> Any:
    """A boolean → an object; an object says nothing about ``enabled`` unless it says it."""
    if isinstance(value, bool):
        return {"enabled": value}
    if isinstance(value, Mapping):
        return value
    raise problem("switch", f"{messages.SWITCH}, got {kind_of(value)}")
