# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The schema of v1alpha1 in a real API server.

In a CRD of its own, whose only version it is, so nothing is converted: what the API server makes of
the schema does not depend on the other version. What both versions need together is tested with the
conversion webhook.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api import GROUP
from api.crd import custom_resource_definition
from configs.yaml_reader import load, load_all
from hack.cluster.plane import ControlPlane
from hack.root import ROOT
from tests.support.crdplane import CRDS, CREATED, MERGE, REFUSED, apply, until
from tests.support.v1alpha1 import BROKEN_RULES, FULL, STORED_BY_GO, Json, old_resource

pytestmark = pytest.mark.apiserver

_SHARED = ROOT.parent / "shared" / "data"
_GO_CRD = _SHARED / "upstream-crd.yaml"
_SAMPLES = _SHARED / "upstream-samples"
_GROUP = "alone.llamastack.io"
_NAME = f"llamastackdistributions.{_GROUP}"

needs_go_crd = pytest.mark.skipif(not _GO_CRD.exists(), reason="the Go operator's CRD is not here")


def _alone(crd: Json) -> Json:
    """The CRD with v1alpha1 as its only version, in another group."""
    spec = dict(crd["spec"])
    del spec["conversion"]
    (version,) = [v for v in spec["versions"] if v["name"] == "v1alpha1"]
    names = {key: spec["names"][key] for key in ("kind", "listKind", "plural", "singular")}
    return {
        **crd,
        "metadata": {"name": _NAME},
        "spec": {
            **spec,
            "group": _GROUP,
            "names": names,
            "versions": [{**version, "storage": True}],
        },
    }


def _go_crd() -> Json:
    crd = load(_GO_CRD.read_text("utf-8"))
    assert isinstance(crd, dict)
    return _alone({**crd, "spec": {**crd["spec"], "conversion": {}}})


def _collection(namespace: str) -> str:
    return f"/apis/{_GROUP}/v1alpha1/namespaces/{namespace}/llamastackdistributions"


def _of_group(obj: Json) -> Json:
    return {**obj, "apiVersion": f"{_GROUP}/v1alpha1"}


def _answer(plane: ControlPlane, obj: Json, namespace: str = "default") -> tuple[int, str]:
    """Status and message of a creation that is not carried out, unknown fields refused."""
    path = f"{_collection(namespace)}?dryRun=All&fieldValidation=Strict"
    code, body = plane.client.raw("POST", path, _of_group(obj))
    return code, json.loads(body).get("message", "")


@contextlib.contextmanager
def _served(plane: ControlPlane) -> Iterator[None]:
    """Until the CRD is served; afterwards it is gone."""
    until(lambda: plane.client.exists(f"/apis/{_GROUP}/v1alpha1/llamastackdistributions"))
    yield
    plane.client.delete(f"{CRDS}/{_NAME}")
    until(lambda: not plane.client.exists(f"{CRDS}/{_NAME}"))


