# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Good and bad resources, judged by a real API server with the CRD and the admission policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.policy import NAME as POLICY_NAME
from api.policy import documents
from api.v1alpha2 import parse
from hack.cluster.errors import ApiFailure
from hack.cluster.plane import ControlPlane
from tests.support.apicases import BAD, GOOD, PYTHON, Case, Json, resource
from tests.support.crdplane import (
    BINDINGS,
    MERGE,
    POLICIES,
    answer,
    apply,
    collection,
    crd_installed,
    policy_in_force,
    until,
)

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def policy(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with our CRD and policy."""
    with crd_installed(control_plane), policy_in_force(control_plane):
        yield control_plane


@pytest.mark.parametrize("name", GOOD)
def test_good_resource_is_accepted_and_kept_whole(policy: ControlPlane, name: str) -> None:
    obj = GOOD[name]

    stored = policy.client.request("POST", f"{collection()}?dryRun=All", obj)

    assert stored["spec"] == obj["spec"]  # nothing is pruned, and no default is written


@pytest.mark.parametrize("name", GOOD)
def test_good_resource_is_read_the_same_before_and_after_storing(
    policy: ControlPlane, name: str
) -> None:
    stored = policy.client.request("POST", f"{collection()}?dryRun=All", GOOD[name])

    assert parse(stored).spec == parse(GOOD[name]).spec


@pytest.mark.parametrize("case", [case for case in BAD if case.by != "python"], ids=str)
def test_bad_resource_is_refused_in_the_words_of_validate(policy: ControlPlane, case: Case) -> None:
    code, message = answer(policy, case.obj)

    assert code == 422, message
    if case.by == "schema":
        path = case.errors[0].partition(": ")[0]
        assert path.removesuffix(".name") in message
    else:
        assert [line for line in case.answered if line not in message] == []


@pytest.mark.parametrize("case", PYTHON, ids=str)
def test_what_only_validate_knows_is_accepted(policy: ControlPlane, case: Case) -> None:
    """If this fails, the API server learnt a rule: move the case in the table."""
    assert answer(policy, case.obj)[0] == 201


def test_policy_has_no_type_errors(policy: ControlPlane) -> None:
    """The API server checks the expressions against the CRD and reports what cannot work."""

    def status() -> Json:
        found: Json = policy.client.get(f"{POLICIES}/{POLICY_NAME}").get("status", {})
        return found

    until(lambda: "typeChecking" in status())

    assert status()["typeChecking"] == {}


def test_policy_says_everything_at_once_and_the_same_each_time(policy: ControlPlane) -> None:
    obj = resource(
        disabled=["eval"],
        providers={
            "inference": {"provider": "vllm", "endpoint": "vllm"},
            "safety": [{"provider": "vllm"}, 4],
            "eval": {"id": "e", "provider": "bedrock"},
            "scoring": "x",
        },
        resources={"models": [{}]},
        networking={"expose": 4},
    )

    answers = {answer(policy, obj)[1] for _ in range(5)}

    assert len(answers) == 1
    (message,) = answers
    assert message.partition("denied request: ")[2].split("; ") == [
        "spec.providers.safety[1]: must be an object",
        "spec.providers.scoring: must be an object or a list of objects",
        "spec.providers.inference.endpoint: must be a URL such as http://vllm:8000/v1",
        "spec.providers.safety[0].id: is required on every provider of a list with more than one",
        'spec.providers.safety[0].id: provider id "vllm" is used more than once:'
        " spec.providers.inference, spec.providers.safety[0]",
        'spec.disabled[0]: "eval" is configured and disabled at the same time: spec.providers.eval',
        "spec.resources.models[0]: must be the name of a model or an object with a name",
        "spec.networking.expose: must be a boolean or an object",
        'spec.providers.eval.settings.region: is required for provider "bedrock"',
    ]


def test_policy_cuts_an_answer_that_would_be_dropped(policy: ControlPlane) -> None:
    obj = resource(resources={"models": [4] * 200})

    code, message = answer(policy, obj)

    assert code == 422
    assert "spec.resources.models[0]: must be the name of a model" in message
    assert message.endswith("…")


def test_policy_lets_updates_pass_that_leave_alone_what_it_judges(
    policy: ControlPlane, namespace: str
) -> None:
    """An object from before the policy: other fields, labels, finalizers, deletion must work."""
    binding = documents()[1]
    obj = resource(providers={"inference": "vllm"})
    obj["metadata"]["finalizers"] = ["example.com/test"]
    path = f"{collection(namespace)}/demo"
    policy.client.delete(f"{BINDINGS}/{POLICY_NAME}")
    until(lambda: answer(policy, obj)[0] == 201)
    policy.client.create(collection(namespace), obj)
    apply(policy, BINDINGS, binding)
    until(lambda: answer(policy, resource(providers={"inference": "vllm"}))[0] == 422)

    policy.client.request("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    replicas, other = {"workload": {"replicas": 2}}, {"providers": {"inference": "other"}}
    policy.client.request("PATCH", path, {"spec": replicas}, content_type=MERGE)
    with pytest.raises(ApiFailure, match="must be an object or a list of objects"):
        policy.client.request("PATCH", path, {"spec": other}, content_type=MERGE)
    policy.client.delete(path)
    policy.client.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)

    assert not policy.client.exists(path)
