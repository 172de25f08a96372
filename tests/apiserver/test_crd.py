# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The CRD and the admission policy in a real API server.

What is tested here cannot be told from the documents: whether the API server takes them, what it
keeps of an object, and what it answers to a bad one.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.crd import NAME as CRD
from api.crd import custom_resource_definition
from api.policy import NAME as POLICY_NAME
from api.policy import documents
from api.v1alpha2 import API_VERSION, parse
from tests.support import apicases
from tests.support.apicases import BAD, GOOD, Case, Json, resource
from tests.support.cluster.errors import ApiFailure, ClusterError
from tests.support.cluster.plane import ControlPlane

pytestmark = pytest.mark.apiserver

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
_MERGE = "application/merge-patch+json"


def _until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the API server did not get there"
        time.sleep(0.05)


def _apply(plane: ControlPlane, path: str, document: Json) -> None:
    plane.client.request(
        "PATCH",
        f"{path}/{document['metadata']['name']}?fieldManager=test&force=true",
        document,
        content_type="application/apply-patch+yaml",
    )


@pytest.fixture(scope="module")
def crd(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with our CRD; afterwards it is as it was before."""
    there = control_plane.client.exists(f"{_CRDS}/{CRD}")
    _apply(control_plane, _CRDS, custom_resource_definition())
    _until(lambda: _condition(control_plane, "Established") == "True")
    _until(lambda: control_plane.client.exists(f"/apis/{API_VERSION}/llamastackdistributions"))
    yield control_plane
    if not there:
        control_plane.client.delete(f"{_CRDS}/{CRD}")
        _until(lambda: not control_plane.client.exists(f"{_CRDS}/{CRD}"))


@pytest.fixture(scope="module")
def policy(crd: ControlPlane) -> Iterator[ControlPlane]:
    """CRD and policy, the latter in force; afterwards the policy is gone."""
    definition, binding = documents()
    _apply(crd, _POLICIES, definition)
    _apply(crd, _BINDINGS, binding)
    wrong = resource(providers={"inference": 4})
    _until(lambda: _answer(crd, wrong)[0] == 422)
    yield crd
    for path in (_BINDINGS, _POLICIES):
        with contextlib.suppress(ClusterError):
            crd.client.delete(f"{path}/{POLICY_NAME}")
    _until(lambda: _answer(crd, wrong)[0] == 201)


def _condition(plane: ControlPlane, kind: str) -> str | None:
    status = plane.client.get(f"{_CRDS}/{CRD}").get("status", {})
    found = [item["status"] for item in status.get("conditions") or () if item["type"] == kind]
    return found[0] if found else None


def _collection(namespace: str = "default") -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/llamastackdistributions"


def _answer(plane: ControlPlane, obj: Json) -> tuple[int, str]:
    """Status and message of a creation that is not carried out."""
    code, body = plane.client.raw("POST", f"{_collection()}?dryRun=All", obj)
    return code, json.loads(body).get("message", "")


# --- the CRD -------------------------------------------------------------------------------------


def test_crd_is_established_and_structural(crd: ControlPlane) -> None:
    assert _condition(crd, "NamesAccepted") == "True"
    assert _condition(crd, "Established") == "True"
    assert _condition(crd, "NonStructuralSchema") is None


def test_crd_is_stored_without_a_change(crd: ControlPlane) -> None:
    """A keyword that the API server drops would be a rule that nobody checks."""
    intended = custom_resource_definition()["spec"]["versions"][0]

    stored = crd.client.get(f"{_CRDS}/{CRD}")["spec"]["versions"][0]

    assert stored == intended


@pytest.mark.parametrize("name", GOOD)
def test_good_resource_is_accepted_and_kept_whole(policy: ControlPlane, name: str) -> None:
    obj = GOOD[name]

    stored = policy.client.request("POST", f"{_collection()}?dryRun=All", obj)

    assert stored["spec"] == obj["spec"]  # nothing is pruned, and no default is written


@pytest.mark.parametrize("name", GOOD)
def test_good_resource_is_read_the_same_before_and_after_storing(
    policy: ControlPlane, name: str
) -> None:
    stored = policy.client.request("POST", f"{_collection()}?dryRun=All", GOOD[name])

    assert parse(stored).spec == parse(GOOD[name]).spec


@pytest.mark.parametrize("case", [case for case in BAD if case.by != "python"], ids=str)
def test_bad_resource_is_refused_in_the_words_of_validate(policy: ControlPlane, case: Case) -> None:
    code, message = _answer(policy, case.obj)

    assert code == 422, message
    if case.by == "schema":
        path = case.errors[0].partition(": ")[0]
        assert path.removesuffix(".name") in message
    else:
        assert [line for line in case.answered if line not in message] == []


@pytest.mark.parametrize("case", apicases.PYTHON, ids=str)
def test_what_only_validate_knows_is_accepted(policy: ControlPlane, case: Case) -> None:
    """If this fails, the API server learnt a rule: move the case in the table."""
    assert _answer(policy, case.obj)[0] == 201


def test_unknown_fields_are_pruned_where_the_schema_is_closed(
    crd: ControlPlane, namespace: str
) -> None:
    obj = resource(workload={"replicas": 1, "repliccas": 2})

    stored = crd.client.create(_collection(namespace), obj)

    assert stored["spec"]["workload"] == {"replicas": 1}


def test_nested_data_of_open_nodes_survives_storing(crd: ControlPlane, namespace: str) -> None:
    settings = {"a": {"b": [{"c": {"d": None, "e": 1.5}}]}, "text": "x"}
    spec: dict[str, Any] = {
        "providers": {"inference": {"provider": "vllm", "settings": settings}},
        "resources": {"models": ["a", {"name": "b"}]},
        "networking": {"expose": {"annotations": {"a": "b"}}},
        "workload": {
            "overrides": {
                "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}],
                "affinity": {"podAffinity": {"x": {"y": ["z"]}}},
            }
        },
        "externalProviders": {
            "eval": [{"providerId": "a", "image": "b", "config": {"x": {"y": [1]}}}]
        },
    }
    crd.client.create(_collection(namespace), resource("open", **spec))

    stored = crd.client.get(f"{_collection(namespace)}/open")["spec"]

    assert {key: stored[key] for key in spec} == spec


def test_status_is_a_subresource_and_a_map_of_conditions(crd: ControlPlane, namespace: str) -> None:
    crd.client.create(_collection(namespace), {**resource(), "status": {"phase": "Ready"}})
    path = f"{_collection(namespace)}/demo"
    assert "status" not in crd.client.get(path)

    for manager, kind in (("one", "Ready"), ("two", "ServiceReady")):
        condition = {
            "type": kind,
            "status": "True",
            "reason": "Because",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
        body = {
            "apiVersion": API_VERSION,
            "kind": "LlamaStackDistribution",
            "metadata": {"name": "demo"},
            "status": {"conditions": [condition]},
        }
        crd.client.request(
            "PATCH",
            f"{path}/status?fieldManager={manager}",
            body,
            content_type="application/apply-patch+yaml",
        )

    stored = crd.client.get(path)
    assert [item["type"] for item in stored["status"]["conditions"]] == ["Ready", "ServiceReady"]
    assert stored["metadata"]["generation"] == 1  # a status write is no change of the spec


def test_provider_without_config_does_not_freeze_the_status(
    crd: ControlPlane, namespace: str
) -> None:
    """The Go operator's CRD requires it, and its status stops at the first null."""
    crd.client.create(_collection(namespace), resource())
    providers = [
        {"api": "inference", "provider_id": "a", "provider_type": "remote::a", "config": None},
        {"api": "inference", "provider_id": "b", "provider_type": "remote::b"},
    ]

    stored = crd.client.request(
        "PATCH",
        f"{_collection(namespace)}/demo/status",
        {"status": {"distributionConfig": {"providers": providers}}},
        content_type=_MERGE,
    )

    assert len(stored["status"]["distributionConfig"]["providers"]) == 2


def test_scale_subresource_reads_and_writes_workload_replicas(
    crd: ControlPlane, namespace: str
) -> None:
    path = f"{_collection(namespace)}/demo"
    crd.client.create(_collection(namespace), resource())
    crd.client.request(
        "PATCH",
        f"{path}/status",
        {"status": {"availableReplicas": 2, "selector": "app=llama-stack"}},
        content_type=_MERGE,
    )

    crd.kubectl("scale", "llsd/demo", "--replicas=3", f"--namespace={namespace}")

    scale = crd.client.get(f"{path}/scale")
    assert crd.client.get(path)["spec"]["workload"]["replicas"] == 3
    assert scale["spec"]["replicas"] == 3
    assert scale["status"] == {"replicas": 2, "selector": "app=llama-stack"}


def test_name_rule_does_not_bind_objects_that_are_there_already(
    crd: ControlPlane, namespace: str
) -> None:
    """An object of the Go operator with a long name must still be able to lose a finalizer."""
    loose = custom_resource_definition()
    del loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"]
    obj = resource("a" * 60)
    obj["metadata"]["finalizers"] = ["example.com/test"]
    path = f"{_collection(namespace)}/{'a' * 60}"
    _apply(crd, _CRDS, loose)
    _until(lambda: _answer(crd, resource("b" * 60))[0] == 201)
    crd.client.create(_collection(namespace), obj)
    _apply(crd, _CRDS, custom_resource_definition())
    _until(lambda: _answer(crd, resource("b" * 60))[0] == 422)

    crd.client.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=_MERGE)

    assert "finalizers" not in crd.client.get(path)["metadata"]


