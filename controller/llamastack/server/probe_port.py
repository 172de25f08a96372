# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What running servers say of themselves, as the reconciler asks for it: without ever waiting.

Only a running server knows its version and which providers it ended up with. It may be slow,
silent or wrong, so a reconcile never talks to it (the Go operator did, in its only worker: thirty
dead servers stopped all others for five minutes). A reconcile says which server there is, and gets
at once the last report, if there is one; when the report changes the resource is queued again.

A report belongs to one pod template (``template``): with another one it is another server, and
nothing of the report holds any more. And a server is asked again only on an occasion
(``occasion``): a rollout ended, pods went or came. Nothing is asked periodically, so an idle
cluster stays idle. Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import orjson

from api.conditions import condition
from controller.llamastack.objects.rollout import RolloutState, assess
from controller.llamastack.render import names
from informers.ports import ObjectKey, key_of

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs
    from informers.ports import Object

_HASH = 10  # hexadecimal digits; it only has to differ from the one before


@dataclass(frozen=True, slots=True)
class ReportedProvider:
    """A provider as a server lists it; never with its configuration, which may hold secrets.

    Attributes:
        api: name of the API.
        id: of the provider.
        type: e.g. ``remote::vllm``.
        health: the server's word; empty if it says none.
        message: the server's explanation, if it cannot hold a secret; else empty.
    """

    api: str
    id: str
    type: str
    health: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a server said.

    Attributes:
        version: of the server; empty if it did not say.
        providers: sorted; None if it did not say.
        problem: why something is missing, for people; empty if nothing is.
    """

    version: str = ""
    providers: tuple[ReportedProvider, ...] | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to ask.

    Attributes:
        uid: of the resource.
        key: of the resource; queued again when the report changes.
        service: name of the Service in front of it, in the resource's namespace.
        address: cluster IP of that Service: no name has to be resolved.
        port: of that Service.
        scheme: ``http`` or ``https``.
        template: names the pod template that runs.
        occasion: another one than before is a reason to ask again.
    """

    uid: str
    key: ObjectKey
    service: str
    address: str
    port: int
    scheme: str
    template: str
    occasion: str


class ServerProber(Protocol):
    """Asks servers in the background, and knows their last reports."""

    def look(self, server: Server, *, ready: bool, known: bool) -> ServerReport | None:
        """The last report of this server; never waits.

        Args:
            server: as it is now.
            ready: whether all of its pods are there, with this template: only then it is asked.
            known: whether the status has everything already, so that a new leader, or an operator
                that was started again, need not ask.
        """
        ...

    def awaited_s(self, uid: str) -> float:
        """How many seconds more its first answer is worth waiting for; 0 if none is expected."""
        ...

    def forget(self, uid: str) -> None:
        """The resource is gone."""
        ...


class NoProber:
    """For where servers are not to be asked."""

    def look(self, server: Server, *, ready: bool, known: bool) -> ServerReport | None:
        """See ``ServerProber.look``."""
        return None

    def awaited_s(self, uid: str) -> float:
        """See ``ServerProber.awaited_s``."""
        return 0.0

    def forget(self, uid: str) -> None:
        """See ``ServerProber.forget``."""


def template_of(deployment: Object | None) -> str:
    """A name for the pod template of a live Deployment; empty without one.

    With the defaults that the API server filled in: if a new release of Kubernetes fills in more,
    servers are asked once more.
    """
    if deployment is None:
        return ""
    text = orjson.dumps(deployment["spec"].get("template"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:_HASH]


def runs_none(deployment: Object) -> bool:
    """Whether no replica is wanted."""
    return bool(deployment["spec"].get("replicas", 1) == 0)


def server_of(inputs: Inputs, deployment: Object, service: Object | None) -> Server | None:
    """The server of a resource; None while it has no address.

    Args:
        inputs: of this reconcile.
        deployment: live.
        service: live, as cached.
    """
    address = ((service or {}).get("spec") or {}).get("clusterIP") or ""
    if not address or address == "None":
        return None
    template = template_of(deployment)
    return Server(
        uid=inputs.owner["metadata"]["uid"],
        key=key_of(inputs.owner),
        service=names.service(inputs.name),
        address=address,
        port=inputs.port,
        scheme=inputs.scheme,
        template=template,
        occasion=_occasion(deployment, template),
    )


def is_ready(deployment: Object) -> bool:
    """Whether every pod that is wanted serves with the current template, and there is one."""
    return not runs_none(deployment) and assess(deployment).state is RolloutState.COMPLETE


def _occasion(deployment: Object, template: str) -> str:
    """Moves when pods of the same template go and come, too: they may run a moved image tag."""
    status = deployment.get("status") or {}
    available = condition(deployment, "Available").get("lastTransitionTime", "")
    parts = (
        deployment["metadata"].get("uid", ""),
        template,
        str(status.get("availableReplicas") or 0),
        str(available),
    )
    return "/".join(parts)
