# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Programs of calls about objects of one kind, as Hypothesis draws them.

Few names, few managers, few values: so that calls meet.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

from api.v1alpha2.reasons import ConditionType
from controller.llamastack.children.managed_fields import ownership_patch
from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    FIELD_MANAGER,
    INGRESS,
    LLAMA_STACK,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from controller.llamastack.render.manifest import Child
from informers.ports import Resource
from tests.support.fakeapi.objects import copied
from tests.support.fakeapi.patches import merge_patched
from tests.support.lockstep import Step, Which

Json: TypeAlias = dict[str, Any]

_NAMES: Final = st.sampled_from(["a", "a", "a", "a", "b"])
_MANAGERS: Final = st.sampled_from(["one", "two", FIELD_MANAGER])
_WHICH: Final[st.SearchStrategy[Which]] = st.sampled_from(
    ["none", "none", "none", "last", "last", "first", "wrong"]
)
_SELDOM: Final[st.SearchStrategy[Which]] = st.sampled_from(
    ["none", "none", "none", "none", "none", "last"]
)
_UID: Final[st.SearchStrategy[Which]] = st.sampled_from(["last", "last", "last", "first", "wrong"])
_OWNERS: Final = [
    {"apiVersion": "v1", "kind": "ConfigMap", "name": f"owner-{n}", "uid": f"0000000{n}-aaaa"}
    for n in (1, 2)
]


def _some(values: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    """Some entries of a mapping; each value is one of its own list."""
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(choices) for name, choices in values.items()}
    )