def test_printer_columns_show_what_people_look_for(crd: ControlPlane, namespace: str) -> None:
    crd.client.create(_collection(namespace), resource())
    status = {
        "phase": "Ready",
        "availableReplicas": 1,
        "resolvedDistribution": {"image": "example.com/starter:1"},
        "configGeneration": {"configMapName": "demo-config-0123abcd", "providerCount": 5},
    }
    crd.client.request(
        "PATCH", f"{_collection(namespace)}/demo/status", {"status": status}, content_type=_MERGE
    )

    narrow = crd.kubectl("get", "llsd", f"--namespace={namespace}").splitlines()
    wide = crd.kubectl("get", "llsd", "-o", "wide", f"--namespace={namespace}").splitlines()

    assert narrow[0].split() == ["NAME", "PHASE", "PROVIDERS", "AVAILABLE", "AGE"]
    assert narrow[1].split()[:4] == ["demo", "Ready", "5", "1"]
    assert wide[0].split()[1:4] == ["PHASE", "DISTRIBUTION", "CONFIG"]
    assert wide[1].split()[2:4] == ["example.com/starter:1", "demo-config-0123abcd"]


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("spec.overrideConfig.configMapName", {"overrideConfig": {"configMapName": "mine"}}),
        (
            "spec.networking.tls.caBundle.configMapName",
            {"networking": {"tls": {"caBundle": {"configMapName": "mine"}}}},
        ),
    ],
)
def test_resources_are_selectable_by_the_config_map_they_use(
    crd: ControlPlane, namespace: str, field: str, spec: Json
) -> None:
    crd.client.create(_collection(namespace), resource("uses", **spec))
    crd.client.create(_collection(namespace), resource("other"))

    found = crd.client.get(f"{_collection(namespace)}?fieldSelector={field}=mine")

    assert [item["metadata"]["name"] for item in found["items"]] == ["uses"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("spec", "What the user wants"),
        ("spec.distribution.name", "e.g. starter"),
        ("spec.providers.inference", "One object or a list of objects with the fields"),
        ("spec.providers.inference", "- endpoint (string): URL of the service"),
        ("spec.resources.models", "The name of a model, or an object with the fields"),
        ("spec.networking.expose", "A boolean or an object with the fields"),
        ("spec.workload.overrides.env.valueFrom.secretKeyRef.key", "The key in it"),
        ("spec.externalProviders.inference.providerId", "unique over all external providers"),
        ("status.conditions", "The state in detail"),
    ],
)
def test_kubectl_explain_shows_the_documentation(crd: ControlPlane, path: str, words: str) -> None:
    shown = crd.kubectl("explain", f"llamastackdistribution.{path}")

    assert words in " ".join(shown.split())


