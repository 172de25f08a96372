# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What ``deploy`` says is what the code does: rights, ports, flags, names."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api import webhook
from configs.yaml_reader import load_all
from controller.llamastack.objects.kinds import (
    ANYUID_ROLE,
    FEATURE_FLAGS,
    IMAGE_OVERRIDES,
    OPERATOR_CONFIG_NAME,
)
from controller.llamastack.operator_config.parse import OperatorConfig, Reading, read
from controller.llamastack.watches import BINDING_RIGHTS, RIGHTS, ROUTE_RIGHTS, Right
from hack.root import ROOT
from llamastack_operator.election.core import Timings
from llamastack_operator.manager import DRAIN_S, FLUSH_S, LEASE_NAME
from llamastack_operator.settings import Settings, add_arguments, from_args
from llamastack_operator.storage_migration import MIGRATION_RIGHTS
from llamastack_operator.webhooks.names import SECRET
from llamastack_operator.webhooks.server import STOP_TIMEOUT_S
from llamastack_operator.webhooks.serving import SECRET_RIGHTS, TARGET_RIGHTS

_DEPLOY = ROOT / "deploy"
_NAMESPACE = "llama-stack-k8s-operator-system"
_SERVICE_ACCOUNT = "llama-stack-k8s-operator-controller-manager"

BASES = ("namespace", "crd", "policy", "rbac", "manager", "webhook")

Rule = tuple[str, str, str]  # API group, resource or resource/subresource, verb


def _documents(path: Path) -> list[Any]:
    return [document for document in load_all(path.read_text("utf-8")) if document is not None]


def _files() -> list[Path]:
    return sorted(_DEPLOY.rglob("*.yaml"))


def _only(path: str) -> dict[str, Any]:
    (document,) = _documents(_DEPLOY / path)
    return dict(document)


def _expanded(role: dict[str, Any]) -> Iterator[Rule]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield group, resource, verb


def _rules(rights: Iterable[Right]) -> set[Rule]:
    return {
        (r.resource.group, "/".join(filter(None, (r.resource.plural, r.subresource))), r.verb)
        for r in rights
    }


def _manager() -> dict[str, Any]:
    return _only("manager/manager.yaml")


def _container() -> dict[str, Any]:
    (container,) = _manager()["spec"]["template"]["spec"]["containers"]
    return dict(container)


# --- the files -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(_DEPLOY)))
def test_every_file_holds_kubernetes_objects(path: Path) -> None:
    documents = _documents(path)

    assert documents
    assert all(isinstance(d, dict) and d["apiVersion"] and d["kind"] for d in documents)


def test_every_file_is_listed_by_its_kustomization() -> None:
    for kustomization in _DEPLOY.rglob("kustomization.yaml"):
        (document,) = _documents(kustomization)
        resources = document.get("resources", [])
        listed = {name for name in resources if name.endswith(".yaml")}
        there = {path.name for path in kustomization.parent.glob("*.yaml")}

        assert listed == there - {"kustomization.yaml"}, kustomization


def test_default_deploys_every_base() -> None:
    bases = set(_only("default/kustomization.yaml")["resources"])

    assert bases == {f"../{base}" for base in BASES}


def test_objects_are_in_the_namespace_that_is_created() -> None:
    cluster_scoped = {"ClusterRole", "ClusterRoleBinding", "Namespace", "PriorityClass"}
    found = [
        (document["kind"], document["metadata"].get("namespace"))
        for base in ("namespace", "rbac", "manager")
        for path in (_DEPLOY / base).glob("*.yaml")
        for document in _documents(path)
        if document["kind"] != "Kustomization"
    ]

    assert _only("namespace/namespace.yaml")["metadata"]["name"] == _NAMESPACE
    assert {namespace for kind, namespace in found if kind not in cluster_scoped} == {_NAMESPACE}


# --- rights --------------------------------------------------------------------------------


def test_operator_is_granted_exactly_what_the_code_declares() -> None:
    granted = list(_expanded(_only("rbac/manager_role.yaml")))

    assert set(granted) == _rules((*RIGHTS, *ROUTE_RIGHTS))
    assert len(granted) == len(set(granted))


