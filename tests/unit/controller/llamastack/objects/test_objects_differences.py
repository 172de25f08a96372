# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What differs is found, and what an apply cannot put right is told from the rest."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.llamastack.objects.differences import Difference, differences, patch_of

Json = dict[str, Any]


def deployment(container: Json | None = None, **spec: Any) -> Json:
    pod = {"containers": [{"name": "ours", "image": "i", **(container or {})}]}
    return {"kind": "Deployment", "spec": {"template": {"spec": pod}, **spec}}


def service(*ports: Json, **selector: str) -> Json:
    return {"kind": "Service", "spec": {"ports": list(ports), "selector": selector}}


def port(number: int, name: str = "http") -> Json:
    return {"name": name, "protocol": "TCP", "port": number, "targetPort": 8321}


HTTP = {"httpGet": {"path": "/", "port": 1, "scheme": "HTTP"}}
CONTAINER = ("spec", "template", "spec", "containers", 0)


def removal(*path: str | int) -> Difference:
    return Difference(path, removed=True, in_the_way=True)


@pytest.mark.parametrize(
    ("ours", "theirs", "path"),
    [
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            {"env": [{"name": "A", "value": "debug"}]},
            ("env", 0, "value"),
        ),
        (
            {"env": [{"name": "A", "value": ""}]},
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]},
            ("env", 0, "valueFrom"),
        ),
        (
            {"readinessProbe": HTTP},
            {"readinessProbe": {"tcpSocket": {"port": 1}}},
            ("readinessProbe", "tcpSocket"),
        ),
        (
            {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}},
            {"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}},
            ("lifecycle", "preStop", "exec"),
        ),
        ({}, {"command": ["sleep"]}, ("command",)),
        ({}, {"args": ["-v"]}, ("args",)),
        ({}, {"workingDir": "/x"}, ("workingDir",)),
        ({}, {"ports": [{"containerPort": 1}]}, ("ports",)),
    ],
)
def test_what_excludes_ours_or_is_ours_even_when_empty_is_in_the_way(
    ours: Json, theirs: Json, path: tuple[str | int, ...]
) -> None:
    found = differences(deployment(ours), deployment({**ours, **theirs}))

    assert removal(*CONTAINER, *path) in found
    assert [one for one in found if one.in_the_way] == [removal(*CONTAINER, *path)]


