# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Commands against clusters that are not fit: one clear line, a status, no traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.yaml_reader import load
from controller.llamastack.objects.kinds import REGISTRY_STATE
from controller.llamastack.objects.ownership import owner_reference_to
from hack.cluster.plane import ControlPlane
from tests.support.world import DEPLOY, World, eventually, install, manifest

pytestmark = pytest.mark.apiserver

OFF = ("--metrics-bind-address=0", "--health-probe-bind-address=0", "--log-format=json")


def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
    result = subprocess.run(
        [sys.executable, "-m", "llamastack_operator", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**clean, **(env or {})},
    )
    assert "Traceback" not in result.stdout + result.stderr
    return result


def last_error(result: subprocess.CompletedProcess[str]) -> str:
    """What the operator says last; it ends with one line for each finding."""
    records = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    stopped = [r["error"] for r in records if r["event"] == "Stopped"]
    assert len(stopped) == 1, result.stderr
    return str(stopped[0])


@pytest.fixture
def installed(control_plane: ControlPlane) -> Path:
    return install(control_plane)


def test_unreachable_cluster(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )

    result = run("--kubeconfig", str(path), *OFF)

    assert result.returncode == 1
    assert last_error(result).startswith("cannot reach the API server at https://127.0.0.1:1")


def test_kubeconfig_that_does_not_exist(tmp_path: Path) -> None:
    result = run("--kubeconfig", str(tmp_path / "absent"), *OFF)

    assert result.returncode == 1
    assert "does not exist; give --kubeconfig FILE" in last_error(result)


