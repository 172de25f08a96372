# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the Go operator did wrong, or accepted and then failed on, as v1alpha1 says it.

Each row of that table is a test here, or has no form of its own in v1alpha1: ``SAME`` says why, and
which test has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from api import OLD_VERSION, VERSION
from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.crdplane import MERGE
from tests.support.edits.materials import certificate
from tests.support.elsewhere import is_test
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import Webhooked, asked, collection, webhooked
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]

EDITS: Final = "apiserver/test_peer_defects_v1alpha1_edits::"
HERE: Final = "apiserver/test_peer_defects_v1alpha1_results::"

ROWS: Final[dict[str, str]] = {
    "a": f"{EDITS}test_edit_ends_where_a_fresh_resource_begins",
    "b": f"{HERE}test_edits_of_metadata_restart_no_pod",
    "e": f"{HERE}test_names_that_are_empty_are_no_names",
    "f": f"{HERE}test_config_map_of_another_namespace_is_refused",
    "g": f"{HERE}test_provider_without_configuration_fits_into_the_status_of_both_versions",
    "h": f"{HERE}test_server_that_its_autoscaler_scaled_is_ready",
    "i": f"{HERE}test_fewest_pods_are_never_more_than_the_most",
    "j": f"{HERE}test_foreign_deployment_is_nobody_elses",
    "k": f"{HERE}test_what_others_wrote_into_the_ingress_survives",
    "l": f"{HERE}test_what_cannot_work_is_refused_when_it_is_applied",
    "m": f"{HERE}test_name_that_children_cannot_have_is_refused",
    "n": f"{HERE}test_what_cannot_work_is_refused_when_it_is_applied",
    "o": f"{HERE}test_server_has_minutes_to_start_and_is_watched_from_then_on",
    "p": f"{HERE}test_changed_size_is_answered",
}
"""The test of a row."""

SAME: Final[dict[str, tuple[str, str]]] = {
    "c": (
        "the bundle of the cluster is a ConfigMap, which no field names",
        "apiserver/test_edits_ca_bundle::test_blank_bundle_of_the_cluster_is_no_bundle",
    ),
    "d": (
        "likewise; that its rotation restarts pods depends on no spec",
        "apiserver/test_peer_defects_results::"
        "test_bundle_of_many_keys_is_written_once_and_its_rotation_rolls_once",
    ),
    "p": (
        "class, modes and retention of a volume are fields of v1alpha2 alone",
        "apiserver/test_edits_storage::"
        "test_retained_claim_outlives_the_resource_and_serves_the_next_of_that_name",
    ),
    "q": (
        "children are rendered from the hub version",
        "unit/controller/llamastack/render/test_render_children::"
        "test_rendering_leaves_the_resource_alone",
    ),
    "r": (
        "about the operator's own manifests",
        "unit/deploy/test_deploy_manifests::"
        "test_probes_and_metrics_meet_the_ports_that_the_operator_listens_on",
    ),
}
"""Rows, or parts of them, without a form in v1alpha1: why, and where they are tested."""

OUR_PATH: Final = re.compile(r"spec\.(networking|workload|overrideConfig|distribution)\b")

REFUSED: Final[dict[str, tuple[Json, str]]] = {
    "no pod at most": (
        {"server": {"autoscaling": {"maxReplicas": 0}}},
        "spec.server.autoscaling.maxReplicas",
    ),
    "more pods at least than at most": (
        {"server": {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}},
        "spec.server.autoscaling.minReplicas",
    ),
    "a label with a value": (
        {"network": {"allowedFrom": {"labels": ["team=frontend"]}}},
        "spec.network.allowedFrom.labels[0]",
    ),
    "fewer replicas than none": ({"replicas": -1}, "spec.replicas"),
    "both numbers of a budget": (
        {"server": {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}},
        "spec.server.podDisruptionBudget",
    ),
    "no distribution": ({"server": {"distribution": {}}}, "spec.server.distribution"),
    "two distributions": (
        {"server": {"distribution": {"name": "starter", "image": "b"}}},
        "spec.server.distribution",
    ),
    "a port that is none": (
        {"server": {"containerSpec": {"port": 70000}}},
        "spec.server.containerSpec.port",
    ),
    "a key that leads elsewhere": (
        {"server": {"tlsConfig": {"caBundle": {"configMapName": "a", "configMapKeys": ["../b"]}}}},
        "spec.server.tlsConfig.caBundle.configMapKeys[0]",
    ),
}


