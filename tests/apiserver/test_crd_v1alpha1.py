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
from dataclasses import dataclass
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
needs_go_crd = pytest.mark.skipif(not _GO_CRD.exists(), reason="the Go operator's CRD is not here")


@dataclass(frozen=True)
class Alone:
    """A group of its own that has v1alpha1 as its only version.

    Attributes:
        plane: the control plane.
        group: the group.
    """

    plane: ControlPlane
    group: str

    @property
    def path(self) -> str:
        """The path of the CRD."""
        return f"{CRDS}/llamastackdistributions.{self.group}"

    def apply(self, crd: Json) -> None:
        """Apply the v1alpha1 of a CRD."""
        spec = crd["spec"]
        (version,) = [v for v in spec["versions"] if v["name"] == "v1alpha1"]
        names = {key: spec["names"][key] for key in ("kind", "listKind", "plural", "singular")}
        alone = {
            "apiVersion": crd["apiVersion"],
            "kind": crd["kind"],
            "metadata": {"name": f"llamastackdistributions.{self.group}"},
            "spec": {
                "group": self.group,
                "scope": spec["scope"],
                "names": names,
                "versions": [{**version, "storage": True}],
            },
        }
        apply(self.plane, CRDS, alone)

    def apply_ours(self) -> None:
        """Apply our own, and wait until its rules hold."""
        self.apply(custom_resource_definition())
        until(lambda: self.answer(old_resource(distribution={}))[0] == REFUSED)

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Until the CRD is served; afterwards it is gone."""
        until(lambda: self.plane.client.exists(self.collection("default")))
        yield
        self.plane.client.delete(self.path)
        until(lambda: not self.plane.client.exists(self.path))

    def collection(self, namespace: str) -> str:
        """The path of the resources in a namespace."""
        return f"/apis/{self.group}/v1alpha1/namespaces/{namespace}/llamastackdistributions"

    def create(self, obj: Json, namespace: str) -> Json:
        """Create a resource; the stored one."""
        obj = {**obj, "apiVersion": f"{self.group}/v1alpha1"}
        return self.plane.client.create(self.collection(namespace), obj)

    def answer(self, obj: Json, namespace: str = "default") -> tuple[int, str]:
        """Status and message of a creation that is not carried out, unknown fields refused."""
        path = f"{self.collection(namespace)}?dryRun=All&fieldValidation=Strict"
        obj = {**obj, "apiVersion": f"{self.group}/v1alpha1"}
        code, body = self.plane.client.raw("POST", path, obj)
        return code, json.loads(body).get("message", "")

    def patch(self, obj: Json, body: Json, namespace: str, *, below: str = "") -> tuple[int, str]:
        """Status and message of a merge patch."""
        path = f"{self.collection(namespace)}/{obj['metadata']['name']}{below}"
        code, answer = self.plane.client.raw("PATCH", path, body, content_type=MERGE)
        return code, json.loads(answer).get("message", "")


@pytest.fixture(scope="module")
def ours(control_plane: ControlPlane) -> Iterator[Alone]:
    """Our v1alpha1."""
    group = Alone(control_plane, "alone.llamastack.io")
    group.apply(custom_resource_definition())
    with group.served():
        group.apply_ours()
        yield group


def test_schema_is_structural(ours: Alone) -> None:
    conditions = ours.plane.client.get(ours.path)["status"]["conditions"]

    assert [item for item in conditions if item["type"] == "NonStructuralSchema"] == []


def test_api_server_writes_the_defaults_of_the_go_operator(ours: Alone, namespace: str) -> None:
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k"}}}]
    obj = old_resource(containerSpec={"env": env}, storage={}, podDisruptionBudget={})
    obj["spec"]["network"] = {}

    stored = ours.create(obj, namespace)

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


def test_everything_that_is_written_is_kept(ours: Alone, namespace: str) -> None:
    spec: Any = json.loads(json.dumps(FULL))
    # One of each pair that excludes the other.
    del spec["server"]["distribution"]["image"]
    del spec["server"]["podDisruptionBudget"]["minAvailable"]
    del spec["server"]["userConfig"]
    external = spec["server"]["externalProviders"]
    for section in external.keys() - {"install"}:
        external[section] = [{**external[section][0], "providerId": section.lower()}]
    obj = {**old_resource(), "spec": spec}
    assert ours.answer(obj) == (CREATED, "")

    stored = ours.create(obj, namespace)

    assert stored["spec"] == spec


@pytest.mark.parametrize(
    ("obj", "message"), [pytest.param(o, message, id=name) for name, o, message in BROKEN_RULES]
)
def test_broken_rule_is_told_with_the_path_of_its_field(
    ours: Alone, obj: Json, message: str
) -> None:
    code, said = ours.answer(obj)

    assert code == REFUSED
    assert f": {message}" in said


@pytest.mark.parametrize("name", STORED_BY_GO)
def test_what_the_go_operator_takes_for_a_field_left_out_is_admitted(
    ours: Alone, name: str
) -> None:
    assert ours.answer(old_resource(**STORED_BY_GO[name])) == (CREATED, "")


@needs_go_crd
def test_samples_of_the_go_operator_are_admitted(ours: Alone) -> None:
    samples = [
        manifest
        for file in sorted(_SAMPLES.glob("*.yaml"))
        for manifest in load_all(file.read_text("utf-8"))
        if manifest["kind"] == "LlamaStackDistribution"
    ]

    assert samples
    for sample in samples:
        assert sample["apiVersion"] == f"{GROUP}/v1alpha1"
        assert ours.answer(sample) == (CREATED, "")


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
def taken_over(control_plane: ControlPlane) -> Iterator[Alone]:
    """Objects that the Go operator's CRD admitted, below our v1alpha1."""
    group = Alone(control_plane, "taken-over.llamastack.io")
    group.apply(load(_GO_CRD.read_text("utf-8")))
    with group.served():
        for obj in _STORED.values():
            metadata = {**obj["metadata"], "finalizers": ["example.com/keeps"]}
            group.create({**obj, "metadata": metadata}, "default")
        group.apply_ours()
        yield group
        for obj in _STORED.values():
            done = group.patch(obj, {"metadata": {"finalizers": None}}, "default")
            assert done == (200, "")


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
    taken_over: Alone, case: str, body: Json, below: str
) -> None:
    assert taken_over.patch(_STORED[case], body, "default", below=below) == (200, "")


@needs_go_crd
@pytest.mark.parametrize("case", [case for case in _STORED if case not in ("long name", "dots")])
def test_what_is_stored_today_is_refused_when_it_is_new(taken_over: Alone, case: str) -> None:
    obj = {**_STORED[case], "metadata": {"name": "new"}}

    assert taken_over.answer(obj)[0] == REFUSED
