# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a take-over of one resource changes, from its live objects and what would be written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.llamastack.objects.kinds import APPLIED_HASH
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview
from controller.llamastack.render.inputs import Options
from llamastack_operator.cli.adoption import Verdict, judge
from llamastack_operator.cli.api_defaults import in_words_of, without_defaults
from llamastack_operator.cli.owned_fields import cut, union
from tests.support import go_objects
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.go_cases import PORTS, resource, spec
from tests.support.go_objects import Json, Surroundings

ALL = {"managedFields": [{"manager": "manager", "operation": "Update", "fieldsV1": {}}]}


def live(cr: Json, around: Surroundings, **metadata: Any) -> dict[tuple[str, str], Json]:
    """The objects of the Go operator, all of whose fields it owns."""
    owner = {"kind": cr["kind"], "uid": "u", "controller": True, "name": "demo"}
    found = {}
    for obj in go_objects.objects(cr, around):
        more = {"ownerReferences": [owner], **copy.deepcopy(ALL), **metadata}
        found[obj["kind"], obj["metadata"]["name"]] = {
            **obj,
            "metadata": {**obj["metadata"], **more},
        }
    return found


def verdict(given: Json, *, policies: bool = False, **metadata: Any) -> Verdict:
    cr = resource("demo", "n", given, "u")
    there = live(cr, Surroundings(network_policies=True), **metadata)
    plan = make_plan(cr, DISTRIBUTIONS)
    return judge(cr, there, preview(cr, plan, Options(network_policies=policies)))


def test_pods_restart_and_the_variables_are_named() -> None:
    found = verdict(spec(containerSpec=PORTS), policies=True)

    assert found.restarts
    assert found.summary.startswith("pods restart once: environment (")
    assert "LLAMA_STACK_CONFIG" in found.summary
    assert ", probes, " in found.summary
    assert "-        - name: LLAMA_STACK_CONFIG" in found.lines


def test_what_is_not_asked_for_goes() -> None:
    assert "NetworkPolicy demo-network-policy goes" in verdict(spec()).summary


def test_volume_is_not_compared_away() -> None:
    found = verdict(spec(storage={"size": "20Gi"}))

    assert "PersistentVolumeClaim" not in "\n".join(found.lines)


def test_replicas_of_an_autoscaled_server_are_not_shown() -> None:
    found = verdict(spec(autoscaling={"maxReplicas": 3}))

    assert "replicas" not in found.summary


def test_object_of_somebody_else_keeps_all_from_being_taken_over() -> None:
    other = {"kind": "Helm", "uid": "h", "controller": True, "name": "x", "apiVersion": "v1"}

    found = verdict(spec(containerSpec=PORTS), ownerReferences=[other])

    assert found.refused
    assert found.lines == ()
    assert 'ServiceAccount "demo-sa" in namespace "n" is controlled by Helm "x"' in found.summary


def test_resource_that_is_ours_is_told_in_a_word() -> None:
    found = verdict(spec(), annotations={APPLIED_HASH: "x"})

    assert found == Verdict((), "was taken over already")


# --- parts -------------------------------------------------------------------------------------


def test_of_an_object_its_owned_and_its_wanted_fields_are_left() -> None:
    obj = {"a": 1, "b": {"c": 1, "d": 2}, "e": 3, "f": {"g": 1}}
    owned = union(
        [{"fieldsV1": {"f:a": {}, "f:b": {".": {}, "f:c": {}}}}, {"fieldsV1": {"f:f": {}}}]
    )

    assert cut(obj, owned, {"e": 4}) == {"a": 1, "b": {"c": 1}, "e": 3, "f": {"g": 1}}


def test_of_a_list_the_owned_and_the_wanted_members_are_left() -> None:
    members = [{"name": n, "value": "1", "other": "2"} for n in ("mine", "wanted", "theirs")]
    owned: Json = {'k:{"name":"mine"}': {".": {}, "f:name": {}, "f:value": {}}}

    assert cut(members, owned, [{"name": "wanted", "value": "5"}]) == [
        {"name": "mine", "value": "1"},
        {"name": "wanted", "value": "1"},
    ]


def test_of_a_set_the_owned_values_are_left() -> None:
    assert cut(["a", "b"], {'v:"a"': {}}, None) == ["a"]


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ({"restartPolicy": "Always", "nodeName": "x"}, {"nodeName": "x"}),
        ({"image": "a:1", "imagePullPolicy": "IfNotPresent"}, {"image": "a:1"}),
        ({"image": "a", "imagePullPolicy": "Never"}, {"image": "a", "imagePullPolicy": "Never"}),
        ({"fieldRef": {"apiVersion": "v1", "fieldPath": "p"}}, {"fieldRef": {"fieldPath": "p"}}),
        ({"emptyDir": {}, "securityContext": {}}, {"emptyDir": {}}),
        ({"periodSeconds": 5, "timeoutSeconds": 1}, {"periodSeconds": 5}),
    ],
    ids=str,
)
def test_what_the_api_server_fills_in_is_left_out(said: Json, plain: Json) -> None:
    assert without_defaults([said]) == [plain]


def test_equal_amounts_are_written_in_one_way() -> None:
    before = {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    after = {"resources": {"requests": {"cpu": "1000m", "memory": "2Gi"}}}

    assert in_words_of([before], [after]) == [
        {"resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}
    ]