def test_right_to_bind_is_for_one_role_and_granted_apart() -> None:
    role = _only("openshift-anyuid/anyuid_role.yaml")

    assert set(_expanded(role)) == _rules(BINDING_RIGHTS)
    named = {
        rule["resources"][0]: (rule.get("resourceNames"), rule["verbs"]) for rule in role["rules"]
    }
    assert named["clusterroles"] == ([ANYUID_ROLE], ["bind", "get"])
    for path in sorted((_DEPLOY / "rbac").glob("*_role.yaml")):
        (other,) = _documents(path)
        assert "bind" not in {verb for _, _, verb in _expanded(other)}
        assert "rbac.authorization.k8s.io" not in {group for group, _, _ in _expanded(other)}


def test_example_of_the_operators_config_map_holds_the_defaults() -> None:
    example = _only("operator-config.yaml")

    assert example["metadata"] == {"name": OPERATOR_CONFIG_NAME, "namespace": _NAMESPACE}
    assert set(example["data"]) == {FEATURE_FLAGS, IMAGE_OVERRIDES}
    assert read(example["data"]) == Reading(OperatorConfig())


def test_lease_can_be_created_and_only_ours_be_read_and_renewed() -> None:
    role = _only("rbac/leader_election_role.yaml")

    assert role["kind"] == "Role"
    own_image = ("", "pods", "list")
    assert set(_expanded(role)) == {
        own_image,
        *(("coordination.k8s.io", "leases", verb) for verb in ("create", "get", "update")),
    }
    by_name = {tuple(rule["verbs"]): rule.get("resourceNames") for rule in role["rules"]}
    assert by_name == {("list",): None, ("create",): None, ("get", "update"): [LEASE_NAME]}


@pytest.mark.parametrize(
    ("path", "kind", "rights", "names"),
    [
        ("rbac/webhook_certificate_role.yaml", "Role", SECRET_RIGHTS, {SECRET}),
        (
            "rbac/webhook_ca_bundle_role.yaml",
            "ClusterRole",
            (*TARGET_RIGHTS, *MIGRATION_RIGHTS),
            {webhook.NAME},
        ),
    ],
)
def test_webhooks_may_write_their_own_objects_only(
    path: str, kind: str, rights: tuple[Right, ...], names: set[str]
) -> None:
    role = _only(path)

    assert role["kind"] == kind
    assert set(_expanded(role)) == _rules(rights)
    for rule in role["rules"]:
        if rule["verbs"] != ["create"]:
            assert set(rule["resourceNames"]) == names


@pytest.mark.parametrize(
    "path", sorted((_DEPLOY / "rbac").glob("*_role.yaml")), ids=lambda p: p.stem
)
def test_no_role_uses_a_wildcard(path: Path) -> None:
    (role,) = _documents(path)

    assert not any("*" in part for rule in _expanded(role) for part in rule)


@pytest.mark.parametrize(
    "path", sorted((_DEPLOY / "rbac").glob("*_role.yaml")), ids=lambda p: p.stem
)
def test_rules_and_verbs_are_in_alphabetical_order(path: Path) -> None:
    (role,) = _documents(path)
    rules = [(r["apiGroups"], r["resources"]) for r in role["rules"]]

    assert rules == sorted(rules)
    assert all(rule["verbs"] == sorted(rule["verbs"]) for rule in role["rules"])


@pytest.mark.parametrize(
    ("binding", "role"),
    [
        ("rbac/manager_role_binding.yaml", "rbac/manager_role.yaml"),
        ("rbac/leader_election_role_binding.yaml", "rbac/leader_election_role.yaml"),
        ("rbac/webhook_certificate_role_binding.yaml", "rbac/webhook_certificate_role.yaml"),
        ("rbac/webhook_ca_bundle_role_binding.yaml", "rbac/webhook_ca_bundle_role.yaml"),
        ("openshift-anyuid/anyuid_role_binding.yaml", "openshift-anyuid/anyuid_role.yaml"),
    ],
)
def test_roles_are_bound_to_the_operators_account(binding: str, role: str) -> None:
    account = _only("rbac/service_account.yaml")
    bound, granted = _only(binding), _only(role)

    assert account["metadata"] == {"name": _SERVICE_ACCOUNT, "namespace": _NAMESPACE}
    assert bound["subjects"] == [{"kind": "ServiceAccount", **account["metadata"]}]
    assert (bound["roleRef"]["kind"], bound["roleRef"]["name"]) == (
        granted["kind"],
        granted["metadata"]["name"],
    )


