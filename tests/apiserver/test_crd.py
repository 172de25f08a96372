# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The CRD in a real API server.

What is tested here cannot be told from the document: whether the API server takes it, what it keeps
of an object, and what it shows of one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from api.crd import NAME as CRD
from api.crd import custom_resource_definition
from api.v1alpha2 import API_VERSION
from hack.cluster.plane import ControlPlane
from tests.support.apicases import Json, resource
from tests.support.crdplane import (
    APPLY,
    CRDS,
    MERGE,
    answer,
    apply,
    collection,
    crd_condition,
    crd_installed,
    until,
)

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def crd(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with our CRD."""
    with crd_installed(control_plane) as plane:
        yield plane


def test_crd_is_established_and_structural(crd: ControlPlane) -> None:
    assert crd_condition(crd, "NamesAccepted") == "True"
    assert crd_condition(crd, "Established") == "True"
    assert crd_condition(crd, "NonStructuralSchema") is None


def test_crd_is_stored_without_a_change(crd: ControlPlane) -> None:
    """A keyword that the API server drops would be a rule that nobody checks."""
    intended = custom_resource_definition()["spec"]

    stored = crd.client.get(f"{CRDS}/{CRD}")["spec"]

    assert stored == intended


def test_unknown_fields_are_pruned_where_the_schema_is_closed(
    crd: ControlPlane, namespace: str
) -> None:
    obj = resource(workload={"replicas": 1, "repliccas": 2})

    stored = crd.client.create(collection(namespace), obj)

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
    crd.client.create(collection(namespace), resource("open", **spec))

    stored = crd.client.get(f"{collection(namespace)}/open")["spec"]

    assert {key: stored[key] for key in spec} == spec


def test_status_is_a_subresource_and_a_map_of_conditions(crd: ControlPlane, namespace: str) -> None:
    crd.client.create(collection(namespace), {**resource(), "status": {"phase": "Ready"}})
    path = f"{collection(namespace)}/demo"
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
            content_type=APPLY,
        )

    stored = crd.client.get(path)
    assert [item["type"] for item in stored["status"]["conditions"]] == ["Ready", "ServiceReady"]
    assert stored["metadata"]["generation"] == 1  # a status write is no change of the spec


def test_provider_without_config_does_not_freeze_the_status(
    crd: ControlPlane, namespace: str
) -> None:
    """The Go operator's CRD requires it, and its status stops at the first null."""
    crd.client.create(collection(namespace), resource())
    providers = [
        {"api": "inference", "provider_id": "a", "provider_type": "remote::a", "config": None},
        {"api": "inference", "provider_id": "b", "provider_type": "remote::b"},
    ]

    stored = crd.client.request(
        "PATCH",
        f"{collection(namespace)}/demo/status",
        {"status": {"distributionConfig": {"providers": providers}}},
        content_type=MERGE,
    )

    assert len(stored["status"]["distributionConfig"]["providers"]) == 2


def test_scale_subresource_reads_and_writes_workload_replicas(
    crd: ControlPlane, namespace: str
) -> None:
    path = f"{collection(namespace)}/demo"
    crd.client.create(collection(namespace), resource())
    crd.client.request(
        "PATCH",
        f"{path}/status",
        {"status": {"availableReplicas": 2, "selector": "app=llama-stack"}},
        content_type=MERGE,
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
    path = f"{collection(namespace)}/{'a' * 60}"
    apply(crd, CRDS, loose)
    until(lambda: answer(crd, resource("b" * 60))[0] == 201)
    crd.client.create(collection(namespace), obj)
    apply(crd, CRDS, custom_resource_definition())
    until(lambda: answer(crd, resource("b" * 60))[0] == 422)

    crd.client.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)

    assert "finalizers" not in crd.client.get(path)["metadata"]


def test_printer_columns_show_what_people_look_for(crd: ControlPlane, namespace: str) -> None:
    crd.client.create(collection(namespace), resource())
    status = {
        "phase": "Ready",
        "availableReplicas": 1,
        "resolvedDistribution": {"image": "example.com/starter:1"},
        "configGeneration": {"configMapName": "demo-config-0123abcd", "providerCount": 5},
    }
    crd.client.request(
        "PATCH", f"{collection(namespace)}/demo/status", {"status": status}, content_type=MERGE
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
    crd.client.create(collection(namespace), resource("uses", **spec))
    crd.client.create(collection(namespace), resource("other"))

    found = crd.client.get(f"{collection(namespace)}?fieldSelector={field}=mine")

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


def test_both_versions_are_served_and_the_stored_one_is_preferred(crd: ControlPlane) -> None:
    group = crd.client.get("/apis/llamastack.io")

    assert [version["version"] for version in group["versions"]] == ["v1alpha2", "v1alpha1"]
    assert group["preferredVersion"]["version"] == "v1alpha2"
    for version, subresources in (("v1alpha1", ["status"]), ("v1alpha2", ["status", "scale"])):
        resources = crd.client.get(f"/apis/llamastack.io/{version}")["resources"]
        assert [item["name"] for item in resources] == [
            "llamastackdistributions",
            *(f"llamastackdistributions/{name}" for name in subresources),
        ]
        assert resources[0]["shortNames"] == ["llsd"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("spec", "What the user wants"),
        ("spec.replicas", "1 if absent"),
        ("spec.server.distribution.name", "e.g. starter"),
        ("spec.server.providers", "Who serves each API of the server"),
        ("spec.server.providers.inference", "One object or a list of objects with the fields"),
        ("spec.server.providers.inference", "- deploymentName (string): Name of the deployment"),
        ("spec.server.resources.models", "The name of a model, or an object with the fields"),
        ("spec.server.storage.type", "Kind of store"),
        ("spec.server.tlsConfig.caBundle.configMapName", "PEM certificates"),
        ("spec.server.containerSpec.env.valueFrom.secretKeyRef.key", "The key in it"),
        ("spec.server.podOverrides.volumes", "any source of core/v1"),
        ("spec.server.externalProviders.inference.providerId", "unique over all external"),
        ("spec.network.exposeRoute", "reachable from outside the cluster"),
        ("status.generatedConfigMap", "generated last"),
    ],
)
def test_kubectl_explain_shows_the_documentation_of_v1alpha1(
    crd: ControlPlane, path: str, words: str
) -> None:
    shown = crd.kubectl("explain", f"llsd.{path}", "--api-version=llamastack.io/v1alpha1")

    assert words in " ".join(shown.split())


@pytest.mark.slow
def test_resources_can_be_deleted_while_nobody_converts(crd: ControlPlane) -> None:
    """A namespace is emptied, and a finalizer of the API server's own removed, in v1alpha2."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    crd.client.create("/api/v1/namespaces", namespace)
    crd.client.create(collection(name), resource("first"))
    crd.client.create(collection(name), resource("second"))
    first = f"{collection(name)}/first"

    crd.client.request("DELETE", first, {"propagationPolicy": "Foreground"})
    until(lambda: not crd.client.exists(first))

    crd.client.delete(f"/api/v1/namespaces/{name}")
    until(lambda: not crd.client.exists(f"/api/v1/namespaces/{name}"), seconds=60.0)
