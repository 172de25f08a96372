# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a pod ends, so that nobody who asks it meanwhile is turned away.

When a pod is deleted, its server gets SIGTERM at the moment at which the pod is removed from the
endpoints of its Service. A Llama Stack server closes its port at once; kube-proxy, ingress
controllers and service meshes notice some tenths of a second later, seconds on a busy cluster, and
send requests until then: one in a few hundred was refused in each roll of a real server. So the pod
waits before SIGTERM, and serves while it waits.

It waits by ``preStop.sleep`` (KEP-3960), which needs no program in the image. It is there from
Kubernetes 1.30 on, like the admission policies.
"""

from __future__ import annotations

from typing import Any

GRACE_PERIOD_S = 30
"""The API's default; without requests the server is down half a second after SIGTERM."""

DRAIN_S = 5
"""Between the end of an endpoint and SIGTERM; part of the grace period."""


def grace_period(given: int | None) -> int:
    """Seconds between the deletion of a pod and SIGKILL.

    Args:
        given: by the user, in ``workload.overrides.terminationGracePeriodSeconds``.
    """
    return GRACE_PERIOD_S if given is None else given


def lifecycle(given: int | None) -> dict[str, Any]:
    """The container's ``lifecycle``, or nothing.

    A short grace period is halved, because what the hook uses up the server lacks for its requests;
    whoever gives it none at all wants the pod gone.

    Args:
        given: see ``grace_period``.
    """
    seconds = min(DRAIN_S, grace_period(given) // 2)
    return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}} if seconds else {}
