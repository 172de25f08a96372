# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers: specs that ask for them, and pods that install them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from configs.external import containers
from configs.installs import Install, installs
from controller.llamastack.objects.installs import INPUT_VOLUME
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.render import configmap, deployment, names
from controller.llamastack.render.inputs import Inputs, Mounts, Options
from tests.support.config_specs import DISTRIBUTIONS, spec_of
from tests.support.rendering import resource

Json = dict[str, Any]

MERGE_IMAGE: Final = "registry.example/operator:1"
OPTIONS: Final = Options(merge_image=MERGE_IMAGE)
INPUT: Final = "demo-config-1"
"""ConfigMap that pods install from, unless a test says otherwise."""


def provider(identity: str = "one", **more: Any) -> Json:
    """An external provider as it is in a spec."""
    return {"providerId": identity, "image": f"registry.example/{identity}:1", **more}


TWO: Final[Json] = {"inference": [provider("one")], "vectorIo": [provider("two")]}
"""Two of them, in two sections."""


def wanted(**sections: Any) -> tuple[Install, ...]:
    """What a spec with these sections of external providers asks for."""
    return tuple(installs(spec_of({"externalProviders": sections})))


# --- rendering ------------------------------------------------------------------------------------


def inputs(external: Json | None, options: Options = OPTIONS, **spec: Any) -> Inputs:
    """Of the children of a resource with these external providers."""
    obj = resource(**spec, **({} if external is None else {"externalProviders": external}))
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.problem is None, plan.problem
    assert plan.cr is not None
    assert plan.generated is not None
    return Inputs(owner=obj, spec=plan.cr.spec, generated=plan.generated, options=options)


def named(found: Inputs) -> Mounts:
    """The one ConfigMap, under its name."""
    data, digest = content_of(found)
    name = names.config_map(found.name, digest) if data else ""
    return Mounts(config_map_name=name, installs_name=name if found.installs else "")


def rendered(found: Inputs, mounts: Mounts | None = None) -> Json:
    """The Deployment of a resource."""
    return deployment.render(found, mounts or named(found)).manifest


def pod_of(external: Json | None, options: Options = OPTIONS, **spec: Any) -> Json:
    """The spec of its pods."""
    result: Json = rendered(inputs(external, options, **spec))["spec"]["template"]["spec"]
    return result


def with_merge_image(found: Inputs, image: str) -> Inputs:
    """The same resource and an operator out of another image."""
    return replace(found, options=replace(found.options, merge_image=image))


# --- pods -----------------------------------------------------------------------------------------

RUNNING: Final[Json] = {"state": {"running": {}}}
DONE: Final[Json] = {"state": {"terminated": {"exitCode": 0}}}


def waiting(reason: str, message: str = "", **more: Any) -> Json:
    """A container that waits."""
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


def ended(code: int = 1, message: str = "", **more: Any) -> Json:
    """A container that ended."""
    return {"state": {"terminated": {"exitCode": code, "message": message, **more}}}


def crash_loop(code: int = 1, message: str = "", **more: Any) -> Json:
    """One that ended, and will be started again."""
    last = {"terminated": {"exitCode": code, "message": message, **more}}
    return waiting("CrashLoopBackOff", "back-off 10s", lastState=last)


def init(name: str, state: Json) -> Json:
    """The status of an init container."""
    return {"name": name, "image": f"registry.example/{name}:1", **state}


def _installs(provider_id: str) -> Json:
    """What the spec of a pod says of an init container."""
    name = containers.install(provider_id)
    image = f"registry.example/{name}:1"
    told = {"PROVIDER_ID": provider_id, "PROVIDER_IMAGE": image}
    env = [{"name": key, "value": value} for key, value in told.items()]
    return {"name": name, "image": image, "env": env}


def pod(
    states: Mapping[str, Json],
    *,
    name: str = "demo-abc-1",
    source: str = INPUT,
    template: str = "abc",
    created: str = "2026-01-01T00:00:00Z",
    **status: Any,
) -> Json:
    """A pod of the resource ``demo`` that installs.

    Args:
        states: provider id, ``merge-config`` or ``preflight`` → state of its container.
        name: of the pod.
        source: ConfigMap that it installs from; empty for a pod that installs nothing.
        template: hash of its template.
        created: when.
        status: the rest of its status.
    """
    shared = {containers.MERGE, containers.PREFLIGHT}
    statuses = [
        init(each if each in shared else containers.install(each), state)
        for each, state in states.items()
    ]
    volume = {"name": INPUT_VOLUME, "configMap": {"name": source}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": f"uid-of-{name}",
            "resourceVersion": "5",
            "creationTimestamp": created,
            "labels": {
                "app": "llama-stack",
                "app.kubernetes.io/instance": "demo",
                "pod-template-hash": template,
            },
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": f"demo-{template}", "uid": "r", "controller": True}
            ],
        },
        "spec": {
            "volumes": [volume] if source else [],
            "initContainers": [_installs(each) for each in states if each not in shared],
        },
        "status": {"phase": "Pending", "initContainerStatuses": statuses, **status},
    }


def content_of(inputs: Inputs) -> tuple[dict[str, str], str]:
    """What the only ConfigMap of a resource holds, and the hash; nothing if there is none."""
    found = list(configmap.contents(inputs).values())
    assert len(found) <= 1
    return (dict(found[0].data), found[0].digest) if found else ({}, "")
