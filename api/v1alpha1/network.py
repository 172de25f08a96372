# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Who may reach the server, and from where."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.model import ApiModel, Bool, LabelKey, Matching
from api.v1alpha1.fields import SchemaDefault


class AllowedFrom(ApiModel):
    """Who may connect, when the operator manages network policies."""

    namespaces: Annotated[
        tuple[
            Annotated[
                str,
                Field(max_length=63),
                # What a label's value may be, and the policy selects namespaces by one. No more
                # is asked: what names no namespace lets nobody in.
                Matching(
                    r"^(\*|([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?)$",
                    "the name of a namespace, or *",
                ),
            ],
            ...,
        ],
        Field(max_length=256),
    ] = ()
    """Names of namespaces; * is all of them."""

    labels: Annotated[tuple[LabelKey, ...], Field(max_length=64)] = ()
    """Label keys: a namespace that has any of them may connect."""


class Network(ApiModel):
    """Access to the server."""

    expose_route: Annotated[Bool, SchemaDefault(value=False)] = False
    """Whether the server is reachable from outside the cluster; false if absent."""

    allowed_from: AllowedFrom | None = None
    """Who may connect, when the operator manages network policies."""
