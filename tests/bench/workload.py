# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is created: the resources for the operator, and the same load without one for the floor.

The floor writes what the operator would: children as the operator's own code renders them, statuses
as it computes them, Events as it spells them. It must not be seen by the operator, which runs on
the same control plane: its custom resource is a twin, the same schema in another API group, and
its children carry another ``managed-by`` label of the same length.

Rendering takes longer than writing, so it is done once and the names are put into the bytes.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from api.crd import custom_resource_definition
from api.v1alpha2.reasons import Reason
from configs.distributions import Distributions
from configs.yaml_reader import load_all
from controller.llamastack.children import table
from controller.llamastack.objects.compare import stamped
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    FIELD_MANAGER,
    LLAMA_STACK,
    MANAGED_BY_VALUE,
    STATUS_FIELD_MANAGER,
)
from controller.llamastack.planning.plan import Plan, make_plan
from controller.llamastack.preview import preview
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.render.inputs import Options
from controller.llamastack.status.compute import compute
from controller.llamastack.status.facts import Facts
from hack.root import ROOT
from informers.ports import Object, Resource
from llamastack_operator.events import wire
from llamastack_operator.events.correlator import Series
from llamastack_operator.times import micro_time, utc_now
from tests.bench.baseline_client import JSON, Request

SAMPLE = ROOT / "deploy" / "samples" / "v1alpha2-simple.yaml"
TWIN = Resource("bench.llamastack.io", "v1alpha2", LLAMA_STACK.kind, LLAMA_STACK.plural)
POLICIES = Options(network_policies=True)
STORAGE_CLASS = "bench"
_EVERYTHING: dict[str, Any] = {
    "networking": {"expose": {"hostname": "llama.example.org"}},
    "workload": {
        "autoscaling": {"maxReplicas": 3},
        "storage": {
            "size": "1Gi",
            "storageClassName": STORAGE_CLASS,
            "accessModes": ["ReadWriteMany"],
        },
    },
}
"""What makes a resource have a child of each kind that one can have without another service."""

_OTHER_LABEL = MANAGED_BY_VALUE[::-1]
_MODEL_NAME = "llsd-00000"
_NUMBER = re.compile(r"llsd-(\d+)")
_MODEL_UID = "00000000-0000-0000-0000-00000000000a"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_FIRST = (CONFIG_MAP.kind, *(kind.resource.kind for kind in table.KINDS if kind.before_deployment))
_KINDS = {kind.kind: kind for kind in (*table.RESOURCES, CONFIG_MAP)}


def name_of(number: int) -> str:
    """Name of a resource; all are equally long."""
    return f"{_MODEL_NAME[:-5]}{number:05d}"


def number_of(name: str) -> int:
    """The number in a name, or in a path that has one."""
    found = _NUMBER.search(name)
    assert found is not None, name
    return int(found.group(1))


def is_available(deployment: Object) -> bool:
    """Whether one of its pods serves."""
    return bool((deployment.get("status") or {}).get("availableReplicas"))


def namespace(name: str) -> dict[str, Any]:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def secret(name: str) -> dict[str, Any]:
    """The Secret that a resource of the same name refers to."""
    manifest: dict[str, Any] = copy.deepcopy(_SAMPLES["Secret"])
    manifest["metadata"] = {"name": name}
    return manifest


def volume(number: int) -> dict[str, Any]:
    """A volume for one claim of any resource."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"bench-{number:05d}"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": "/bench"},
        },
    }


@dataclass(frozen=True, slots=True)
class Subject:
    """What a resource looks like.

    Attributes:
        everything: whether it asks for a child of each kind, or is the sample.
    """

    everything: bool = False

    def resource(self, name: str) -> dict[str, Any]:
        """The sample with a Secret of its own."""
        manifest: dict[str, Any] = copy.deepcopy(_SAMPLES[LLAMA_STACK.kind])
        manifest["metadata"] = {"name": name}
        manifest["spec"]["providers"]["inference"]["apiKey"]["secretKeyRef"]["name"] = name
        if self.everything:
            manifest["spec"] |= copy.deepcopy(_EVERYTHING)
        return manifest

    def twin(self, name: str) -> dict[str, Any]:
        """The same resource of the other API group."""
        return {**self.resource(name), "apiVersion": TWIN.api_version}

    def children(self) -> Counter[str]:
        """How many children of which kind it gets."""
        owner = self.resource(_MODEL_NAME)
        plan = make_plan(owner, Distributions.load())
        return Counter(child["kind"] for child in preview(owner, plan, self.options))

    @property
    def options(self) -> Options:
        """Of the operator that it is made for."""
        return POLICIES if self.everything else Options()


def twin_definition() -> dict[str, Any]:
    """The CRD of the twin."""
    document = custom_resource_definition()
    document["metadata"] = {"name": f"{TWIN.plural}.{TWIN.group}"}
    document["spec"]["group"] = TWIN.group
    names = document["spec"]["names"]
    document["spec"]["names"] = {"kind": names["kind"], "plural": names["plural"]}
    return dict(document)


_SAMPLES = {manifest["kind"]: manifest for manifest in load_all(SAMPLE.read_bytes())}


SIMPLE, EVERYTHING = Subject(), Subject(everything=True)


@dataclass(frozen=True, slots=True)
class Mix:
    """The writes beside the creation of children, on average for a resource."""

    statuses: float = 2.0
    events: float = 2.0

    def numbers(self, index: int) -> tuple[int, int]:
        """Statuses and Events of one resource, so that sums over all come out right."""
        return _share(self.statuses, index), _share(self.events, index)


def _share(mean: float, index: int) -> int:
    return int(mean * (index + 1) + 1e-6) - int(mean * index + 1e-6)


@dataclass(frozen=True, slots=True)
class Writes:
    """What is written for one resource, in the operator's order."""

    first: tuple[Request, ...]
    deployment: tuple[Request, ...]  # and what stands beside it
    statuses: tuple[Request, ...]
    events: tuple[Request, ...]