def _sometimes(name: str, content: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.one_of(st.just({}), content.map(lambda value: {name: value} if value else {}))


def _join(*parts: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.tuples(*parts).map(lambda found: {k: v for part in found for k, v in part.items()})


def _subset(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(range(len(values))), unique=True).map(
        lambda picked: [values[n] for n in picked]
    )


_METADATA: Final = _join(
    _sometimes("labels", _some({"x": ["1", "2"], "y": ["1", "2"]})),
    _sometimes("annotations", _some({"x": ["1", "2"], "y": ["1"]})),
    _sometimes("finalizers", _subset(["test.io/a", "test.io/b"])),
    _sometimes("ownerReferences", _subset(_OWNERS)),
)


def _encoded(*texts: str) -> list[str]:
    return [base64.b64encode(text.encode()).decode() for text in texts]


_CONFIG_MAP: Final = _join(
    _sometimes("data", _some({"a": ["1", "2"], "b": ["1", "2"], "c": ["1"]})),
    st.sampled_from([{}, {}, {}, {"immutable": True}]),
)
_SECRET: Final = _join(
    _sometimes("data", _some({"a": _encoded("1", "2"), "b": _encoded("1"), "c": _encoded("2")})),
    st.sampled_from([{}, {}, {"type": "Opaque"}, {"type": "test/other"}]),
)


def _port(number: int, *protocols: str) -> st.SearchStrategy[Json]:
    return st.builds(
        lambda target, protocol: {
            "name": f"p{number}-{protocol.lower()}",
            "port": number,
            "targetPort": target,
            "protocol": protocol,
        },
        st.sampled_from([1000, 2000]),
        st.sampled_from(protocols),
    )


_SERVICE: Final = st.builds(
    lambda ports, selector: {"spec": {"ports": ports, **selector}},
    st.one_of(
        st.tuples(_port(80, "TCP")),
        st.tuples(_port(80, "TCP"), _port(81, "TCP", "UDP")),
        st.tuples(_port(82, "TCP"), _port(80, "TCP")),
    ).map(list),
    _sometimes("selector", _some({"x": ["1", "2"], "y": ["1"]})),
)


def _container(name: str) -> st.SearchStrategy[Json]:
    variable = st.sampled_from(
        [
            {"name": "A", "value": "1"},
            {"name": "A", "value": "2"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "C", "value": "3"},
        ]
    )
    return _join(
        st.just({"name": name, "imagePullPolicy": "Always"}),
        _some({"image": ["i:1", "i:2"]}).map(lambda found: {"image": "i:0", **found}),
        _sometimes("env", st.lists(variable, unique_by=lambda found: found["name"])),
        _sometimes("ports", _subset([{"containerPort": 1, "protocol": "TCP"},
                                     {"containerPort": 2, "protocol": "TCP"}])),
        _sometimes("args", st.sampled_from([["a"], ["a", "b"]])),
        _sometimes("volumeMounts", _subset([{"name": "v", "mountPath": "/1"},
                                            {"name": "v", "mountPath": "/2"}])),
        _sometimes("resources", st.sampled_from([{"limits": {"cpu": "1"}},
                                                 {"requests": {"cpu": "1"}},
                                                 {"limits": {"memory": "1Gi"}}])),
    )  # fmt: skip


def _deployment(containers: list[Json], volumes: list[Json], more: Json, template: Json) -> Json:
    labels = {"app": "x", **template.pop("labels", {})}
    pod = {"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}, *volumes]}
    return {
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {**template, "labels": labels}, "spec": pod},
            **more,
        }
    }


_DEPLOYMENT: Final = st.builds(
    _deployment,
    st.one_of(
        st.tuples(_container("main")),
        st.tuples(_container("main"), _container("side")),
        st.tuples(_container("side"), _container("main")),
    ).map(list),
    _subset([{"name": "w", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c"}}]),
    _some({"replicas": [1, 2], "revisionHistoryLimit": [5], "minReadySeconds": [1, 2]}),
    _some({"labels": [{"x": "1"}, {"y": "1"}], "annotations": [{"x": "1"}, {"x": "2"}]}),
)


def _condition(kind: str) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {
            "type": st.just(kind),
            "status": st.sampled_from(["True", "False"]),
            "reason": st.just("Test"),
            "message": st.sampled_from(["one", "two"]),
            "lastTransitionTime": st.just("2026-01-01T00:00:00Z"),
        }
    )


_STATUS: Final = _join(
    _some({"phase": ["Ready", "Failed"], "observedGeneration": [1, 2], "serviceURL": ["a"]}),
    _sometimes("version", _some({"operatorVersion": ["1", "2"], "llamaStackServerVersion": ["3"]})),
    _sometimes("configGeneration", _some({"models": [["a"], ["a", "b"]], "era": ["x"]})),
    _sometimes(
        "conditions",
        st.lists(
            st.sampled_from([ConditionType.READY, ConditionType.SECRETS_RESOLVED]).flatmap(
                lambda kind: _condition(str(kind))
            ),
            unique_by=lambda found: found["type"],
        ),
    ),
)
_SPEC: Final = st.builds(
    lambda workload, disabled: {
        "spec": {"distribution": {"name": "starter"}, **workload, **disabled}
    },
    _sometimes("workload", _some({"replicas": [1, 2], "workers": [1]})),
    _some({"disabled": [["eval"], ["eval", "scoring"]]}),
)
# No status: whether an apply of one that is ignored moves the version depends on the second.

_CONTENT: Final[Mapping[Resource, st.SearchStrategy[Json]]] = {
    CONFIG_MAP: _CONFIG_MAP,
    SECRET: _SECRET,
    SERVICE: _SERVICE,
    DEPLOYMENT: _DEPLOYMENT,
    LLAMA_STACK: _SPEC,
}
KINDS: Final = tuple(_CONTENT)
EXACT: Final = frozenset({CONFIG_MAP, SECRET, LLAMA_STACK})
"""Kinds in which the API server fills in nothing that the one in memory does not."""


def manifests(resource: Resource) -> st.SearchStrategy[Json]:
    """Manifests without kind and name."""
    return st.builds(
        lambda content, metadata: {**content, **({"metadata": metadata} if metadata else {})},
        _CONTENT[resource],
        st.one_of(st.just({}), _METADATA),
    )


_TWICE: Final = {"name": "A", "value": "1"}
_MALFORMED: Final[Mapping[Resource, list[Json]]] = {
    DEPLOYMENT: [
        _deployment([{"name": "main", "image": "i", "env": [_TWICE, _TWICE]}], [], {}, {}),
        _deployment([{"name": "main", "image": "i", "ports": [{"name": "x"}]}], [], {}, {}),
    ],
    SERVICE: [{"spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}}],
    LLAMA_STACK: [
        {"metadata": {"finalizers": ["test.io/a", "test.io/a"]}},
        {"metadata": {"finalizers": ["test.io/a", "test.io/b", "test.io/a"]}},
    ],
}


def _guarded(*operations: Json) -> Callable[[Json], list[Json]]:
    def made(live: Json) -> list[Json]:
        version = live["metadata"]["resourceVersion"]
        return [{"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                *operations]  # fmt: skip

    return made


def _migration(live: Json) -> list[Json]:
    return ownership_patch(live, cr_name="two")


_LABELS: Final = {"op": "add", "path": "/metadata/labels", "value": {"x": "3"}}
_PATCHES: Final[list[Any]] = [
    [_LABELS],
    [{"op": "add", "path": "/metadata/labels/x", "value": "4"}],
    [{"op": "remove", "path": "/metadata/labels/x"}],
    [{"op": "replace", "path": "/metadata/annotations/x", "value": "5"}],
    [{"op": "test", "path": "/metadata/labels/x", "value": "3"}, _LABELS],
    [{"op": "replace", "path": "/metadata/resourceVersion", "value": "3"}, _LABELS],
    [{"op": "replace", "path": "/metadata/finalizers", "value": []}],
    [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}],
    _guarded(_LABELS),
    _guarded({"op": "remove", "path": "/metadata/finalizers"}),
    _migration,
]


def steps(resource: Resource) -> st.SearchStrategy[Step]:
    """One call."""
    body = manifests(resource)
    apply = st.builds(
        Step, st.just("apply"), _NAMES, body, _MANAGERS, _WHICH, _WHICH,
        st.sampled_from([True, True, True, False]),
    )  # fmt: skip
    choices = [
        apply,
        apply,
        apply,
        st.builds(Step, st.just("create"), _NAMES, body, _MANAGERS, version=_SELDOM),
        st.builds(Step, st.just("json-patch"), _NAMES, st.sampled_from(_PATCHES), _MANAGERS),
        st.builds(
            Step,
            st.just("merge-patch"),
            _NAMES,
            _METADATA.map(lambda metadata: {"metadata": metadata}),
            _MANAGERS,
        ),
        st.builds(Step, st.just("delete"), _NAMES, uid=_UID, version=_WHICH),
        st.builds(Step, st.just("get"), _NAMES),
        st.builds(Step, st.just("list"), labels=st.sampled_from(["", "x=1", "x!=1", "x", "!x"])),
    ]
    if resource in {CONFIG_MAP, SECRET}:
        choices.append(st.builds(Step, st.just("replace"), _NAMES, body, _MANAGERS, version=_WHICH))
    if malformed := _MALFORMED.get(resource):
        choices.append(st.builds(Step, st.just("apply"), _NAMES, st.sampled_from(malformed)))
    if resource == LLAMA_STACK:
        status = st.builds(
            Step,
            st.just("apply"),
            _NAMES,
            _STATUS.map(lambda found: {"status": found}),
            _MANAGERS,
            _WHICH,
            subresource=st.just("status"),
        )
        nameless = Step("apply", "a", {"status": {"conditions": [{"status": "True"}]}})
        choices += [status, status, status, st.just(replace(nameless, subresource="status"))]
    return st.one_of(choices)


def programs(resource: Resource) -> st.SearchStrategy[list[Step]]:
    """Calls, one after the other; the first two leave something for the others."""
    body = manifests(resource)
    first = st.builds(Step, st.sampled_from(["create", "apply"]), st.just("a"), body, _MANAGERS)
    rest = st.lists(steps(resource), min_size=5, max_size=25)
    return st.tuples(first, steps(resource), rest).map(lambda found: [*found[:2], *found[2]])


def final(resource: Resource) -> Json:
    """Content of an object that the API server accepts."""
    pod = {"containers": [{"name": "x", "image": "x"}]}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod}
    contents: Mapping[Resource, Json] = {
        SERVICE: {"spec": {"ports": [{"port": 1}]}},
        DEPLOYMENT: {"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}},
        LLAMA_STACK: {"spec": {"distribution": {"name": "starter"}}},
    }
    return contents.get(resource, {})


_CHANGES: Final[Mapping[Resource, Json]] = {
    SERVICE: {"spec": {"type": "NodePort"}},
    POD_DISRUPTION_BUDGET: {"spec": {"maxUnavailable": 2}},
    AUTOSCALER: {"spec": {"maxReplicas": 7}},
    INGRESS: {"spec": {"ingressClassName": "other"}},
    NETWORK_POLICY: {"spec": {"policyTypes": ["Ingress", "Egress"]}},
    DEPLOYMENT: {"spec": {"minReadySeconds": 7}},
    PERSISTENT_VOLUME_CLAIM: {"spec": {"resources": {"requests": {"storage": "77Gi"}}}},
    ROLE_BINDING: {"roleRef": {"name": "other"}},
    SERVICE_ACCOUNT: {"automountServiceAccountToken": False},
}


def edits(child: Child) -> list[Step]:
    """How a child of ours is created, edited and left alone."""
    manifest = copied(child.manifest)
    del manifest["metadata"]["name"]
    labelled = merge_patched(manifest, {"metadata": {"labels": {"x": "1"}}})
    annotated = merge_patched(manifest, {"metadata": {"annotations": {"y": "1"}}})
    changed = merge_patched(manifest, _CHANGES[child.resource])
    bodies = [manifest, manifest, labelled, annotated, changed, changed, manifest]
    made = Step("create", "a", manifest, FIELD_MANAGER)
    migration = Step("json-patch", "a", _migration, FIELD_MANAGER)
    return [made, migration, *(Step("apply", "a", body, FIELD_MANAGER, "last") for body in bodies)]