def test_credentials_that_are_not_accepted(control_plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = json.loads(control_plane.kubectl("config", "view", "--raw", "-o", "json"))
    kubeconfig["users"][0]["user"] = {"token": "wrong"}
    path = tmp_path / "config"
    path.write_text(json.dumps(kubeconfig))

    result = run("--kubeconfig", str(path), *OFF)

    assert result.returncode == 1
    assert "does not accept the credentials" in last_error(result)


def test_install_and_deploy_get_along_in_any_order(control_plane: ControlPlane) -> None:
    """Whoever applies the same after somebody else has no conflict."""
    flags = f"--kubeconfig={control_plane.kubeconfig}"

    def deploy() -> None:
        control_plane.kubectl("apply", "--server-side", "-k", str(DEPLOY / "crd"))
        control_plane.kubectl("apply", "--server-side", "-k", str(DEPLOY / "policy"))
        control_plane.kubectl("apply", "--server-side", "-k", str(DEPLOY / "webhook"))

    control_plane.kubectl("apply", "--server-side", "-k", str(DEPLOY / "namespace"))
    try:
        for steps in (("install", deploy), (deploy, "install", deploy)):
            for step in steps:
                done = step() if callable(step) else run(step, flags)
                assert done is None or done.returncode == 0, done
            assert run("uninstall", flags).returncode == 0
        assert run("install", flags, "--webhook-url=https://127.0.0.1:9443").returncode == 0

        back = run("install", flags)

        gone = "ValidatingWebhookConfiguration llamastackdistributions.llamastack.io deleted: it"
        assert gone in back.stdout, "nobody could write otherwise once that operator has ended"
        deploy()
        assert "was not there" not in run("uninstall", flags).stdout
    finally:
        run("uninstall", flags)


def test_missing_crd_says_how_to_install_it(control_plane: ControlPlane) -> None:
    crd = "customresourcedefinitions/llamastackdistributions.llamastack.io"
    control_plane.kubectl("delete", crd, "--ignore-not-found")

    result = run("--kubeconfig", str(control_plane.kubeconfig), *OFF)

    assert result.returncode == 1
    assert "is not installed in this cluster; run" in last_error(result)


def test_missing_rights_are_listed_by_verb_and_resource(
    control_plane: ControlPlane, installed: Path
) -> None:
    kubeconfig = control_plane.kubeconfig_for("nobody-special")
    # Everybody may ask what is served; nobody-special may do nothing else.

    result = run("--kubeconfig", str(kubeconfig), *OFF)

    assert result.returncode == 1
    lines = last_error(result).splitlines()
    assert 'missing right: create deployments (API group "apps")' in lines
    assert 'missing right: watch secrets (API group "core")' in lines
    assert all(line.startswith("missing right: ") for line in lines)


def test_port_in_use_names_the_flag(installed: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = run(
            "--kubeconfig", str(installed), *OFF, f"--metrics-bind-address=127.0.0.1:{port}"
        )

    assert result.returncode == 1
    assert last_error(result).startswith(f"--metrics-bind-address 127.0.0.1:{port}: ")


@pytest.fixture
def emptied(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    yield control_plane
    install(control_plane)


def test_install_twice_then_uninstall_refuses_while_resources_exist(
    emptied: ControlPlane, namespace: str
) -> None:
    plane = emptied
    cluster = ("--kubeconfig", str(plane.kubeconfig))
    for _ in range(2):
        result = run("install", *cluster)
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1].endswith("llamastack.io/v1alpha2 is served")
    world = World(plane, namespace)
    world.create("llsd", manifest("demo"))

    refused = run("uninstall", *cluster)
    deleted = run("uninstall", *cluster, "--delete-resources")
    again = run("uninstall", *cluster)

    assert refused.returncode == 1
    assert "LlamaStackDistribution objects exist" in refused.stderr
    assert "--delete-resources" in refused.stderr
    assert deleted.returncode == 0, deleted.stderr
    assert again.returncode == 0
    assert "was not there" in again.stdout


def test_namespaced_operator_needs_rights_in_its_namespace_only(
    control_plane: ControlPlane, installed: Path, namespace: str
) -> None:
    """With ``--namespace`` a Role there is enough, and the message says where one is missing."""
    user = control_plane.kubeconfig_for("tenant")

    result = run("--kubeconfig", str(user), "--namespace", namespace, *OFF)

    assert result.returncode == 1
    assert all(f"in namespace {namespace}" in line for line in last_error(result).splitlines())


def test_context_that_does_not_exist_is_named(installed: Path) -> None:
    result = run("--kubeconfig", str(installed), "--context", "nope", *OFF)

    assert result.returncode == 1
    assert "nope" in last_error(result)


# --- render and diff -----------------------------------------------------------------------


def resource_file(path: Path, **spec: object) -> Path:
    path.write_text(json.dumps(manifest("demo", **spec)))
    return path


def test_kubectl_applies_what_render_writes(
    control_plane: ControlPlane, installed: Path, namespace: str, tmp_path: Path
) -> None:
    """In the order of the files; twice, which changes nothing; and again after a change."""
    file, out = resource_file(tmp_path / "demo.json"), tmp_path / "out"
    world = World(control_plane, namespace)  # enforces Pod Security "restricted"
    render = ("render", "-f", str(file), "-n", namespace, "-o", str(out))

    assert run(*render).returncode == 0
    first = control_plane.kubectl("apply", "-f", str(out))
    control_plane.kubectl("apply", "-f", str(out))
    generation = world.must_get("deployment", "demo")["metadata"]["generation"]
    resource_file(file, workload={"replicas": 0})
    assert run(*render).returncode == 0
    changed = control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(out))

    kinds = [line.partition("/")[0] for line in first.splitlines()]
    assert kinds == ["configmap", "serviceaccount", "deployment.apps", "service"]
    assert all(line.endswith(" created") for line in first.splitlines())
    assert generation == 1
    assert len(changed.splitlines()) == 4
    assert world.must_get("deployment", "demo")["spec"]["replicas"] == 0
    mounted = world.must_get("deployment", "demo")["spec"]["template"]["spec"]["volumes"]
    names = {volume["configMap"]["name"] for volume in mounted if "configMap" in volume}
    assert names == set(world.config_maps())


def test_diff_against_the_cluster(
    control_plane: ControlPlane, installed: Path, namespace: str, tmp_path: Path
) -> None:
    file = resource_file(tmp_path / "demo.json")
    diff = ("diff", "-f", str(file), "-n", namespace, "--kubeconfig", str(control_plane.kubeconfig))
    world = World(control_plane, namespace)

    absent = run(*diff)
    world.resource()
    same = run(*diff)
    resource_file(file, workload={"replicas": 0})
    other = run(*diff)

    assert absent.returncode == 1
    assert absent.stdout.splitlines()[-1].startswith(f"{namespace}/demo: is new: creates ConfigMap")
    assert (same.returncode, same.stdout) == (0, f"{namespace}/demo: nothing changes\n")
    assert other.returncode == 1
    assert other.stdout.splitlines()[-1] == f"{namespace}/demo: no pod restarts; replicas 1 to 0"


def test_diff_knows_the_registry_of_the_running_server(
    control_plane: ControlPlane, installed: Path, namespace: str, tmp_path: Path
) -> None:
    """A Deployment on its third registry: the next one is the fourth, not the second."""
    world = World(control_plane, namespace)
    cr = world.resource()
    old, out = resource_file(tmp_path / "demo.json"), tmp_path / "out"
    assert run("render", "-f", str(old), "-n", namespace, "-o", str(out)).returncode == 0
    deployment = next(load(p.read_text()) for p in out.iterdir() if "deployment" in p.name)
    metadata = deployment["metadata"]
    metadata["annotations"][REGISTRY_STATE] = metadata["annotations"][REGISTRY_STATE].replace(
        '"key":1', '"key":3'
    )
    metadata["ownerReferences"] = [owner_reference_to(cr)]
    world.create("deployment", deployment)
    changed = {"models": [{"name": "llama", "contextLength": 4096}]}
    resource_file(old, resources=changed)

    cluster = ("--kubeconfig", str(control_plane.kubeconfig))
    result = run("diff", "-f", str(old), "-n", namespace, *cluster)

    assert result.returncode == 1, result.stderr
    assert "-      namespace: registry-3" in result.stdout.splitlines()
    assert "+      namespace: registry-4" in result.stdout.splitlines()
    assert "begins a new registry because of model vllm/llama" in result.stdout.splitlines()[-1]


def test_diff_needs_only_to_read_the_resource(
    control_plane: ControlPlane, installed: Path, namespace: str, tmp_path: Path
) -> None:
    file = resource_file(tmp_path / "demo.json")
    world = World(control_plane, namespace)
    world.resource()
    kubeconfig = control_plane.kubeconfig_for("reader")
    diff = ("diff", "-f", str(file), "-n", namespace, "--kubeconfig", str(kubeconfig))

    refused = run(*diff)
    control_plane.kubectl(
        "create",
        "role",
        "reader",
        "-n",
        namespace,
        "--verb=get",
        "--resource=llamastackdistributions.llamastack.io",
    )
    control_plane.kubectl(
        "create", "rolebinding", "reader", "-n", namespace, "--role=reader", "--user=reader"
    )
    allowed = eventually(
        "the role is in force", lambda: r if (r := run(*diff)).returncode != 2 else None
    )

    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("error: ")
    assert 'cannot get resource "llamastackdistributions"' in refused.stderr
    assert (allowed.returncode, allowed.stdout) == (0, f"{namespace}/demo: nothing changes\n")


def test_diff_where_nothing_is_installed(emptied: ControlPlane, tmp_path: Path) -> None:
    crd = "customresourcedefinitions/llamastackdistributions.llamastack.io"
    emptied.kubectl("delete", crd, "--ignore-not-found")
    file = resource_file(tmp_path / "demo.json")

    result = run("diff", "-f", str(file), "--kubeconfig", str(emptied.kubeconfig))

    assert result.returncode == 2
    assert "does not know LlamaStackDistribution llamastack.io/v1alpha2; run" in result.stderr
