# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Trusted certificates on a live resource, with the operator's own rights.

Named ones and those of the cluster: set, changed, renewed, mistaken, removed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import certifi
import pytest

from api.conditions import condition
from controller.llamastack.cache.reference_index import ODH_CA_BUNDLE
from controller.llamastack.objects.ownership import owner_reference_to
from controller.llamastack.render.ca_bundle import CA_BUNDLE_DIRECTORY, CA_BUNDLE_PATH, VARIABLES
from controller.llamastack.render.labels import of_objects
from hack.cluster.audit import AuditedRequest, Mark
from tests.support.authority import Authority
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

BUNDLE = "demo-ca-bundle"
KEY = "ca-bundle.crt"
HASH = "llamastack.io/ca-bundle-hash"
FIELD = "spec.networking.tls.caBundle.configMapName"
TRUST = {"tls": {"caBundle": {"configMapName": "company"}}}
ONE, TWO = Authority("one"), Authority("two")


def put(world: World, data: dict[str, str], name: str = "company") -> None:
    metadata = {"name": name}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    world.create("configmap", manifest)


def renew(world: World, text: str, name: str = "company") -> None:
    world.patch("configmap", name, {"data": {KEY: text}})


def bundle(world: World) -> str:
    text: str = world.must_get("configmap", BUNDLE)["data"][KEY]
    return text


def template(world: World, name: str = "demo") -> dict[str, Any]:
    found: dict[str, Any] = world.must_get("deployment", name)["spec"]["template"]
    return found


def template_hash(world: World) -> str:
    return str((template(world)["metadata"].get("annotations") or {}).get(HASH, ""))


def variables(world: World) -> dict[str, str]:
    env = template(world)["spec"]["containers"][0]["env"]
    return {v["name"]: v["value"] for v in env if v["name"] in VARIABLES}


def replica_sets(world: World) -> int:
    return len(world.all("replicaset"))


def test_named_certificates_reach_the_pod_beside_the_public_ones(world: World) -> None:
    put(world, {"a.crt": ONE.pem, "b.crt": TWO.pem + ONE.pem})
    caught = {"configMapName": "company", "configMapKeys": ["b.crt", "a.crt"]}
    world.resource(networking={"tls": {"caBundle": caught}})
    world.wait_ready()

    text = bundle(world)
    pod = template(world)["spec"]
    assert sorted(text.split("-----BEGIN")[1:3]) == sorted(
        pem.partition("-----BEGIN")[2] for pem in (ONE.pem, TWO.pem)
    )
    assert text.count(ONE.pem) == text.count(TWO.pem) == 1
    assert text.count("BEGIN") > certifi.contents().count("BEGIN")
    assert variables(world) == dict.fromkeys(VARIABLES, CA_BUNDLE_PATH)
    assert {"name": "ca-bundle", "mountPath": CA_BUNDLE_DIRECTORY, "readOnly": True} in (
        pod["containers"][0]["volumeMounts"]
    )
    live = world.must_get("configmap", BUNDLE)["metadata"]
    assert live["ownerReferences"][0]["kind"] == "LlamaStackDistribution"
    assert live["annotations"][HASH] == template_hash(world)


def test_field_comes_changes_and_goes(world: World) -> None:
    put(world, {KEY: ONE.pem})
    put(world, {KEY: TWO.pem}, "other")
    world.resource()
    world.wait_ready()
    fresh = template(world)

    world.patch("llsd", "demo", {"spec": {"networking": TRUST}})
    eventually("the first", lambda: template_hash(world))
    first = template_hash(world)
    other = {"tls": {"caBundle": {"configMapName": "other"}}}
    world.patch("llsd", "demo", {"spec": {"networking": other}})
    eventually("the other", lambda: template_hash(world) != first)
    assert TWO.pem in bundle(world)
    assert ONE.pem not in bundle(world)

    world.patch("llsd", "demo", {"spec": {"networking": None}})
    eventually("no bundle", lambda: world.get("configmap", BUNDLE) is None)
    world.wait_ready()

    assert template(world) == fresh


def test_renewed_certificate_rolls_once_and_an_equal_rewrite_does_not(world: World) -> None:
    put(world, {KEY: ONE.pem + TWO.pem})
    world.resource(networking=TRUST)
    world.wait_ready()
    before = template_hash(world)
    sources = world.must_get("configmap", BUNDLE)["metadata"]["annotations"]

    renew(world, f"# the same\n{TWO.pem}\n{ONE.pem}{TWO.pem}")
    eventually(
        "the new version is seen",
        lambda: world.must_get("configmap", BUNDLE)["metadata"]["annotations"] != sources,
    )
    assert (template_hash(world), replica_sets(world)) == (before, 1)

    renew(world, ONE.pem)
    eventually("the pods are rolled", lambda: template_hash(world) != before)
    world.wait_ready()
    assert replica_sets(world) == 2
    assert TWO.pem not in bundle(world)