@pytest.fixture(scope="module")
def hooked(kwok_plane: ControlPlane) -> Iterator[Webhooked]:
    with webhooked(kwok_plane) as where, asked(where):
        yield where


class Old:
    """One namespace, in which resources are written in v1alpha1."""

    def __init__(self, hooked: Webhooked, world: World) -> None:
        self.hooked = hooked
        self.world = world

    def create(self, spec: Json, name: str = "demo") -> None:
        code, message = self.answer(spec, name)
        assert code == 201, message

    def answer(self, spec: Json, name: str = "demo") -> tuple[int, str]:
        """Status and message of a creation."""
        obj = old_resource(name)
        server = {**obj["spec"]["server"], **spec.get("server", {})}
        obj["spec"] = {**spec, "server": server}
        return self.hooked.create(obj, self.world.namespace)

    def patch(self, patch: Json, name: str = "demo", subresource: str = "") -> Json:
        path = f"{collection(OLD_VERSION, self.world.namespace)}/{name}{subresource}"
        code, answer = self.hooked.ask("PATCH", path, patch, content_type=MERGE)
        assert code == 200, answer
        return answer


@pytest.fixture
def old(hooked: Webhooked, kwok_namespace: str) -> Old:
    return Old(hooked, World(hooked.plane, kwok_namespace))


def test_every_row_has_a_test_or_a_reason() -> None:
    assert {*ROWS, *SAME} == set("abcdefghijklmnopqr")


@pytest.mark.parametrize("test", [*ROWS.values(), *(test for _, test in SAME.values())])
def test_row_is_tested(test: str) -> None:
    assert is_test(test), test


def generation(world: World) -> int:
    found: int = world.must_get("deployment", "demo")["metadata"]["generation"]
    return found


def config_map(world: World, name: str, data: Mapping[str, str]) -> None:
    metadata = {"name": name}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
    world.create("configmap", obj)


def test_edits_of_metadata_restart_no_pod(old: Old) -> None:
    world = old.world
    config_map(world, "trust", {"ca-bundle.crt": certificate("trust")})
    keys = [f"{letter}.crt" for letter in "zebracup"]
    config_map(world, "odh-trusted-ca-bundle", {key: certificate(key) for key in keys})
    old.create({"server": {"tlsConfig": {"caBundle": {"configMapName": "trust"}}}})
    world.wait_ready()
    before = generation(world)

    for number in range(12):
        old.patch({"metadata": {"annotations": {"touched": str(number)}}})
    old.patch({"spec": {"replicas": 2}})
    world.wait_ready()

    assert generation(world) == before + 1
    assert len(world.all("replicaset")) == 1


def test_names_that_are_empty_are_no_names(old: Old) -> None:
    """A ConfigMap was mounted that nobody creates."""
    empty = {"tlsConfig": {"caBundle": {"configMapName": ""}}, "userConfig": {"configMapName": ""}}
    old.create({"server": empty})

    old.world.wait_ready()

    pod = old.world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    assert [v["name"] for v in pod["volumes"] if "configMap" in v] == []


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"userConfig": {}}, "spec.server.userConfig"),
        ({"tlsConfig": {"caBundle": {}}}, "spec.server.tlsConfig.caBundle"),
    ],
)
def test_config_map_of_another_namespace_is_refused(old: Old, section: Json, path: str) -> None:
    named = {"configMapName": "kube-root-ca.crt", "configMapNamespace": "kube-public"}
    ((field, inner),) = section.items()
    section = {field: dict.fromkeys(inner, named) or named}
    assert named in (section[field], section[field].get("caBundle"))

    code, message = old.answer({"server": section})

    assert code == 422
    assert f"{path}." in message
    assert "--allow-cross-namespace-config" in message
    assert OUR_PATH.search(message) is None


@pytest.mark.parametrize("version", [OLD_VERSION, VERSION])
@pytest.mark.parametrize("config", [{}, {"config": None}, {"config": {"url": "http://a"}}])
def test_provider_without_configuration_fits_into_the_status_of_both_versions(
    old: Old, config: Json, version: str
) -> None:
    """A status with one was refused, and so it stayed as it was for ever."""
    old.create({"replicas": 0})
    old.world.wait_ready()
    provider = {"api": "inference", "provider_id": "a", "provider_type": "remote::vllm", **config}
    status = {"distributionConfig": {"providers": [provider]}}
    path = f"{collection(version, old.world.namespace)}/demo"

    code, answer = old.hooked.ask("PATCH", f"{path}/status", {"status": status}, content_type=MERGE)

    assert code == 200, answer
    (told,) = answer["status"]["distributionConfig"]["providers"]
    assert told["provider_id"] == "a"
    assert told.get("config") == config.get("config")


