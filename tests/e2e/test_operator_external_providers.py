# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers, installed in the pods of real servers from images that are made here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from api.conditions import condition, is_true
from configs.external import containers
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace, wait_for
from tests.support.incluster import InCluster
from tests.support.provider_archives import SCRATCH, name_of, provider_archive
from tests.support.provider_wheels import image
from tests.support.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(700)]

_FAILING: Final = {
    "missing-metadata": "ERROR: Missing /lls-provider/lls-provider-spec.yaml in image {image}",
    "missing-packages": "ERROR: Missing /lls-provider/packages/ directory in image {image}",
    "empty-packages": "ERROR: No wheel files (*.whl) in /lls-provider/packages/ in image {image}",
    "unsupported-wheel": "ERROR: Cannot install provider '{id}'",
    "llama-stack": "llama-stack",
    "spec-none": "ERROR: Provider spec validation failed",
    "import-exits": "ERROR: Provider validation failed",
    "wrong-abi": "ERROR: Provider validation failed",
    "missing-dependency": "ERROR: Provider validation failed",
}
"""What is wrong with an image, and how the message of its provider begins."""

_PORT: Final = 8321
_SMALL: Final = {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}
_INSTALL: Final = {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}


@pytest.fixture(scope="module", autouse=True)
def provider_images(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("providers")
    cases = {case: image(case) for case in ("good", *_FAILING)}
    node.load(provider_archive({**cases, SCRATCH: image("good")}, Path(directory)))


def _external(case: str, **more: Any) -> dict[str, Any]:
    return {"providerId": f"my-{case}", "image": name_of(case), **more}


def _create(world: World, *providers: dict[str, Any], name: str = "demo", **spec: Any) -> None:
    resource = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": {
            "distribution": {"name": "starter"},
            "workload": _SMALL,
            "externalProviders": {"inference": list(providers), "install": _INSTALL},
            **spec,
        },
    }
    world.create("llsd", resource)


def _listed(restricted: Namespace, name: str = "demo") -> set[tuple[str, str, str]]:
    found = restricted.ask_json(f"{name}-service", _PORT, "/v1/providers")["data"]
    return {(p["api"], p["provider_id"], p["provider_type"]) for p in found}


def _said(restricted: Namespace, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    path = "/v1/chat/completions"
    answer = restricted.answer("POST", f"services/demo-service:{_PORT}", path, body)
    return str(answer["choices"][0]["message"]["content"])


def test_providers_are_installed_listed_and_answer(world: World, restricted: Namespace) -> None:
    """One beside the distribution's own, one in the place of one that is off (`${env.…:+vllm}`)."""
    _create(
        world,
        _external("good", config={"prefix": "said: "}),
        _external("good", providerId="vllm", config={"prefix": "overridden: "}),
    )

    status = world.wait_ready(deadline_s=240)["status"]
    (pod,) = restricted.pods("app.kubernetes.io/instance=demo")
    merged = restricted.log(pod["metadata"]["name"], container=containers.MERGE)

    assert {
        ("inference", "my-good", "remote::echo"),
        ("inference", "vllm", "remote::echo"),
    } <= _listed(restricted)
    assert _said(restricted, "my-good/echo-1") == "said: hello"
    assert _said(restricted, "vllm/echo-1") == "overridden: hello"
    assert [(p["providerId"], p["phase"]) for p in status["externalProviders"]] == [
        ("my-good", "Ready"),
        ("vllm", "Ready"),
    ]
    ready = condition({"status": status}, "ExternalProvidersReady")
    assert (ready["status"], ready["reason"]) == ("True", "AllProvidersReady")
    assert "External provider 'vllm' overrides base provider in API 'inference'" in merged


def test_every_mistake_is_one_message_and_the_repaired_image_is_taken(
    node: Node, world: World
) -> None:
    for case in _FAILING:
        _create(world, _external(case), name=case)

    for case, headline in _FAILING.items():
        cr = wait_for(f"{case} fails", partial(_failed, world, case), seconds=240)
        (provider,) = cr["status"]["externalProviders"]
        ids = {"id": f"my-{case}", "image": name_of(case)}
        assert provider["phase"] == "Failed", case
        message = provider["message"]
        assert headline.format(**ids) in message, message
        for part in (f"Provider: {ids['id']}", ids["image"], "Init Container: ", "Resolution: "):
            assert part in message, (part, message)
        assert condition(cr, "Ready")["status"] == "False"
        assert cr["status"]["phase"] == "Failed"

    node.tag(name_of("good"), name_of("empty-packages"))
    wait_for("the repaired one", lambda: _is_ready(world, "empty-packages"), seconds=240)


def _failed(world: World, name: str) -> dict[str, Any] | None:
    cr = world.must_get("llsd", name)
    return cr if condition(cr, "ExternalProvidersReady").get("status") == "False" else None


def _is_ready(world: World, name: str) -> bool:
    return is_true(world.must_get("llsd", name), "Ready")


def test_old_pods_serve_while_new_ones_fail(
    operator_in_cluster: InCluster, world: World, restricted: Namespace
) -> None:
    _create(world, _external("good"))
    world.wait_ready(deadline_s=240)
    (before,) = restricted.pods("app.kubernetes.io/instance=demo")

    wrong = {"inference": [_external("missing-packages", providerId="my-good")]}
    world.patch("llsd", "demo", {"spec": {"externalProviders": wrong}})
    cr = wait_for("the failure", lambda: _failed(world, "demo"), seconds=120)
    served = _listed(restricted)
    right = {"inference": [_external("good")]}
    world.patch("llsd", "demo", {"spec": {"externalProviders": right}})
    after = wait_for("it is ready again", lambda: _settled(world, restricted), seconds=240)

    assert ("inference", "my-good", "remote::echo") in served
    assert is_true(cr, "Available")
    assert condition(cr, "Ready")["reason"] == "ProviderInstallFailed"
    assert cr["status"]["phase"] == "Failed"
    assert after["metadata"]["uid"] == before["metadata"]["uid"], "the old ReplicaSet is the wanted"
    assert operator_in_cluster.leader()


def _settled(world: World, restricted: Namespace) -> dict[str, Any] | None:
    pods = restricted.pods("app.kubernetes.io/instance=demo")
    return pods[0] if len(pods) == 1 and _is_ready(world, "demo") else None


def test_image_of_nothing_but_files_is_mounted_where_the_cluster_can(
    operator_in_cluster: InCluster, world: World, restricted: Namespace
) -> None:
    with operator_in_cluster.started_with("--external-provider-delivery=auto"):
        _create(world, _external(SCRATCH))
        _create(world, _external("missing-metadata"), name="wrong")
        world.wait_ready(deadline_s=240)
        wrong = wait_for("the failure", lambda: _failed(world, "wrong"), seconds=120)

    assert ("inference", f"my-{SCRATCH}", "remote::echo") in _listed(restricted)
    (provider,) = wrong["status"]["externalProviders"]
    assert _FAILING["missing-metadata"].format(image=provider["image"]) in provider["message"]