def test_mistake_is_told_and_what_runs_is_left_alone(world: World) -> None:
    put(world, {KEY: ONE.pem})
    world.resource(networking=TRUST)
    world.wait_ready()
    before = template(world)

    renew(world, ONE.pem + TWO.issue()[1])
    answer = world.wait_condition("SecretsResolved", "False")

    place = f'key "ca-bundle.crt" of ConfigMap "{world.namespace}/company"'
    assert answer["reason"] == "CABundleNotUsable"
    assert answer["message"].startswith(f"{place} holds a private key: take it out")
    assert answer["message"].endswith(f"Referenced by: {FIELD}")
    assert template(world) == before
    assert ONE.pem in bundle(world)

    renew(world, TWO.pem)
    world.wait_condition("SecretsResolved", "True")
    eventually("the new one", lambda: TWO.pem in bundle(world))


def test_missing_config_map_is_waited_for(world: World) -> None:
    world.resource(networking=TRUST)
    answer = world.wait_condition("SecretsResolved", "False")
    assert answer["reason"] == "ConfigMapNotFound"
    assert world.get("deployment", "demo") is None

    put(world, {KEY: ONE.pem})
    world.wait_ready()
    assert ONE.pem in bundle(world)


def test_bundle_of_the_cluster_is_found_joined_and_left_again(world: World) -> None:
    world.resource()
    world.wait_ready()
    fresh = template(world)

    started = time.monotonic()
    put(world, {KEY: ONE.pem, "odh-ca-bundle.crt": " \n"}, ODH_CA_BUNDLE)
    eventually("trust", lambda: template_hash(world))
    assert time.monotonic() - started < 5  # a second, and what a busy machine adds
    assert ONE.pem in bundle(world)

    put(world, {KEY: TWO.pem})
    world.patch("llsd", "demo", {"spec": {"networking": TRUST}})
    eventually("both", lambda: TWO.pem in bundle(world) and ONE.pem in bundle(world))

    world.patch("llsd", "demo", {"spec": {"networking": None}})
    eventually("one", lambda: TWO.pem not in bundle(world) and ONE.pem in bundle(world))
    world.delete("configmap", ODH_CA_BUNDLE)
    eventually("no bundle", lambda: world.get("configmap", BUNDLE) is None)
    world.wait_ready()
    assert template(world) == fresh


def test_bundle_of_the_cluster_that_was_there_first_is_found(world: World) -> None:
    put(world, {KEY: ONE.pem, "bad.crt": "nonsense"}, ODH_CA_BUNDLE)
    world.resource()
    cr = world.wait_ready()

    assert ONE.pem in bundle(world)
    message = condition(cr, "SecretsResolved")["message"]
    assert f'Key "bad.crt" of ConfigMap "{world.namespace}/{ODH_CA_BUNDLE}" was left out' in message
    eventually("Event", lambda: ("Warning", "CABundleQuestionable") in world.events())


def test_blank_bundle_of_the_cluster_is_no_bundle(world: World) -> None:
    put(world, {KEY: "", "odh-ca-bundle.crt": "\n \n"}, ODH_CA_BUNDLE)
    world.resource()
    world.wait_ready()

    assert world.get("configmap", BUNDLE) is None
    assert variables(world) == {}


def test_edited_or_deleted_bundle_is_repaired_without_a_restart(world: World) -> None:
    put(world, {KEY: ONE.pem})
    world.resource(networking=TRUST)
    world.wait_ready()
    good = bundle(world)

    renew(world, "mine", BUNDLE)
    eventually("repaired", lambda: bundle(world) == good)
    world.delete("configmap", BUNDLE)
    eventually("made again", lambda: world.get("configmap", BUNDLE))

    assert bundle(world) == good
    assert replica_sets(world) == 1


def test_bundle_of_the_go_operator_is_taken_over_with_all_its_keys(world: World) -> None:
    world.resource(networking=TRUST)
    world.wait_condition("SecretsResolved", "False")
    owner = world.must_get("llsd", "demo")
    reference = owner_reference_to(owner)
    metadata = {"name": BUNDLE, "labels": of_objects(), "ownerReferences": [reference]}
    theirs = {"metadata": metadata, "data": {KEY: TWO.pem, "left-over": "x"}}
    path = f"{world.path('configmap')}?fieldManager=manager"
    status, _ = world.client.raw("POST", path, theirs)
    assert status == 201

    put(world, {KEY: ONE.pem})
    world.wait_ready()

    assert set(world.must_get("configmap", BUNDLE)["data"]) == {KEY}
    assert ONE.pem in bundle(world)
    assert TWO.pem not in bundle(world)


