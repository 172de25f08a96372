# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images with their own config, by the real operator, API server and registry.

An image with labels needs no override; one without says what it needs; a registry that hangs is
nobody else's business.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs import yaml_reader
from configs.engine import BASE_REQUIRED
from hack.cluster.plane import ControlPlane
from hack.servers.bed import Bed
from hack.servers.images import Image, Pusher
from hack.servers.registry import Registry, basic
from llamastack_operator.oci import labels
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, install

pytestmark = [
    pytest.mark.servers,
    pytest.mark.apiserver,
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

USER, PASSWORD = "alice", "wonder:land"
CONFIG = b"""\
version: 2
distro_name: mine
apis: [inference, responses]
providers:
  inference:
  - {provider_id: theirs, provider_type: 'remote::vllm', config: {base_url: 'http://a/v1'}}
only_in_the_image: true
"""


@pytest.fixture(scope="module")
def images(bed: Bed) -> Iterator[Registry]:
    with Registry(bed, htpasswd={USER: PASSWORD}) as registry:
        pusher = Pusher.to(registry, authorization=basic(USER, PASSWORD))
        pusher.push("mine", "1", Image({labels.BASE64: base64.b64encode(CONFIG).decode()}))
        pusher.push("plain", "1", Image())
        yield registry


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """A registry that takes every connection and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def kubeconfig(kwok_plane: ControlPlane) -> Path:
    return install(kwok_plane)


def operator_of(kubeconfig: Path, *registries: str) -> OperatorProcess:
    flags = [f"--registry-plain-http={registry}" for registry in registries]
    return OperatorProcess(kubeconfig, "--registry-timeout=4s", "--workers=2", *flags)


@pytest.fixture(scope="module")
def operator(kubeconfig: Path, images: Registry, silent: str) -> Iterator[OperatorProcess]:
    with operator_of(kubeconfig, images.host, silent) as process:
        process.wait_ready()
        process.wait_logged("Started workers")
        yield process
        assert process.terminate() == 0


@pytest.fixture
def world(kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    world = World(kwok_plane, kwok_namespace)
    world.secret()
    return world


def pull_secret(world: World, name: str, registry: str, password: str = PASSWORD) -> None:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    world.create(
        "secret",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps({"auths": {registry: {"auth": auth}}})},
        },
    )


def pulling(*secrets: str) -> dict[str, Any]:
    return {"overrides": {"imagePullSecrets": [{"name": name} for name in secrets]}}


def config_of(world: World, name: str = "demo") -> dict[str, Any]:
    (config_map,) = world.config_maps(name)
    data: dict[str, Any] = yaml_reader.load(
        world.must_get("configmap", config_map)["data"]["config.yaml"]
    )
    return data


@pytest.mark.usefixtures("operator")
def test_image_with_labels_needs_no_override(world: World, images: Registry) -> None:
    pull_secret(world, "pull", images.host)
    image = f"{images.host}/mine:1"
    world.resource(distribution={"image": image}, workload=pulling("pull"))

    status = world.wait_ready()["status"]

    assert status["resolvedDistribution"]["image"] == image
    assert status["resolvedDistribution"]["configSource"] == "oci-label"
    assert status["configGeneration"]["era"] == "0.7"
    config = config_of(world)
    assert config["only_in_the_image"] is True
    assert [entry["provider_id"] for entry in config["providers"]["inference"]] == ["vllm"]
    pod = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == image
    assert PASSWORD not in json.dumps([status, config, world.all("event")])


@pytest.mark.usefixtures("operator")
def test_pull_secret_of_the_service_account_will_do(world: World, images: Registry) -> None:
    pull_secret(world, "pull", images.host)
    world.create(
        "serviceaccount",
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "own"},
            "imagePullSecrets": [{"name": "pull"}],
        },
    )
    world.resource(
        distribution={"image": f"{images.host}/mine:1"},
        workload={"overrides": {"serviceAccountName": "own"}},
    )

    assert world.wait_ready()["status"]["resolvedDistribution"]["configSource"] == "oci-label"


@pytest.mark.usefixtures("operator")
def test_image_without_labels_requires_a_base(world: World, images: Registry) -> None:
    pull_secret(world, "pull", images.host)
    world.resource(distribution={"image": f"{images.host}/plain:1"}, workload=pulling("pull"))

    answer = world.wait_condition("ConfigGenerated", "False")

    assert answer["reason"] == "BaseConfigRequired"
    assert answer["message"] == f"spec.distribution.image: {BASE_REQUIRED}"
    assert world.get("deployment", "demo") is None


@pytest.mark.usefixtures("operator")
def test_right_password_opens_what_the_wrong_one_did_not(world: World, images: Registry) -> None:
    pull_secret(world, "pull", images.host, password="wrong")
    world.resource(distribution={"image": f"{images.host}/mine:1"}, workload=pulling("pull", "no"))

    answer = world.wait_condition("ConfigGenerated", "False")

    assert answer["reason"] == "ImageConfigUnavailable"
    assert 'tried pull secret "pull"; pull secret "no" does not exist' in answer["message"]
    assert world.wait_condition("Ready", "False")["reason"] == "ImageConfigUnavailable"

    world.delete("secret", "pull")
    pull_secret(world, "pull", images.host)

    assert world.wait_ready()["status"]["resolvedDistribution"]["configSource"] == "oci-label"


@pytest.mark.usefixtures("operator")
def test_registry_that_hangs_holds_up_nobody_else(world: World, silent: str) -> None:
    hanging = [f"hanging-{number}" for number in range(5)]  # more than there are workers
    for name in hanging:
        world.resource(name, distribution={"image": f"{silent}/{name}:1"})
    for name in hanging:
        waiting = world.wait_condition("ConfigGenerated", "Unknown", name)
        assert waiting["reason"] == "ImageConfigPending"
        assert world.wait_condition("Ready", "Unknown", name)["reason"] == "ImageConfigPending"
    began = time.monotonic()

    world.resource("quick")
    world.wait_ready("quick")

    assert time.monotonic() - began < 3.0
    answer = world.wait_condition("ConfigGenerated", "False", hanging[0])
    assert answer["reason"] == "ImageConfigUnavailable"
    assert "too long" in answer["message"] or "did not answer in time" in answer["message"]