@pytest.mark.parametrize(
    "theirs",
    [
        {"envFrom": [{"configMapRef": {"name": "x"}}]},
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"env": [{"name": "A", "value": "1"}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        {"terminationMessagePath": "/x"},
    ],
)
def test_what_others_may_add_to_our_container_is_no_difference(theirs: Json) -> None:
    assert differences(deployment(), deployment(theirs)) == []


def test_containers_volumes_and_everything_in_them_are_free_for_others() -> None:
    live = deployment()
    pod = live["spec"]["template"]["spec"]
    pod["containers"].insert(0, {"name": "sidecar", "command": ["x"], "ports": [{"name": "p"}]})
    pod["initContainers"] = [{"name": "init", "args": ["x"]}]
    pod["volumes"] = [{"name": "theirs", "hostPath": {"path": "/x"}}]
    live["metadata"] = {"annotations": {"a": "b"}}

    assert differences(deployment(), live) == []


def test_port_of_our_name_under_another_number_becomes_ours_and_others_stay() -> None:
    theirs = port(9090, "metrics")

    found = differences(service(port(8321)), service(theirs, port(80)))

    assert found == [Difference(("spec", "ports", 1), port(8321), in_the_way=True)]
    assert differences(service(port(8321)), service(theirs)) == [
        Difference(("spec", "ports", "-"), port(8321))
    ]


def test_our_name_on_another_port_goes_also_where_ours_is_there_under_another_name() -> None:
    live = service(port(8321, "theirs"), port(80))

    assert differences(service(port(8321)), live) == [
        Difference(("spec", "ports", 0, "name"), "http"),
        removal("spec", "ports", 1),
    ]


def test_port_more_of_our_container_goes() -> None:
    ours = {"ports": [{"containerPort": 8321, "protocol": "TCP"}]}
    theirs = {"ports": [{"containerPort": 1, "protocol": "TCP"}, *ours["ports"]]}

    assert differences(deployment(ours), deployment(theirs)) == [removal(*CONTAINER, "ports", 0)]


@pytest.mark.parametrize("value", ["bar", ""])
def test_atomic_map_is_compared_whole(value: str) -> None:
    found = differences(service(app="a"), service(app="a", foo=value))

    assert found == [Difference(("spec", "selector"), {"app": "a"})]


def test_default_of_the_server_inside_of_one_value_is_no_difference() -> None:
    source = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    stored = {"fieldRef": {**source["fieldRef"], "apiVersion": "v1"}}
    other = {"fieldRef": {**source["fieldRef"], "apiVersion": "v2"}}

    def wanted(value: Json) -> Json:
        return deployment({"env": [{"name": "A", "valueFrom": value}]})

    assert differences(wanted(source), wanted(stored)) == []
    assert len(differences(wanted(source), wanted(other))) == 1


def test_probe_of_a_user_with_the_defaults_of_the_server_is_no_difference() -> None:
    ours = {"readinessProbe": {"httpGet": {"port": 1}}}

    assert differences(deployment(ours), deployment({"readinessProbe": HTTP})) == []
    other = {"readinessProbe": {"httpGet": {**HTTP["httpGet"], "host": "example.com"}}}
    assert len(differences(deployment(ours), deployment(other))) == 1


def test_empty_member_of_a_union_has_to_be_there() -> None:
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    live = copy.deepcopy(wanted)
    del live["spec"]["template"]["spec"]["volumes"][0]["emptyDir"]

    assert [one.path[-1] for one in differences(wanted, live)] == ["emptyDir"]


def test_security_that_somebody_took_away_is_missed() -> None:
    ours = {"securityContext": {"allowPrivilegeEscalation": False}}

    (found,) = differences(deployment(ours), deployment({"securityContext": {}}))

    assert found == Difference((*CONTAINER, "securityContext", "allowPrivilegeEscalation"), False)


def test_numbers_of_a_rolling_update_make_way_for_recreate() -> None:
    numbers = {"maxSurge": "25%", "maxUnavailable": 0}
    live = deployment(strategy={"type": "RollingUpdate", "rollingUpdate": numbers})

    found = differences(deployment(strategy={"type": "Recreate"}), live)

    assert found == [
        Difference(("spec", "strategy", "type"), "Recreate"),
        removal("spec", "strategy", "rollingUpdate"),
    ]


def test_patch_is_guarded_and_spells_paths_as_json_patch_does() -> None:
    found = [
        Difference(("metadata", "annotations", "a.example/b~c"), "1"),
        Difference(("spec", "ports", 1), port(1)),
        Difference(("spec", "ports", "-"), port(2)),
        removal("spec", "x"),
    ]

    assert patch_of(found, {"metadata": {"resourceVersion": "5"}}) == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "5"},
        {"op": "add", "path": "/metadata/annotations/a.example~1b~0c", "value": "1"},
        {"op": "replace", "path": "/spec/ports/1", "value": port(1)},
        {"op": "add", "path": "/spec/ports/-", "value": port(2)},
        {"op": "remove", "path": "/spec/x"},
    ]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("spec", "ports", 0, "port"), "spec.ports[0].port"),
        (("spec", "ports", "-"), "spec.ports"),
        (("data", "a.b"), "data.a.b"),
    ],
)
def test_place_is_what_people_write(path: tuple[str | int, ...], place: str) -> None:
    assert Difference(path, "secret").place == place


def test_key_that_moved_to_the_other_map_goes_from_there() -> None:
    wanted = {"kind": "ConfigMap", "data": {"a": "x", "b": "y"}}
    live = {"kind": "ConfigMap", "data": {"b": "y"}, "binaryData": {"a": "eA==", "c": "eA=="}}

    assert differences(wanted, live) == [Difference(("data", "a"), "x"), removal("binaryData", "a")]


def test_kind_of_which_nothing_is_known_is_compared_field_by_field() -> None:
    assert differences({"kind": "X", "a": {"b": 1}}, {"kind": "X", "a": {"b": 1, "c": 2}}) == []
    assert len(differences({"kind": "X", "a": [1]}, {"kind": "X", "a": [1, 2]})) == 1
