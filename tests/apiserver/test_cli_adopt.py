# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``diff --adopt`` before anything of this operator is in the cluster: with v1alpha1 alone.

``test_takeover`` compares what it says with what then happens.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane, PlaneOptions
from informers.ports import Resource
from llamastack_operator.cli.inventory import OLD
from tests.support.go_cases import BUNDLE, PORTS, resource, spec
from tests.support.go_definition import go_definition
from tests.support.go_operator import GoOperator, operator_config
from tests.support.operator_process import COMMAND
from tests.support.world import SYSTEM, eventually

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
VIEWER = "viewer"


@pytest.fixture(scope="module")
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    with ControlPlane(binaries, PlaneOptions()) as made:
        yield made


@pytest.fixture(scope="module")
def kubeconfig(plane: ControlPlane) -> Path:
    """Of somebody who may look, and who may not look at Secrets."""
    found = plane.kubeconfig_for(VIEWER)
    role = {"aggregationRule": None, "rules": [view_of(OLD)]}
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    plane.client.create(roles, {**role, "metadata": {"name": "llsd-viewer", "labels": labels}})
    plane.kubectl("create", "clusterrolebinding", VIEWER, "--clusterrole=view", f"--user={VIEWER}")
    return found


def view_of(kind: Resource) -> Json:
    return {
        "apiGroups": [kind.group],
        "resources": [kind.plural],
        "verbs": ["get", "list", "watch"],
    }


