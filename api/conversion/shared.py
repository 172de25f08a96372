# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which fields a node has in both versions, told from the models.

A node that goes over as a whole takes along what both versions know at that place, and what neither
of them knows. A field that one of them alone knows stays behind: it would mean nothing in the
other, or, worse, something that nobody asked for. So a field that v1alpha2 gets later is hidden
from v1alpha1, and comes back, without a line of code here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from api.model import ApiModel, Json
from api.unknown import fields_of
from api.v1alpha1.types import Spec as OldSpec
from api.v1alpha2.types import Spec


def common(node: Mapping[str, Any], old: tuple[str, ...], new: tuple[str, ...]) -> Json:
    """A node without what only one version knows there.

    Args:
        node: the value of a field.
        old: where the field is in v1alpha1, below ``spec``; items of lists have the list's place.
        new: where it is in v1alpha2.
    """
    apart = of_one_version(old, new)
    return {key: value for key, value in node.items() if key not in apart}


@functools.cache
def of_one_version(old: tuple[str, ...], new: tuple[str, ...]) -> frozenset[str]:
    """The names that only one version knows at a place."""
    theirs, ours = _model_at(OldSpec, old), _model_at(Spec, new)
    if theirs is None or ours is None:
        return frozenset()
    return frozenset(fields_of(theirs).keys() ^ fields_of(ours).keys())


def _model_at(model: type[ApiModel] | None, keys: Sequence[str]) -> type[ApiModel] | None:
    for key in keys:
        field = fields_of(model).get(key) if model else None
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[ApiModel] | None:
    """The model inside a field's type: of the object, or of the items of a list."""
    if inspect.isclass(annotation) and issubclass(annotation, ApiModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