class Load:
    """Makes the writes of the floor.

    Args:
        namespace: where.
        mix: how many of what.
        subject: what the resources look like.
    """

    def __init__(self, namespace: str, mix: Mix, subject: Subject = SIMPLE) -> None:
        self._namespace = namespace
        self._mix = mix
        owner = {
            **subject.resource(_MODEL_NAME),
            "metadata": {
                "name": _MODEL_NAME,
                "namespace": namespace,
                "uid": _MODEL_UID,
                "generation": 1,
                "resourceVersion": "1",
            },
        }
        plan = make_plan(owner, Distributions.load())
        manifests = preview(owner, plan, subject.options)
        self._children = {m["kind"]: _child(m, namespace) for m in manifests}
        deployment = next(m for m in manifests if m["kind"] == "Deployment")
        self._statuses = tuple(
            _status_patch(owner, plan, _live(deployment, available=n)) for n in (0, 1)
        )
        self._events = tuple(_event(owner, number) for number in (0, 1))

    def writes(self, index: int, uid: str) -> Writes:
        """The writes for the twin with that uid."""
        name = name_of(index)
        statuses, events = self._mix.numbers(index)

        def named(request: Request) -> Request:
            body = request.body.replace(_MODEL_NAME.encode(), name.encode())
            return Request(
                request.method,
                request.path.replace(_MODEL_NAME, name),
                body.replace(_MODEL_UID.encode(), uid.encode()),
                request.content_type,
            )

        children = {kind: named(request) for kind, request in self._children.items()}
        first = tuple(children.pop(kind) for kind in _FIRST if kind in children)
        return Writes(
            first=first,
            deployment=(children.pop("Deployment"), *children.values()),
            statuses=tuple(named(self._statuses[number % 2]) for number in range(statuses)),
            events=tuple(_serial(named(self._events[n % 2]), n) for n in range(events)),
        )


def _child(manifest: dict[str, Any], namespace: str) -> Request:
    manifest = stamped(manifest)
    metadata = {
        **manifest["metadata"],
        "ownerReferences": [
            {
                "apiVersion": TWIN.api_version,
                "kind": TWIN.kind,
                "name": _MODEL_NAME,
                "uid": _MODEL_UID,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    body = orjson.dumps({**manifest, "metadata": metadata})
    path = _KINDS[manifest["kind"]].path(namespace=namespace)
    return Request(
        "POST",
        f"{path}?fieldManager={FIELD_MANAGER}",
        body.replace(MANAGED_BY_VALUE.encode(), _OTHER_LABEL.encode()),
    )


def _live(deployment: dict[str, Any], *, available: int) -> dict[str, Any]:
    """A Deployment as the controllers report on it."""
    status: dict[str, Any] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    if available:
        status |= {
            "readyReplicas": 1,
            "availableReplicas": 1,
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ],
        }
    metadata = {**deployment["metadata"], "generation": 1}
    return {**deployment, "metadata": metadata, "status": status}


def _status_patch(owner: Object, plan: Plan, deployment: Object) -> Request:
    facts = Facts(
        cr=owner,
        now=utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        generated=plan.generated,
        resolution=Resolution(Reason.SECRETS_RESOLVED, (), "0123456789abcdef"),
        deployment=deployment,
        config_map_name=f"{_MODEL_NAME}-config-01234567",
        service_url=f"http://{_MODEL_NAME}-service:8321",
    )
    metadata = owner["metadata"]
    manifest = {
        "apiVersion": TWIN.api_version,
        "kind": TWIN.kind,
        "metadata": {"name": _MODEL_NAME, "namespace": metadata["namespace"], "uid": _MODEL_UID},
        "status": compute(facts),
    }
    path = TWIN.path(namespace=metadata["namespace"], name=_MODEL_NAME, subresource="status")
    query = f"fieldManager={STATUS_FIELD_MANAGER}&force=true"
    return Request("PATCH", f"{path}?{query}", orjson.dumps(manifest), _APPLY)


def _event(owner: Object, number: int) -> Request:
    twin_of_owner = {**owner, "apiVersion": TWIN.api_version}
    notes = (
        f"Generated ConfigMap {_MODEL_NAME}-config-01234567: 16 providers and 1 resources",
        f"Updated the Deployment: image example.org/llama/distribution:1, {_MODEL_NAME}-config",
    )
    occurrence = wire.occurrence_of(
        twin_of_owner,
        type="Normal",
        reason=("ConfigGenerated", "DeploymentUpdated")[number],
        action=("GenerateConfig", "UpdateDeployment")[number],
        note=notes[number],
    )
    now = micro_time(utc_now())
    body = wire.new_event(
        Series(occurrence, now, now, count=1),
        f"{_MODEL_NAME}.SERIAL",
        controller="llamastack-operator",
        instance="bench",
    )
    path = wire.EVENTS.path(namespace=owner["metadata"]["namespace"])
    return Request("POST", path, orjson.dumps(body), JSON)


def _serial(request: Request, number: int) -> Request:
    body = request.body.replace(b"SERIAL", str(number).encode())
    return Request(request.method, request.path, body, request.content_type)
