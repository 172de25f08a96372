# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The kinds of children, and what becomes of one that is not wanted any more.

Every child has one fixed name, so what a resource had before an edit is found without a list.
What pods need to start well is written before the Deployment, the rest beside it: a server does not
wait for its Ingress, and an autoscaler finds what it scales. What is not wanted any more goes after
the Deployment stopped using it. The generated ConfigMap is not among them: there are several of it
(``config_map``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import (
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
        before_deployment: whether it has to be there before pods start.
        retain: whether an edit that no longer asks for it leaves it, because it holds data.
        available: whether this cluster has the kind at all; if not, nothing is asked of it.
    """

    resource: Resource
    render: Callable[[Inputs], Child | None]
    name: Callable[[str], str]
    before_deployment: bool = False
    retain: bool = False
    available: Callable[[Options], bool] = lambda _: True


KINDS: tuple[ChildKind, ...] = (
    ChildKind(
        SERVICE_ACCOUNT, service_account.render, names.service_account, before_deployment=True
    ),
    ChildKind(
        PERSISTENT_VOLUME_CLAIM, pvc.render, names.claim, before_deployment=True, retain=True
    ),
    # No pod is reachable before it.
    ChildKind(NETWORK_POLICY, network_policy.render, names.network_policy, before_deployment=True),
    ChildKind(
        ROLE_BINDING,
        role_binding.render,
        names.role_binding,
        before_deployment=True,
        available=lambda options: options.role_bindings,
    ),
    ChildKind(SERVICE, service.render, names.service),
    ChildKind(POD_DISRUPTION_BUDGET, pdb.render, names.pod_disruption_budget),
    ChildKind(AUTOSCALER, hpa.render, names.autoscaler),
    ChildKind(INGRESS, ingress.render, names.ingress),
    ChildKind(ROUTE, route.render, names.route, available=lambda options: options.routes),
)
"""All but the Deployment."""

RESOURCES: tuple[Resource, ...] = (DEPLOYMENT, *(kind.resource for kind in KINDS))
"""What is watched because a child of ours may be changed or deleted."""


def before_deployment(inputs: Inputs) -> Iterator[Child]:
    """What a resource asks for that has to be there before its Deployment."""
    return _wanted(inputs, before_deployment=True)


def after_deployment(inputs: Inputs) -> Iterator[Child]:
    """What it asks for besides."""
    return _wanted(inputs, before_deployment=False)


def _wanted(inputs: Inputs, *, before_deployment: bool) -> Iterator[Child]:
    for kind in _available(inputs):
        if kind.before_deployment is before_deployment and (child := kind.render(inputs)):
            yield child


def unwanted(inputs: Inputs) -> Iterator[ChildKind]:
    """The kinds of which an object that is there has to go."""
    for kind in _available(inputs):
        if not kind.retain and kind.render(inputs) is None:
            yield kind


def _available(inputs: Inputs) -> Iterator[ChildKind]:
    return (kind for kind in KINDS if kind.available(inputs.options))
