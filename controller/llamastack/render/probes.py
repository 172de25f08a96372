# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Startup, readiness and liveness probes.

``/v1/health`` says that the process is up and serves HTTP, nothing more: it answers 200 with every
backend dead. That is what a probe of this container should ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.render.user import plain

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs

STARTUP_BUDGET_S = 300  # providers are initialised, and models listed, before the port opens
_STARTUP_PERIOD_S = 5
_WAYS = frozenset({"httpGet", "exec", "tcpSocket", "grpc"})


def probes(inputs: Inputs) -> dict[str, Any]:
    """The three probes, with the user's fields in place of ours.

    Another way to probe replaces ours: Kubernetes takes one, and none without any.
    """
    get = {"path": "/v1/health", "port": inputs.port, "scheme": inputs.scheme.upper()}
    failures = STARTUP_BUDGET_S // _STARTUP_PERIOD_S
    ours = {
        "startupProbe": _probe(get, period=_STARTUP_PERIOD_S, failures=failures, timeout=5),
        "readinessProbe": _probe(get, period=10, failures=3, timeout=5),
        # Slower than readiness: a busy server is out of service long before it is killed.
        "livenessProbe": _probe(get, period=30, failures=5, timeout=10),
    }
    overrides = inputs.spec.workload.overrides
    given = {
        "startupProbe": overrides.startup_probe,
        "readinessProbe": overrides.readiness_probe,
        "livenessProbe": overrides.liveness_probe,
    }
    for name, probe in given.items():
        if probe is None:
            continue
        wanted = plain(probe)
        if _WAYS & wanted.keys():
            del ours[name]["httpGet"]
        ours[name] |= wanted
    return ours


def _probe(get: dict[str, Any], *, period: int, failures: int, timeout: int) -> dict[str, Any]:
    return {
        "httpGet": get,
        "initialDelaySeconds": 0,
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "successThreshold": 1,
        "failureThreshold": failures,
    }