# --- the policy ----------------------------------------------------------------------------------


def test_policy_has_no_type_errors(policy: ControlPlane) -> None:
    """The API server checks the expressions against the CRD and reports what cannot work."""

    def status() -> Json:
        found: Json = policy.client.get(f"{_POLICIES}/{POLICY_NAME}").get("status", {})
        return found

    _until(lambda: "typeChecking" in status())

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

    answers = {_answer(policy, obj)[1] for _ in range(5)}

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

    code, message = _answer(policy, obj)

    assert code == 422
    assert "spec.resources.models[0]: must be the name of a model" in message
    assert message.endswith("…")


def test_policy_lets_updates_pass_that_leave_the_spec_alone(
    policy: ControlPlane, namespace: str
) -> None:
    """An object from before the policy: labels, finalizers, deletion must work."""
    binding = documents()[1]
    obj = resource(providers={"inference": "vllm"})
    obj["metadata"]["finalizers"] = ["example.com/test"]
    path = f"{_collection(namespace)}/demo"
    policy.client.delete(f"{_BINDINGS}/{POLICY_NAME}")
    _until(lambda: _answer(policy, obj)[0] == 201)
    policy.client.create(_collection(namespace), obj)
    _apply(policy, _BINDINGS, binding)
    _until(lambda: _answer(policy, resource(providers={"inference": "vllm"}))[0] == 422)

    policy.client.request("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, content_type=_MERGE)
    with pytest.raises(ApiFailure, match="must be an object or a list of objects"):
        policy.client.request(
            "PATCH", path, {"spec": {"workload": {"replicas": 2}}}, content_type=_MERGE
        )
    policy.client.delete(path)
    policy.client.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=_MERGE)

    assert not policy.client.exists(path)
