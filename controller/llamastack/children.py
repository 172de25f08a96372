# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The kinds of children, and what becomes of one that is not wanted any more.

Every child has one fixed name, so what a resource had before an edit is found without a list.
Those of `PREREQUISITES` are written side by side, before the Deployment that needs them; what is
not wanted goes after the Deployment stopped using it. The generated ConfigMap is not among them:
there are several of it (`config_map`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.llamastack.kinds import (
    AUTOSCALER,
    DEPLOYMENT,
    INGRESS,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    ROLE_BINDING,
    ROUTE,
    SERVICE,
    SERVICE_ACCOUNT,
)
from controller.llamastack.render import (
    hpa,
    ingress,
    names,
    network_policy,
    pdb,
    pvc,
    role_binding,
    route,
    service,
    service_account,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.llamastack.render.inputs import Inputs, Options
    from controller.llamastack.render.manifest import Child
    from informers.ports import Resource


@dataclass(frozen=True, slots=True)
class ChildKind:
    """A kind of child.

    Attributes:
        resource: the kind of object.
        render: what it should be; ``None`` if the resource asks for none.
        name: of the object, from the name of the resource.
        kept: whether an edit that no longer asks for it leaves it, because it holds data.
        there: whether this cluster has the kind at all; if not, nothing is asked of it.
    """

    resource: Resource
    render: Callable[[Inputs], Child | None]
    name: Callable[[str], str]
    kept: bool = False
    there: Callable[[Options], bool] = lambda _: True


PREREQUISITES: tuple[ChildKind, ...] = (
    ChildKind(SERVICE_ACCOUNT, service_account.render, names.service_account),
    ChildKind(SERVICE, service.render, names.service),
    ChildKind(POD_DISRUPTION_BUDGET, pdb.render, names.pod_disruption_budget),
    ChildKind(AUTOSCALER, hpa.render, names.autoscaler),
    ChildKind(INGRESS, ingress.render, names.ingress),
    ChildKind(PERSISTENT_VOLUME_CLAIM, pvc.render, names.claim, kept=True),
    ChildKind(NETWORK_POLICY, network_policy.render, names.network_policy),
    ChildKind(ROUTE, route.render, names.route, there=lambda options: options.routes),
    ChildKind(
        ROLE_BINDING,
        role_binding.render,
        names.role_binding,
        there=lambda options: options.role_bindings,
    ),
)
"""All but the Deployment."""

RESOURCES: tuple[Resource, ...] = (DEPLOYMENT, *(kind.resource for kind in PREREQUISITES))
"""What is watched because a child of ours may be changed or deleted."""


def wanted(inputs: Inputs) -> Iterator[Child]:
    """The prerequisites that a resource asks for."""
    for kind in _there(inputs):
        child = kind.render(inputs)
        if child is not None:
            yield child


def unwanted(inputs: Inputs) -> Iterator[ChildKind]:
    """The kinds of which an object that is there has to go."""
    for kind in _there(inputs):
        if not kind.kept and kind.render(inputs) is None:
            yield kind


def _there(inputs: Inputs) -> Iterator[ChildKind]:
    return (kind for kind in PREREQUISITES if kind.there(inputs.options))
