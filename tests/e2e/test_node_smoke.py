# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The node itself: real containers, reached as the operator and its users reach them.

If these fail, no other end-to-end test says anything about the operator.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from hack.cluster.errors import ApiFailure
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace, wait_for
from hack.images import probe
from hack.root import ROOT
from tests.support.printing import RESTRICTED, printed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_CONFIG = """\
version: 2
distro_name: smoke
apis: [inference]
providers:
  inference:
  - provider_id: vllm
    provider_type: remote::vllm
    config: {base_url: "http://vllm.invalid:8000/v1"}
storage:
  backends:
    kv_default: {type: kv_sqlite, db_path: /.llama/kv.db}
    sql_default: {type: sql_sqlite, db_path: /.llama/sql.db}
"""


def _deployment(name: str, container: dict[str, Any], **pod: Any) -> dict[str, Any]:
    spec = {
        "containers": [{"name": "main", "securityContext": RESTRICTED, **container}],
        "terminationGracePeriodSeconds": 1,
        **pod,
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _service(name: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": port}]},
    }


def _probes(path: str, port: int) -> dict[str, Any]:
    probe_ = {"httpGet": {"path": path, "port": port}, "periodSeconds": 1}
    return {"readinessProbe": probe_, "startupProbe": {**probe_, "failureThreshold": 120}}


def test_deployment_serves_through_its_service_and_its_log_is_read(
    restricted: Namespace,
) -> None:
    container = {"image": probe.NAME, "args": ["serve", "8080"], **_probes("/", 8080)}
    restricted.client.create(f"{restricted.apps}/deployments", _deployment("web", container))
    restricted.client.create(f"{restricted.core}/services", _service("web", 8080))

    restricted.wait_for_deployment("web")
    code, body = wait_for("an answer", lambda: _answered(restricted, "web", 8080, "/hello"))
    (pod,) = restricted.pods("app=web")
    log = restricted.log(pod["metadata"]["name"])

    assert (code, body.strip()) == (200, pod["metadata"]["name"])
    assert "GET /hello" in log.splitlines()


def _answered(namespace: Namespace, service: str, port: int, path: str) -> tuple[int, str] | None:
    code, body = namespace.ask(service, port, path)
    return (code, body) if code < 500 else None


def test_last_words_of_a_crash_loop_are_read(restricted: Namespace) -> None:
    container = {"image": probe.NAME, "args": ["fail", "no", "such", "config"]}
    restricted.client.create(f"{restricted.apps}/deployments", _deployment("bad", container))

    def looping() -> dict[str, Any] | None:
        for pod in restricted.pods("app=bad"):
            (status,) = pod["status"].get("containerStatuses") or [{}]
            waiting = status.get("state", {}).get("waiting", {})
            if waiting.get("reason") == "CrashLoopBackOff":
                return restricted.last_termination(pod["metadata"]["name"])
        return None

    ended = wait_for("a crash loop", looping)

    assert (ended["exitCode"], ended["message"]) == (3, "no such config")


def test_pod_finds_the_api_server_by_name_and_is_known_by_its_token(
    restricted: Namespace, server_image: str
) -> None:
    script = """
import json, ssl, urllib.request
place = "/var/run/secrets/kubernetes.io/serviceaccount"
token = open(f"{place}/token").read()
url = "https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews"
body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
request = urllib.request.Request(
    url, json.dumps(body).encode(),
    {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
)
tls = ssl.create_default_context(cafile=f"{place}/ca.crt")
answer = json.load(urllib.request.urlopen(request, context=tls, timeout=10))
print(answer["status"]["userInfo"]["username"])
"""

    said = printed(restricted, server_image, script)

    assert said == f"system:serviceaccount:{restricted.name}:default"


def test_claim_becomes_a_volume_that_any_user_can_write(
    restricted: Namespace, server_image: str
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "claim"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    restricted.client.create(f"{restricted.core}/persistentvolumeclaims", claim)
    script = """
import os
with open("/data/file", "w") as file:
    file.write("kept")
print(os.getuid(), open("/data/file").read())
"""

    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}

    assert printed(restricted, server_image, script, (volume,)) == "1001 kept"


def test_pod_that_asks_for_too_much_is_refused(restricted: Namespace) -> None:
    container = {"name": "main", "image": probe.NAME, "securityContext": {"privileged": True}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bad"},
        "spec": {"containers": [container]},
    }

    with pytest.raises(ApiFailure, match='violates PodSecurity "restricted'):
        restricted.client.create(f"{restricted.core}/pods", pod)


def test_real_server_answers_through_its_service(restricted: Namespace, server_image: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config"},
        "data": {"config.yaml": _CONFIG},
    }
    container = {
        "image": server_image,
        "env": [
            {"name": "RUN_CONFIG_PATH", "value": "/etc/llama-stack/config.yaml"},
            {"name": "LLAMA_STACK_PORT", "value": "8321"},
        ],
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/llama-stack", "readOnly": True},
            {"name": "data", "mountPath": "/.llama"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's
        ],
        **_probes("/v1/health", 8321),
    }
    volumes = [
        {"name": "config", "configMap": {"name": "config"}},
        {"name": "data", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    restricted.client.create(f"{restricted.core}/configmaps", config)
    restricted.client.create(
        f"{restricted.apps}/deployments", _deployment("llama", container, volumes=volumes)
    )
    restricted.client.create(f"{restricted.core}/services", _service("llama", 8321))

    restricted.wait_for_deployment("llama")
    health = wait_for("health", lambda: restricted.ask_json("llama", 8321, "/v1/health"))
    providers = restricted.ask_json("llama", 8321, "/v1/providers")["data"]

    assert health == {"status": "OK"}
    assert [(p["api"], p["provider_type"]) for p in providers] == [("inference", "remote::vllm")]


def test_node_takes_no_image_of_this_machine_and_says_which_it_has(
    node: Node, server_image: str
) -> None:
    assert {probe.NAME, probe.PAUSE, server_image} <= set(node.image_names())


_OWNER = """\
import os, signal, sys
from hack.cluster.binaries import obtain
from hack.cluster.node import programs
from hack.cluster.node.node import Node, NodeOptions
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.images import probe

with ControlPlane(obtain(), PlaneOptions(scheduler=True)) as plane:
    found = programs.obtain()
    with Node(plane, found, NodeOptions(name="node-1")) as node:
        node.load(probe.image(probe.NAME, found["pause"], node.directory / "probe.tar"))
        words = ("--image", probe.NAME, "--restart=Never", "--", "/pause", "serve", "8080")
        plane.kubectl("run", "served", *words)
        plane.kubectl("wait", "--for=condition=Ready", "pod/served", "--timeout=60s", timeout=70)
        print(plane.directory, node.directory, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_node_whose_owner_was_killed(node: Node) -> None:
    del node  # the programs have been obtained

    ended = subprocess.run(
        [sys.executable, "-c", _OWNER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    plane, directory = map(Path, ended.stdout.split())
    wait_for("nothing of the folders", lambda: not plane.exists() and not directory.exists())
    wait_for("the end of every process", lambda: not _mentioning(str(plane), str(directory)))
    assert list(Path("/sys/fs/cgroup").glob(f"**/*-{directory.name}")) == []
    assert str(directory) not in Path("/proc/mounts").read_text(encoding="utf-8")


def _mentioning(*words: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if _mentions(p, words)]


def _mentions(process: psutil.Process, words: tuple[str, ...]) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(word in part for part in process.cmdline() for word in words)
    return False