def diff(kubeconfig: Path, *words: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [*COMMAND, "diff", "--adopt", *words, "--kubeconfig", str(kubeconfig)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in result.stderr
    return result


def summaries(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The lines about whole resources."""
    lines = [line.partition(": ") for line in result.stdout.splitlines()]
    found: dict[str, str] = {}
    for label, _, text in lines:
        if label.startswith(("a/", "b/")):
            found.setdefault(label, text)
    return found


@pytest.fixture(scope="module")
def left(plane: ControlPlane, kubeconfig: Path) -> Path:
    """Namespaces as the Go operator leaves them; the kubeconfig of the viewer."""
    plane.client.create(DEFINITIONS, go_definition())
    plane.wait_for_definitions()
    for namespace in ("a", "b", SYSTEM):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        plane.client.create("/api/v1/namespaces", body)
    config = operator_config(SYSTEM, network_policies=True, starter="registry.example/mine:1")
    plane.client.create(f"/api/v1/namespaces/{SYSTEM}/configmaps", config)
    trusted = {"metadata": {"name": "odh-trusted-ca-bundle"}, "data": {"ca-bundle.crt": "x"}}
    plane.client.create("/api/v1/namespaces/b/configmaps", trusted)
    foreign = {
        "metadata": {"name": "taken-service"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
    }
    plane.client.create("/api/v1/namespaces/a/services", foreign)
    go = GoOperator(plane.client, network_policies=True)
    for name, namespace, given in (
        ("plain", "a", spec(containerSpec=PORTS)),
        ("taken", "a", spec()),
        ("unserved", "a", spec(distribution={"image": "registry.example/own:1"}, tlsConfig=BUNDLE)),
        ("trusting", "b", spec(containerSpec=PORTS)),
    ):
        made = plane.client.create(OLD.path(namespace=namespace), resource(name, namespace, given))
        go.reconcile(resource(name, namespace, given, made["metadata"]["uid"]))
    unknown = spec(distribution={"name": "no-such"})
    plane.client.create(OLD.path(namespace="a"), resource("unknown", "a", unknown))
    eventually("the viewer may look", lambda: diff(kubeconfig, "-A").stdout)
    return kubeconfig


def test_cluster_that_knows_nothing_says_so(plane: ControlPlane, kubeconfig: Path) -> None:
    """It has to run first: the other tests need the definition."""
    result = eventually(
        "the viewer may look",
        lambda: r if "does not know" in (r := diff(kubeconfig, "-A")).stderr else None,
    )

    assert result.returncode == 2
    assert "does not know LlamaStackDistribution" in result.stderr


def test_whole_cluster_is_reported_without_a_secret_or_a_write(
    plane: ControlPlane, left: Path
) -> None:
    mark = plane.audit.mark()

    result = diff(left, "-A")

    found = summaries(result)
    assert found["a/plain"].startswith("pods restart once: environment (")
    assert found["a/taken"].startswith('cannot be taken over: Service "taken-service" in namespace')
    assert found["a/unknown"].startswith("is not valid, so what runs is left as it is")
    assert found["b/trusting"].startswith("pods restart once: environment (")
    assert found["a/unserved"].startswith("is new: creates ConfigMap unserved-ca-bundle")
    assert "+        image: registry.example/mine:1" in result.stdout.splitlines()
    assert "a/unknown: spec.server.distribution.name: Unknown" in result.stdout
    assert result.returncode == 2
    asked = [r for r in plane.audit.since(mark) if r.user == VIEWER]
    assert {r.verb for r in asked} <= {"get", "list"}
    assert "secrets" not in {r.resource for r in asked}


def test_certificates_of_the_cluster_are_not_missed(left: Path) -> None:
    result = diff(left, "-n", "b", "trusting")

    lines = result.stdout.splitlines()
    assert result.returncode == 1
    assert "ConfigMap trusting-ca-bundle changes" in lines[-1]
    assert not [line for line in lines if line.startswith("-") and "SSL_CERT_FILE" in line]
    assert [line for line in lines if line.startswith("+") and "REQUESTS_CA_BUNDLE" in line]


def test_what_others_wrote_stays_and_is_not_shown(plane: ControlPlane, left: Path) -> None:
    path = "/apis/apps/v1/namespaces/a/deployments/plain"
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-31T12:00:00Z"}
    patch = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
    kind = "application/merge-patch+json"
    status, _ = plane.client.raw(
        "PATCH", f"{path}?fieldManager=kubectl-rollout", patch, content_type=kind
    )

    result = diff(left, "-n", "a", "plain")

    assert status == 200
    assert "restartedAt" not in result.stdout


def test_resources_are_named_or_all_of_a_namespace(left: Path) -> None:
    one, all_of_it = diff(left, "-n", "a", "plain"), diff(left, "-n", "a")
    nobody, nothing = diff(left, "-n", "a", "plain", "nobody"), diff(left)

    assert set(summaries(one)) == {"a/plain"}
    assert set(summaries(all_of_it)) == {"a/plain", "a/taken", "a/unknown", "a/unserved"}
    assert all_of_it.stdout.splitlines()[-1].startswith("4 resources: ")
    assert (nobody.returncode, nothing.returncode) == (2, 2)
    assert 'there is no LlamaStackDistribution nobody in namespace "a"' in nobody.stderr
    assert 'there is no LlamaStackDistribution in namespace "default"' in nothing.stderr


def test_configuration_that_must_not_be_read_is_a_warning(
    plane: ControlPlane, left: Path, tmp_path: Path
) -> None:
    user = plane.kubeconfig_for("tenant")
    plane.kubectl(
        "create", "rolebinding", "tenant", "-n", "b", "--clusterrole=view", "--user=tenant"
    )

    result = eventually(
        "the tenant may look", lambda: r if (r := diff(user, "-n", "b")).stdout else None
    )

    assert "llama-stack-operator-config must not be read: defaults are assumed" in result.stderr
    assert "registry.example/mine:1" not in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--adopt", "-f", "x"), "it takes no -f"),
        (("--adopt", "-A", "name"), "--all-namespaces goes neither with names"),
        (("--adopt", "-A", "-n", "a"), "--all-namespaces goes neither with names"),
        (("name",), "go with --adopt"),
        ((), "say what to compare: -f FILE, or --adopt"),
    ],
)
def test_arguments_that_exclude_each_other(words: tuple[str, ...], said: str) -> None:
    result = subprocess.run(
        [*COMMAND, "diff", *words], capture_output=True, text=True, timeout=60, check=False
    )

    assert result.returncode == 2
    assert said in result.stderr
    assert result.stdout == ""