def test_config_map_of_somebody_else_is_told_of_and_left_alone(world: World) -> None:
    put(world, {"mine": "x"}, BUNDLE)
    put(world, {KEY: ONE.pem})
    world.resource(networking=TRUST)

    answer = world.wait_condition("Ready", "False")

    assert answer["reason"] == "ResourceConflict"
    assert f'ConfigMap "{BUNDLE}"' in answer["message"]
    assert world.must_get("configmap", BUNDLE)["data"] == {"mine": "x"}


def test_variable_of_the_user_wins(world: World) -> None:
    put(world, {KEY: ONE.pem})
    mine = {"name": "SSL_CERT_FILE", "value": "/mine.crt"}
    world.resource(networking=TRUST, workload={"overrides": {"env": [mine]}})
    world.wait_ready()

    assert variables(world)["SSL_CERT_FILE"] == "/mine.crt"
    assert variables(world)["REQUESTS_CA_BUNDLE"] == CA_BUNDLE_PATH


def test_bundle_costs_one_write_and_one_read_and_none_where_there_is_no_certificate(
    world: World,
) -> None:
    put(world, {KEY: ONE.pem})
    mark = world.plane.audit.mark()
    world.resource("without")
    world.wait_ready("without")
    without = requests(world, mark)
    mark = world.plane.audit.mark()
    world.resource(networking=TRUST)
    world.wait_ready()
    trusting = requests(world, mark)

    assert [r for r in without if r.resource == "configmaps" and r.verb == "get"] == []
    assert [(r.verb, r.name) for r in trusting if r.resource == "configmaps"].count(
        ("get", "company")
    ) == 1
    children = 5  # ServiceAccount, Service, Deployment, two ConfigMaps
    assert len(trusting) <= children + 5, [(r.verb, r.resource, r.name) for r in trusting]


def requests(world: World, mark: Mark) -> list[AuditedRequest]:
    """About this namespace; the lists and watches of all are not."""
    return [r for r in world.requests_since(mark) if r.namespace == world.namespace]


def test_another_namespace_is_not_read(world: World) -> None:
    elsewhere = {"configMapName": "company", "configMapNamespace": "kube-system"}
    world.resource(networking={"tls": {"caBundle": elsewhere}})

    answer = world.wait_condition("SecretsResolved", "False")

    assert answer["reason"] == "CrossNamespaceReference"
    assert world.get("configmap", BUNDLE) is None


def test_restart_over_an_unchanged_world_reads_and_writes_nothing(
    world: World, operator: OperatorProcess, kubeconfig: Path
) -> None:
    put(world, {KEY: ONE.pem})
    put(world, {KEY: Authority("old", days=-1).pem}, ODH_CA_BUNDLE)
    world.resource(networking=TRUST)
    world.wait_ready()
    eventually("Event", lambda: ("Warning", "CABundleQuestionable") in world.events())
    operator.terminate()
    mark = world.plane.audit.mark()

    with OperatorProcess(kubeconfig) as again:
        again.wait_logged("Started workers")
        world.resource("last")
        world.wait_ready("last")

    requests = world.requests_since(mark)
    mine = [r for r in world.writes_since(mark) if r.name.startswith("demo")]
    assert mine == []
    read = [r.name for r in requests if r.resource == "configmaps" and r.verb == "get"]
    assert read in ([ODH_CA_BUNDLE], []), "for the new resource"


def test_another_namespace_is_read_and_followed_where_that_is_allowed(
    world: World, operator: OperatorProcess, kubeconfig: Path
) -> None:
    operator.terminate()
    home = world.plane.client
    path = "/api/v1/namespaces/kube-system/configmaps"
    name = f"company-{world.namespace}"
    home.create(path, {"metadata": {"name": name}, "data": {KEY: ONE.pem}})
    elsewhere = {"configMapName": name, "configMapNamespace": "kube-system"}

    with OperatorProcess(kubeconfig, "--allow-cross-namespace-config") as allowed:
        allowed.wait_logged("Started workers")
        world.resource(networking={"tls": {"caBundle": elsewhere}})
        world.wait_ready()
        assert ONE.pem in bundle(world)
        before = template_hash(world)

        change = {"data": {KEY: TWO.pem}}
        home.raw("PATCH", f"{path}/{name}", change, content_type="application/merge-patch+json")
        eventually("the new one", lambda: template_hash(world) != before)
        assert TWO.pem in bundle(world)
