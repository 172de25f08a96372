# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The control plane itself: what the other tests build on is really there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from hack.cluster.audit import counts
from hack.cluster.binaries import as_directory
from hack.cluster.errors import ApiFailure, ClusterError, ProcessFailedError
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.ports import free_port
from hack.cluster.state import Record, sweep
from hack.root import ROOT

pytestmark = pytest.mark.apiserver

_BARE = PlaneOptions(controller_manager=False)

Programs = Mapping[str, Path]


def _processes_below(directory: Path) -> list[str]:
    """The command lines of all processes that work in a directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(directory):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def _until(condition: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory for a control plane of another process; swept, should the test fail."""
    yield tmp_path / "plane"
    sweep(tmp_path / "plane")


def _config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}


# --- rights and identities -----------------------------------------------------------------


def test_unknown_user_is_forbidden_and_audited(control_plane: ControlPlane, namespace: str) -> None:
    mark = control_plane.audit.mark()
    path = f"/api/v1/namespaces/{namespace}/secrets"

    code, _ = control_plane.client_for("nobody").raw("GET", path)

    assert code == 403
    (request,) = [r for r in control_plane.audit.since(mark) if r.user == "nobody"]
    assert (request.verb, request.resource, request.code) == ("list", "secrets", 403)


def test_anonymous_may_not_read(control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiFailure, match="system:anonymous") as info:
        control_plane.anonymous_client().get(f"/api/v1/namespaces/{namespace}/configmaps")

    assert (info.value.code, info.value.reason) == (403, "Forbidden")