def test_server_that_its_autoscaler_scaled_is_ready(old: Old) -> None:
    world = old.world
    old.create({"server": {"autoscaling": {"maxReplicas": 5}}})
    world.wait_ready()

    world.patch("deployment", "demo", {"spec": {"replicas": 3}})

    def scaled() -> bool:
        cr = old.hooked.get("demo", world.namespace, OLD_VERSION)
        available: int = cr["status"]["availableReplicas"]
        return available == 3 and cr["status"]["phase"] == "Ready"

    eventually("Ready with three", scaled)


def test_server_that_is_switched_off_is_ready(old: Old) -> None:
    old.create({"replicas": 0})
    old.world.wait_ready()

    status = old.hooked.get("demo", old.world.namespace, OLD_VERSION)["status"]

    assert (status["phase"], status["availableReplicas"]) == ("Ready", 0)


def test_fewest_pods_are_never_more_than_the_most(old: Old) -> None:
    """The replicas of the spec lifted the fewest above the most, which no autoscaler may have."""
    old.create({"replicas": 5, "server": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}})
    old.world.wait_ready()

    scaler = old.world.must_get("autoscaler", "demo-hpa")["spec"]

    assert scaler["minReplicas"] <= scaler["maxReplicas"] == 3


def test_foreign_deployment_is_nobody_elses(old: Old) -> None:
    world = old.world
    labels = {"app": "nginx"}
    world.create(
        "deployment",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "demo"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "nginx", "image": "nginx"}]},
                },
            },
        },
    )

    old.create({})

    assert world.wait_condition("Ready", "False")["reason"] == "ResourceConflict"
    status = old.hooked.get("demo", world.namespace, OLD_VERSION)["status"]
    assert (status["phase"], status["availableReplicas"]) == ("Failed", 0)


def test_what_others_wrote_into_the_ingress_survives(old: Old) -> None:
    world = old.world
    old.create({"network": {"exposeRoute": True}})
    world.wait_ready()
    theirs = {"ingressClassName": "theirs", "tls": [{"secretName": "theirs"}]}
    annotations = {"annotations": {"their.example/x": "1"}}
    world.patch("ingress", "demo-ingress", {"metadata": annotations, "spec": theirs})

    old.patch({"spec": {"server": {"containerSpec": {"port": 9000}}}})
    world.wait_ready()

    live = world.must_get("ingress", "demo-ingress")
    backend = live["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["port"]["number"] == 9000
    assert live["metadata"]["annotations"]["their.example/x"] == "1"
    assert theirs.items() <= live["spec"].items()


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_when_it_is_applied(old: Old, case: str) -> None:
    spec, path = REFUSED[case]

    code, message = old.answer(spec)

    assert code == 422, message
    assert path in message
    assert OUR_PATH.search(message) is None


@pytest.mark.parametrize("name", ["a" * 49, "with.dots"])
def test_name_that_children_cannot_have_is_refused(old: Old, name: str) -> None:
    code, message = old.answer({}, name)

    assert (code, "metadata.name" in message) == (422, True)


def test_server_has_minutes_to_start_and_is_watched_from_then_on(old: Old) -> None:
    old.create({"server": {"containerSpec": {"port": 9000}}})
    old.world.wait_ready()

    pod = old.world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    startup = only["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 300
    assert {"readinessProbe", "livenessProbe"} <= only.keys()


def test_changed_size_is_answered(old: Old) -> None:
    """It was ignored. A claim that is bound to nothing cannot grow, and that is said."""
    world = old.world
    old.create({"server": {"storage": {"size": "20Gi"}}})
    eventually("the claim", lambda: world.get("claim", "demo-pvc"))

    old.patch({"spec": {"server": {"storage": {"size": "10Gi"}}}})

    def told() -> Any:
        cr = old.hooked.get("demo", world.namespace, OLD_VERSION)
        said = str(condition(cr, "Ready").get("message", ""))
        return said.startswith("spec.server.storage.size: demo-pvc has 20Gi")

    eventually("the size is answered", told)