@pytest.mark.parametrize(
    ("path", "aggregated_to"),
    [("rbac/llsd_editor_role.yaml", {"admin", "edit"}), ("rbac/llsd_viewer_role.yaml", {"view"})],
)
def test_people_get_their_rights_with_the_usual_roles(path: str, aggregated_to: set[str]) -> None:
    role = _only(path)

    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    labels = role["metadata"]["labels"]
    assert labels == {prefix + name: "true" for name in aggregated_to}
    assert {group for group, _, _ in _expanded(role)} == {"llamastack.io"}


def test_nobody_may_write_the_status_but_the_operator() -> None:
    status = {
        verb
        for path in ("rbac/llsd_editor_role.yaml", "rbac/llsd_viewer_role.yaml")
        for _, resource, verb in _expanded(_only(path))
        if resource.endswith("/status")
    }

    assert status == {"get"}


# --- the operator's pods -------------------------------------------------------------------


def test_image_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert _container()["image"] == f"{project['name']}:{project['version']}"


def _settings(arguments: list[str]) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_args(parser.parse_args(arguments), {"OPERATOR_NAMESPACE": _NAMESPACE})


def test_two_replicas_elect_a_leader_in_their_namespace() -> None:
    deployment = _manager()
    settings = _settings(_container()["args"])

    assert deployment["metadata"]["name"] == _SERVICE_ACCOUNT
    assert deployment["spec"]["replicas"] == 2
    assert settings.leader_elect
    assert settings.leader_elect_namespace == _NAMESPACE
    assert settings.log_format == "json"


def test_pod_says_who_and_where_it_is() -> None:
    fields = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in _container()["env"]}

    assert fields == {"POD_NAME": "metadata.name", "OPERATOR_NAMESPACE": "metadata.namespace"}


def test_one_selector_finds_the_pods_everywhere() -> None:
    deployment = _manager()
    pod = deployment["spec"]["template"]
    (term,) = pod["spec"]["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]

    labels = pod["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == labels
    budget = _only("manager/pod_disruption_budget.yaml")["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert budget["maxUnavailable"] == 1
    assert _only("manager/metrics_service.yaml")["spec"]["selector"] == labels


def test_probes_and_metrics_meet_the_ports_that_the_operator_listens_on() -> None:
    container = _container()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = _settings(container["args"])

    assert ports == {
        "metrics": settings.metrics_bind_address.port,
        "probes": settings.health_probe_bind_address.port,
        "webhook": 9443,
    }
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "probes"}
    (port,) = _only("manager/metrics_service.yaml")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (ports["metrics"], "metrics")


def test_webhooks_lead_through_their_service_to_the_pods() -> None:
    service = _only("webhook/service.yaml")
    (port,) = service["spec"]["ports"]
    called = webhook.service(webhook.VALIDATE)["service"]

    assert (service["metadata"]["name"], service["metadata"]["namespace"], port["port"]) == (
        called["name"],
        called["namespace"],
        called["port"],
    )
    assert port["targetPort"] == "webhook"
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_start_on_a_busy_node_gets_minutes_and_is_noticed_at_once() -> None:
    probe = _container()["startupProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] >= 180
    assert probe["periodSeconds"] <= 5


def test_pod_gets_more_time_to_stop_than_the_operator_takes() -> None:
    grace = _manager()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    release_s = Timings().renew_deadline_s  # which bounds it
    assert grace >= DRAIN_S + FLUSH_S + release_s + STOP_TIMEOUT_S


def test_memory_is_limited_and_cpu_is_not() -> None:
    resources = _container()["resources"]

    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}