def test_user_may_do_what_rbac_grants_a_group(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl(
        *("create", "rolebinding", "readers", "-n", namespace),
        *("--clusterrole=view", "--group=readers"),
    )
    kubeconfig = control_plane.kubeconfig_for("Jane Doe", groups=("readers",))

    who = json.loads(
        control_plane.kubectl(f"--kubeconfig={kubeconfig}", "auth", "whoami", "-o", "json")
    )["status"]["userInfo"]
    control_plane.kubectl(f"--kubeconfig={kubeconfig}", "get", "configmaps", "-n", namespace)

    assert who["username"] == "Jane Doe"
    assert set(who["groups"]) == {"readers", "system:authenticated"}
    with pytest.raises(ClusterError, match="cannot create resource"):
        control_plane.kubectl(
            f"--kubeconfig={kubeconfig}", "create", "configmap", "x", "-n", namespace
        )


def test_kubeconfig_of_a_service_account_is_that_account(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "robot", "-n", namespace)

    kubeconfig = control_plane.kubeconfig_for_service_account(namespace, "robot")

    who = control_plane.kubectl(f"--kubeconfig={kubeconfig}", "auth", "whoami", "-o", "json")
    name = json.loads(who)["status"]["userInfo"]["username"]
    assert name == f"system:serviceaccount:{namespace}:robot"


# --- audit ---------------------------------------------------------------------------------


def test_every_request_since_a_mark_is_counted_once(
    control_plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    client = control_plane.client_for("writer", groups=("system:masters",))
    client.create(path, _config_map("before"))
    mark = control_plane.audit.mark()

    for number in range(20):
        client.create(path, _config_map(f"cm-{number}"))
    client.delete(f"{path}/before")
    client.raw("GET", f"{path}/absent")

    requests = [r for r in control_plane.audit.since(mark) if r.user == "writer"]
    assert counts(requests, ("verb", "resource", "namespace", "code")) == {
        ("create", "configmaps", namespace, 201): 20,
        ("delete", "configmaps", namespace, 200): 1,
        ("get", "configmaps", namespace, 404): 1,
    }
    assert len(control_plane.audit.writes_since(mark, user="writer")) == 21


def test_watch_is_seen_while_open_and_its_end_is_not_a_new_one(
    control_plane: ControlPlane, namespace: str
) -> None:
    def watches() -> list[str]:
        return [r.stage for r in control_plane.audit.since(before) if r.user == "watcher"]

    before = control_plane.audit.mark()
    client = control_plane.client_for("watcher", groups=("system:masters",))
    path = f"/api/v1/namespaces/{namespace}/configmaps?watch=true&timeoutSeconds=1"
    thread = threading.Thread(target=client.raw, args=("GET", path))
    thread.start()
    assert _until(lambda: watches() == ["ResponseStarted"], seconds=0.9)
    opened = control_plane.audit.mark()
    thread.join()

    assert watches() == ["ResponseComplete"]
    assert [r for r in control_plane.audit.since(opened) if r.user == "watcher"] == []


# --- disturbance ---------------------------------------------------------------------------


def test_killed_apiserver_comes_back_with_the_same_address_data_and_audit_log(
    control_plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    mark = control_plane.audit.mark()
    made = control_plane.client.create(path, _config_map("kept"))
    first = control_plane.programs["kube-apiserver"].id

    control_plane.restart_apiserver(kill=True)

    assert control_plane.programs["kube-apiserver"].id != first
    assert control_plane.client.get(f"{path}/kept")["metadata"] == made["metadata"]
    asked = [r for r in control_plane.audit.since(mark) if r.user == "admin"]
    requests = counts(r for r in asked if r.namespace == namespace)
    assert requests == {("create", "configmaps"): 1, ("get", "configmaps"): 1}


def test_terminated_apiserver_ends_soon_and_answers_nobody_until_it_is_started(
    control_plane: ControlPlane, namespace: str
) -> None:
    begun = time.monotonic()
    control_plane.stop_apiserver(kill=False)
    seconds = time.monotonic() - begun
    with pytest.raises(ApiFailure, match="did not answer") as info:
        control_plane.client.get(f"/api/v1/namespaces/{namespace}")

    control_plane.start_apiserver()

    assert seconds < 15  # open watches would hold it for a minute
    assert info.value.code == 0
    assert control_plane.client.exists(f"/api/v1/namespaces/{namespace}")


# --- life ----------------------------------------------------------------------------------


def test_two_side_by_side_know_nothing_of_each_other(
    control_plane: ControlPlane, kwok_plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}"

    assert control_plane.client.exists(path)
    assert not kwok_plane.client.exists(path)
    assert kwok_plane.client.ready()
    with pytest.raises(ClusterError, match="certificate"):
        control_plane.kubectl(f"--server={kwok_plane.server}", "get", "namespaces")


def test_taken_port_is_replaced_by_another(binaries: Programs) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as squatter:
        ports: Iterator[int] = iter([squatter.getsockname()[1], free := free_port()])
        plane = ControlPlane(binaries, _BARE, pick_port=lambda: next(ports))
        with plane:
            assert plane.port == free
            assert plane.client.ready()
            assert str(free) in plane.kubeconfig.read_text()


def test_wished_port_that_is_taken_is_named(binaries: Programs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        plane = ControlPlane(binaries, PlaneOptions(port=port))
        with pytest.raises(ClusterError, match=f"port {port} on 127.0.0.1 is in use"):
            plane.up()

    assert not plane.directory.exists()


def test_failed_start_shows_the_log_and_leaves_nothing(binaries: Programs) -> None:
    plane = ControlPlane(binaries, PlaneOptions(apiserver_flags=("--no-such-flag",)))

    with pytest.raises(ProcessFailedError, match=r"kube-apiserver ended.*no-such-flag"):
        plane.up()

    assert not plane.directory.exists()
    assert _processes_below(plane.directory) == []


def test_killed_owner_leaves_no_process_and_no_directory(place: Path, binaries: Programs) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from hack.cluster.binaries import obtain\n"
        "from hack.cluster.plane import ControlPlane, PlaneOptions\n"
        "options = PlaneOptions(controller_manager=False, directory=Path(sys.argv[1]))\n"
        "ControlPlane(obtain(), options).up()\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(place)],
        cwd=ROOT,
        env={**os.environ, "KUBEBUILDER_ASSETS": str(as_directory(binaries))},
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        assert len(_processes_below(place)) == 2
        owner.kill()

    assert _until(lambda: not place.exists())
    assert _processes_below(place) == []


# --- nodes ---------------------------------------------------------------------------------


def test_pods_become_ready_and_jobs_complete_on_simulated_nodes(
    kwok_plane: ControlPlane, kwok_namespace: str
) -> None:
    where = ("-n", kwok_namespace)
    kwok_plane.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=3", *where)
    kwok_plane.kubectl("create", "job", "once", "--image=once:1", *where)

    kwok_plane.kubectl("rollout", "status", "deployment/web", "--timeout=25s", *where)
    kwok_plane.kubectl("wait", "--for=condition=Complete", "job/once", "--timeout=25s", *where)

    pods = json.loads(kwok_plane.kubectl("get", "pods", "-l", "app=web", "-o", "json", *where))
    assert len(pods["items"]) == 3
    for pod in pods["items"]:
        assert pod["spec"]["nodeName"] in {"fake-0", "fake-1"}
        assert pod["status"]["podIP"].startswith("10.250.")
        assert pod["status"]["containerStatuses"][0]["ready"] is True


def test_deleted_pods_of_simulated_nodes_go_away(
    kwok_plane: ControlPlane, kwok_namespace: str
) -> None:
    where = ("-n", kwok_namespace)
    kwok_plane.kubectl("create", "deployment", "web", "--image=web:1", *where)
    kwok_plane.kubectl("rollout", "status", "deployment/web", "--timeout=25s", *where)

    kwok_plane.kubectl("delete", "deployment", "web", "--cascade=foreground", *where)

    assert kwok_plane.kubectl("get", "pods", "-o", "name", *where) == ""


# --- command -------------------------------------------------------------------------------


def _command(binaries: Programs, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hack.cluster", *arguments],
        cwd=ROOT,
        env={**os.environ, "KUBEBUILDER_ASSETS": str(as_directory(binaries))},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_command_up_stays_until_command_down(place: Path, binaries: Programs) -> None:
    where = ("--dir", str(place))
    up = _command(binaries, "up", "--nodes", "1", *where)
    again = _command(binaries, "up", *where)
    status = _command(binaries, "status", *where)
    nodes = subprocess.run(
        [binaries["kubectl"], f"--kubeconfig={up.stdout.strip()}", "get", "nodes", "-o", "name"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    down = _command(binaries, "down", *where)

    assert (up.returncode, up.stdout) == (0, f"{place}/kubeconfig\n"), up.stderr
    assert (again.returncode, again.stdout) == (0, up.stdout)
    assert nodes.stdout == "node/fake-0\n"
    assert status.returncode == 0
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"):
        assert any(line.startswith(name) and "MiB" in line for line in status.stdout.splitlines())
    assert (down.returncode, down.stdout) == (0, "")
    assert not place.exists()
    assert _processes_below(place) == []


def test_command_run_ends_when_it_is_told_to_and_leaves_nothing(
    place: Path, binaries: Programs
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "hack.cluster", "run", "--nodes", "0", "--dir", place],
        cwd=ROOT,
        env={**os.environ, "KUBEBUILDER_ASSETS": str(as_directory(binaries))},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == f"{place}/kubeconfig\n"
        record = Record.read(place)
        command.send_signal(signal.SIGTERM)  # handled as Ctrl-C is
        assert command.wait(timeout=20) == 0

    assert record is not None
    assert not any(process.alive() for process in record.processes.values())
    assert not place.exists()