@pytest.fixture(scope="module")
def ours(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with our v1alpha1."""
    apply(control_plane, CRDS, _alone(custom_resource_definition()))
    with _served(control_plane):
        until(lambda: _answer(control_plane, old_resource(distribution={}))[0] == REFUSED)
        yield control_plane


def test_schema_is_structural(ours: ControlPlane) -> None:
    conditions = ours.client.get(f"{CRDS}/{_NAME}")["status"]["conditions"]

    assert [item for item in conditions if item["type"] == "NonStructuralSchema"] == []


def test_api_server_writes_the_defaults_of_the_go_operator(
    ours: ControlPlane, namespace: str
) -> None:
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k"}}}]
    obj = old_resource(containerSpec={"env": env}, storage={}, podDisruptionBudget={})
    obj["spec"]["network"] = {}

    stored = ours.client.create(_collection(namespace), _of_group(obj))

    assert stored["spec"] == {
        "replicas": 1,
        "network": {"exposeRoute": False},
        "server": {
            "distribution": {"name": "starter"},
            "containerSpec": {
                "name": "llama-stack",
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "", "key": "k"}}}],
            },
            "storage": {},
            "podDisruptionBudget": {},
        },
    }


def test_everything_that_is_written_is_kept(ours: ControlPlane, namespace: str) -> None:
    spec: Any = json.loads(json.dumps(FULL))
    # One of each pair that excludes the other.
    del spec["server"]["distribution"]["image"]
    del spec["server"]["podDisruptionBudget"]["minAvailable"]
    del spec["server"]["userConfig"]
    external = spec["server"]["externalProviders"]
    for section in external:
        external[section] = [{**external[section][0], "providerId": section.lower()}]
    obj = {**old_resource(), "spec": spec}
    assert _answer(ours, obj) == (CREATED, "")

    stored = ours.client.create(_collection(namespace), _of_group(obj))

    assert stored["spec"] == spec


@pytest.mark.parametrize(
    ("obj", "message"), [pytest.param(o, message, id=name) for name, o, message in BROKEN_RULES]
)
def test_broken_rule_is_told_with_the_path_of_its_field(
    ours: ControlPlane, obj: Json, message: str
) -> None:
    code, said = _answer(ours, obj)

    assert code == REFUSED
    assert f": {message}" in said


@pytest.mark.parametrize("name", STORED_BY_GO)
def test_what_the_go_operator_takes_for_a_field_left_out_is_admitted(
    ours: ControlPlane, name: str
) -> None:
    assert _answer(ours, old_resource(**STORED_BY_GO[name])) == (CREATED, "")


@needs_go_crd
def test_samples_of_the_go_operator_are_admitted(ours: ControlPlane) -> None:
    samples = [
        manifest
        for file in sorted(_SAMPLES.glob("*.yaml"))
        for manifest in load_all(file.read_text("utf-8"))
        if manifest["kind"] == "LlamaStackDistribution"
    ]

    assert samples
    for sample in samples:
        assert sample["apiVersion"] == f"{GROUP}/v1alpha1"
        assert _answer(ours, sample) == (CREATED, "")


def test_scale_reads_and_writes_replicas(ours: ControlPlane, namespace: str) -> None:
    ours.client.create(_collection(namespace), _of_group(old_resource()))

    ours.kubectl("scale", f"{_NAME}/demo", "--replicas=3", f"--namespace={namespace}")

    assert ours.client.get(f"{_collection(namespace)}/demo")["spec"]["replicas"] == 3


# --- what is stored already ----------------------------------------------------------------------

_GO_ADMITS = (
    "long name",
    "dots",
    "no distribution",
    "fewest above most",
    "two budgets",
    "variable with two sources",
)
_STORED: dict[str, Json] = {
    **{name: obj for name, obj, _ in BROKEN_RULES if name in _GO_ADMITS},
    "port": old_resource("port", containerSpec={"port": 99999}),
    "container": old_resource("container", containerSpec={"name": "A B"}),
    "most": old_resource("most", autoscaling={"maxReplicas": 0}),
    "grace": old_resource("grace", podOverrides={"terminationGracePeriodSeconds": -1}),
    "size": old_resource("size", storage={"size": "-1Gi"}),
    "mount": old_resource(
        "mount", podOverrides={"volumeMounts": [{"name": "", "mountPath": "", "subPath": ""}]}
    ),
    "volume": old_resource("volume", podOverrides={"volumes": [{"name": ""}]}),
    "ConfigMap": old_resource("config-map", userConfig={"configMapName": "A B"}),
    "CA": old_resource("ca", tlsConfig={"caBundle": {"configMapName": "", "configMapKeys": ["/"]}}),
}
_STORED["replicas"] = old_resource("replicas")
_STORED["replicas"]["spec"]["replicas"] = -1
_STORED["labels"] = old_resource("labels")
_STORED["labels"]["spec"]["network"] = {"allowedFrom": {"labels": ["a=b"]}}
for _case, _obj in _STORED.items():
    if _case not in ("long name", "dots"):
        _obj["metadata"] = {"name": _case.lower().replace(" ", "-")}


@pytest.fixture(scope="module")
def taken_over(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Objects that the Go operator's CRD admitted, below our v1alpha1."""
    plane = control_plane
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "taken-over"}}
    plane.client.create("/api/v1/namespaces", namespace)
    apply(plane, CRDS, _go_crd())
    with _served(plane):
        for obj in _STORED.values():
            metadata = {**obj["metadata"], "finalizers": ["example.com/keeps"]}
            plane.client.create(_collection("taken-over"), _of_group({**obj, "metadata": metadata}))
        apply(plane, CRDS, _alone(custom_resource_definition()))
        until(lambda: _answer(plane, old_resource(distribution={}))[0] == REFUSED)
        yield plane
        for obj in _STORED.values():
            path = f"{_collection('taken-over')}/{obj['metadata']['name']}"
            plane.client.raw("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
    plane.client.delete("/api/v1/namespaces/taken-over")


def _patch(plane: ControlPlane, obj: Json, body: Json, *, below: str = "") -> tuple[int, str]:
    path = f"{_collection('taken-over')}/{obj['metadata']['name']}{below}"
    code, answer = plane.client.raw("PATCH", path, body, content_type=MERGE)
    return code, json.loads(answer).get("message", "")


@needs_go_crd
@pytest.mark.parametrize("case", _STORED)
@pytest.mark.parametrize(
    ("body", "below"),
    [
        pytest.param({"metadata": {"labels": {"a": "b"}}}, "", id="labels"),
        pytest.param({"metadata": {"finalizers": ["example.com/keeps", "a.b/c"]}}, "", id="more"),
        pytest.param({"status": {"phase": "Ready"}}, "/status", id="status"),
        pytest.param({"spec": {"server": {"workers": 2}}}, "", id="another field"),
    ],
)
def test_stored_value_that_is_refused_today_holds_nothing_up(
    taken_over: ControlPlane, case: str, body: Json, below: str
) -> None:
    assert _patch(taken_over, _STORED[case], body, below=below) == (200, "")


@needs_go_crd
@pytest.mark.parametrize("case", [case for case in _STORED if case not in ("long name", "dots")])
def test_what_is_stored_today_is_refused_when_it_is_new(
    taken_over: ControlPlane, case: str
) -> None:
    obj = {**_STORED[case], "metadata": {"name": "new"}}

    assert _answer(taken_over, obj, "taken-over")[0] == REFUSED
