# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What one reconcile found and did, in the terms of the status. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.llamastack.external_providers.progress import assess_installs, waiting_installs
from controller.llamastack.objects.installs import input_of
from controller.llamastack.objects.kinds import PERSISTENT_VOLUME_CLAIM
from controller.llamastack.planning.asked_installs import NOT_TOLD, AskedInstalls
from controller.llamastack.server.status import OperatorFacts
from controller.llamastack.status.claim import Volume
from controller.llamastack.status.endpoints import UNKNOWN

if TYPE_CHECKING:
    from configs.engine import Generated
    from controller.llamastack.cache.observed import Observed
    from controller.llamastack.external_providers.progress import Progress
    from controller.llamastack.objects.problem import Problem
    from controller.llamastack.planning.image_configs import Postpone
    from controller.llamastack.planning.plan import Plan
    from controller.llamastack.references.configuration import Configuration
    from controller.llamastack.references.resolution import Resolution
    from controller.llamastack.server.probe_port import ServerReport
    from controller.llamastack.status.endpoints import Endpoints
    from controller.llamastack.status.outcome import Outcome
    from informers.ports import Object


@dataclass(frozen=True, slots=True)
class Facts:
    """What one reconcile found and did; the status is computed from it.

    Attributes:
        cr: the resource as it was read at the start of the reconcile.
        now: RFC 3339, for transitions.
        generated: the configuration, unless that failed.
        config_problem: why there is none.
        config_postponed: why there is none yet.
        config_note: what should be known of the one there is.
        override_text: what is to be said of the user's own configuration; empty if there is none,
            or if nothing changed since something was said of it.
        resolution: of Secrets and ConfigMaps, if they were looked at.
        update_problem: why the children are not as they should be.
        deployment: the live Deployment after the reconcile, or ``None``.
        pods: those of its pods that are in trouble.
        leaving: those of its pods that were deleted and are still there.
        volume: what is known of the data volume; ``None`` if the spec cannot be read.
        config_map_name: of the ConfigMap with the configuration; empty without one.
        service_url: of the server inside the cluster; empty while there is no Service.
        service_problem: why that does not lead to the server; empty if it does.
        route_url: from outside; empty while there is none, ``None`` if it was not looked at.
        network_note: what should be known of who may connect.
        server_report: what the server said of itself; ``None`` if this reconcile knows nothing.
        operator_facts: what the operator knows by itself.
        installs: the external providers that the spec asks for.
        install_progress: how far they are; ``None`` without any, or where no pod is to install what
            the spec asks for.
        install_note: what should be known of how they are installed; empty without.
    """

    cr: Object
    now: str
    generated: Generated | None = None
    config_problem: Problem | None = None
    config_postponed: Postpone | None = None
    config_note: str = ""
    override_text: str = ""
    resolution: Resolution | None = None
    update_problem: Problem | None = None
    deployment: Object | None = None
    pods: tuple[Object, ...] = ()
    leaving: tuple[Object, ...] = ()
    volume: Volume | None = None
    config_map_name: str = ""
    service_url: str = ""
    service_problem: str = ""
    route_url: str | None = None
    network_note: str = ""
    server_report: ServerReport | None = None
    operator_facts: OperatorFacts = field(default_factory=OperatorFacts)
    installs: AskedInstalls = NOT_TOLD
    install_progress: Progress | None = None
    install_note: str = ""

    @property
    def generation(self) -> int:
        """Of the spec that this reconcile looked at (G8)."""
        return int(self.cr["metadata"].get("generation", 0))

    @property
    def deleting(self) -> bool:
        """Whether the resource is being deleted."""
        return bool(self.cr["metadata"].get("deletionTimestamp"))


def facts_of(
    observed: Observed,
    plan: Plan,
    references: Resolution | None,
    configuration: Configuration,
    outcome: Outcome,
    *,
    operator_facts: OperatorFacts,
    endpoints: Endpoints = UNKNOWN,
    server_report: ServerReport | None = None,
    install_note: str = "",
) -> Facts:
    """Everything that the steps of a reconcile came to.

    Args:
        observed: the resource and its own objects, before.
        plan: what the spec asks for.
        references: what it refers to; ``None`` if that was not looked at.
        configuration: what the server is to run with.
        outcome: of the writes; of none, if there was nothing to write from.
        operator_facts: what the operator knows by itself.
        endpoints: how the server is reached.
        server_report: what the server said of itself.
        install_note: what should be known of how external providers are installed.
    """
    return Facts(
        cr=observed.cr,
        now=observed.now,
        generated=configuration.generated,
        config_problem=configuration.problem,
        config_postponed=plan.postponed,
        config_note=plan.note,
        override_text=configuration.text,
        resolution=references,
        update_problem=outcome.problem,
        deployment=outcome.deployment,
        pods=observed.pods,
        leaving=observed.leaving,
        volume=outcome.volume or _volume(observed, plan, outcome.problem),
        config_map_name=outcome.config_map_name,
        service_url=endpoints.service_url,
        service_problem=endpoints.service_problem,
        route_url=endpoints.route_url,
        network_note=endpoints.network_note,
        server_report=server_report,
        operator_facts=operator_facts,
        installs=plan.installs,
        install_progress=_install_progress(observed, plan, outcome),
        install_note=install_note,
    )


def _install_progress(observed: Observed, plan: Plan, outcome: Outcome) -> Progress | None:
    wanted = plan.installs.readable
    source = outcome.installs_name
    if plan.postponed is not None and plan.postponed.settled and observed.deployment is not None:
        source = input_of(observed.deployment["spec"]["template"])  # it is of this very spec
    if not wanted or not source:
        return None
    return assess_installs(wanted, source, observed.installing) or waiting_installs(wanted)


def facts_of_deletion(observed: Observed, operator_facts: OperatorFacts) -> Facts:
    """Of a resource that is being deleted nothing is asked any more."""
    return Facts(
        cr=observed.cr,
        now=observed.now,
        deployment=observed.deployment,
        pods=observed.pods,
        leaving=observed.leaving,
        operator_facts=operator_facts,
    )


def _volume(observed: Observed, plan: Plan, problem: Problem | None) -> Volume | None:
    """What is known of the volume after a reconcile that did not get to the end."""
    if plan.cr is None:
        return None
    volume = Volume(plan.cr.spec.workload.storage, observed.claim)
    if problem is None or problem.kind != PERSISTENT_VOLUME_CLAIM.kind:
        return volume
    return replace(volume, failure=problem.message)
