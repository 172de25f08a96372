# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers, installed in the pods of real servers from images that are made here.

What can be wrong with an image is in ``test_operator_external_failures``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from api.conditions import condition, is_true
from configs.external import containers
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace, wait_for
from tests.support import trustyai_fms
from tests.support.authority import Authority
from tests.support.database import Database
from tests.support.external_resource import with_external
from tests.support.incluster import NAME, InCluster
from tests.support.provider_archives import NodeImage, name_of, provider_archive
from tests.support.provider_wheels import image
from tests.support.working_providers import RUNTIME_TYPE, misdescribed, shield, updated
from tests.support.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(700)]

_PORT: Final = 8321
_ECHO: Final = "remote::echo"
_SAID: Final = "$(id) `id` $(HOME) '\"; exit 1 #\n{{ x }} %s: "
"""Text that means something to a shell, to the kubelet and to YAML, and nothing here."""

_MISMATCH: Final = f"""\
WARNING: Provider metadata mismatch (non-blocking)

Provider: my-other

Field: provider_type
  Metadata (lls-provider-spec.yaml): remote::echo
  Runtime (get_provider_spec()): {RUNTIME_TYPE}
  Using: {RUNTIME_TYPE} (runtime value)

Field: api
  Metadata (lls-provider-spec.yaml): inference
  Runtime (get_provider_spec()): inference
  Match ✓

Note: Update lls-provider-spec.yaml to match runtime implementation for mismatched fields.
"""
_OVERRIDE: Final = """\
version: 2
distro_name: mine
apis: [inference]
providers:
  inference:
  - provider_id: my-good
    provider_type: remote::vllm
    config: {base_url: "http://vllm.invalid:8000/v1"}
server:
  port: 8321
  tls_certfile: /etc/llama-stack-tls/tls.crt
  tls_keyfile: /etc/llama-stack-tls/tls.key
storage:
  backends:
    kv_default: {type: kv_sqlite, db_path: /.llama/kv.db}
    sql_default: {type: sql_sqlite, db_path: /.llama/sql.db}
"""


@pytest.fixture(scope="module", autouse=True)
def provider_images(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    images = {
        "good": NodeImage(image("good")),
        "updated": NodeImage(updated()),
        "other": NodeImage(misdescribed()),
        "shield": NodeImage(shield()),
        "missing-packages": NodeImage(image("missing-packages")),
        "scratch": NodeImage(image("good"), on_base=False),
    }
    node.load(provider_archive(images, Path(tmp_path_factory.mktemp("providers"))))


def _external(case: str, **more: Any) -> dict[str, Any]:
    return {"providerId": f"my-{case}", "image": name_of(case), **more}


def _create(world: World, *providers: dict[str, Any], **more: Any) -> None:
    world.create("llsd", _resource(*providers, **more))


def _resource(
    *providers: dict[str, Any], more: Mapping[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    return with_external({"inference": list(providers), **(more or {})}, **spec)


def _set_image(world: World, case: str) -> None:
    """Of the one provider ``my-good``."""
    providers = [_external(case, providerId="my-good")]
    patch = {"spec": {"externalProviders": {"inference": providers}}}
    world.patch_patiently("llsd", "demo", patch)


def _pods(restricted: Namespace) -> list[dict[str, Any]]:
    return restricted.pods("app.kubernetes.io/instance=demo")


def _listed(restricted: Namespace, service: str = f"demo-service:{_PORT}") -> set[tuple[str, ...]]:
    found = restricted.answer("GET", f"services/{service}", "/v1/providers")["data"]
    return {(p["api"], p["provider_id"], p["provider_type"]) for p in found}


def _said(restricted: Namespace, model: str, service: str = f"demo-service:{_PORT}") -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    answer = restricted.answer("POST", f"services/{service}", "/v1/chat/completions", body)
    return str(answer["choices"][0]["message"]["content"])


def test_providers_are_installed_listed_and_answer(
    operator_in_cluster: InCluster, world: World, restricted: Namespace, published_provider: str
) -> None:
    """Of one API and of another, also one that others wrote; new ones, and in the place of others.

    Of those one is on, and one is off.
    """
    trustyai = {
        "providerId": "trustyai",
        "image": published_provider,
        "config": trustyai_fms.config("http://detector.invalid:8000"),
    }
    _create(
        world,
        _external("good", config={"prefix": _SAID}),
        _external("good", providerId="vllm", config={"prefix": "conditional: "}),
        _external("good", providerId="groq", config={"prefix": "plain: "}),
        _external("other"),
        more={"safety": [_external("shield"), trustyai]},
    )

    status = world.wait_ready(deadline_s=240)["status"]
    (pod,) = (each["metadata"]["name"] for each in _pods(restricted))
    merged = restricted.log(pod, container=containers.MERGE)
    loaded = restricted.log(pod, container=containers.PREFLIGHT)
    echoes = ["my-good", "vllm", "groq", "my-other"]
    ids = [*echoes, "my-shield", "trustyai"]
    listed = _listed(restricted)

    assert {("inference", each, _ECHO) for each in echoes} <= listed
    assert ("safety", "trustyai", trustyai_fms.TYPE) in listed
    assert ("safety", "my-shield", "inline::no-shield") in listed
    assert _said(restricted, "my-good/echo-1") == f"{_SAID}hello"
    assert _said(restricted, "vllm/echo-1") == "conditional: hello"
    assert _said(restricted, "groq/echo-1") == "plain: hello"
    assert [(p["providerId"], p["phase"]) for p in status["externalProviders"]] == [
        (each, "Ready") for each in ids
    ]
    ready = condition({"status": status}, "ExternalProvidersReady")
    assert (ready["reason"], ready["message"]) == (
        "AllProvidersReady",
        "6/6 external providers ready",
    )
    for each in ("vllm", "groq"):
        assert (
            f"WARNING: External provider '{each}' overrides base provider in API 'inference'\n"
            f"  Base type: remote::{each}\n  External type: {_ECHO}\n"
        ) in merged
    assert _MISMATCH in loaded
    assert loaded.endswith("All providers validated successfully\n")
    warnings = [str(r) for r in operator_in_cluster.records(operator_in_cluster.leading_pod())]
    text = (
        "Provider ID 'groq' defined in both base config and externalProviders. "
        f"Using external provider (image: {name_of('good')})"
    )
    assert any(text in each.replace("\\'", "'") for each in warnings)


def test_override_with_https_rolls_to_another_image_though_the_leader_is_killed(
    operator_in_cluster: InCluster, world: World, restricted: Namespace
) -> None:
    service = f"https:demo-service:{_PORT}"
    certificate, key = Authority().issue()
    world.secret("certificate", **{"tls.crt": certificate, "tls.key": key})
    data = {"config.yaml": _OVERRIDE}
    meta = {"name": "mine"}
    world.create(
        "configmap", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
    )
    tls = {"enabled": True, "secretName": "certificate"}
    _create(
        world,
        _external("good"),
        overrideConfig={"configMapName": "mine"},
        networking={"tls": tls},
    )
    world.wait_ready(deadline_s=240)
    (before,) = _pods(restricted)
    merged = restricted.log(before["metadata"]["name"], container=containers.MERGE)
    first = _said(restricted, "my-good/echo-1", service)
    old = operator_in_cluster.leading_pod()

    _set_image(world, "updated")
    wait_for("the new pod", lambda: len(world.all("replicaset")) == 2)
    operator_in_cluster.kill(old)
    wait_for("it rolled", lambda: _is_another(world, restricted, before), seconds=240)
    second = _said(restricted, "my-good/echo-1", service)
    operator_in_cluster.system.wait_for_deployment(NAME)

    assert (
        "WARNING: Provider ID 'my-good' in both ConfigMap and externalProviders. "
        "Using external provider."
    ) in merged
    assert _listed(restricted, service) == {("inference", "my-good", _ECHO)}
    assert (first, second) == ("echo: hello", "updated: echo: hello")
    assert len(world.all("replicaset")) == 2, "one roll for one image"


def _is_another(world: World, restricted: Namespace, before: Mapping[str, Any]) -> bool:
    """Whether a pod took the place of one, and the status says that all is well."""
    uids = {pod["metadata"]["uid"] for pod in _pods(restricted)}
    return len(uids) == 1 and before["metadata"]["uid"] not in uids and _is_ready(world)


def _is_ready(world: World) -> bool:
    return is_true(world.must_get("llsd", "demo"), "Ready")


def test_server_with_postgresql_comes_back_with_its_node(
    operator_in_cluster: InCluster,
    node: Node,
    world: World,
    restricted: Namespace,
    database: Database,
) -> None:
    """Every init container runs again, on volumes that hold what it left."""
    world.secret("database", url=database.url)
    key = {"secretKeyRef": {"name": "database", "key": "url"}}
    storage = {"sql": {"type": "postgres", "connectionString": key}}
    _create(world, _external("good"), storage=storage)
    world.wait_ready(deadline_s=240)
    service = f"services/demo-service:{_PORT}"
    made = restricted.answer("POST", service, "/v1/conversations", {"items": []})
    (before,) = _pods(restricted)

    node.restart()
    wait_for("the pod came back", lambda: _came_back(restricted, before), seconds=240)
    operator_in_cluster.system.wait_for_deployment(NAME)
    (after,) = _pods(restricted)

    assert _said(restricted, "my-good/echo-1") == "echo: hello"
    assert restricted.answer("GET", service, f"/v1/conversations/{made['id']}") == made
    assert {each["restartCount"] for each in after["status"]["initContainerStatuses"]} == {1}
    wait_for("the status says so", lambda: _is_ready(world), seconds=120)


def _came_back(restricted: Namespace, before: Mapping[str, Any]) -> bool:
    (pod,) = _pods(restricted)
    (container,) = pod["status"]["containerStatuses"]
    assert pod["metadata"]["uid"] == before["metadata"]["uid"]
    return bool(container["restartCount"] and container["ready"])


def test_old_pods_serve_while_new_ones_fail_and_the_repaired_image_is_taken(
    node: Node, world: World, restricted: Namespace
) -> None:
    _create(world, _external("good"))
    world.wait_ready(deadline_s=240)
    (before,) = _pods(restricted)

    _set_image(world, "missing-packages")
    cr = wait_for("the failure", lambda: _failed(world, "demo"), seconds=120)
    served = _said(restricted, "my-good/echo-1")
    node.tag(name_of("updated"), name_of("missing-packages"))
    wait_for("it recovers", lambda: _is_another(world, restricted, before), seconds=240)

    assert served == "echo: hello"
    assert is_true(cr, "Available")
    assert condition(cr, "Ready")["reason"] == "ProviderInstallFailed"
    assert cr["status"]["phase"] == "Failed"
    assert _said(restricted, "my-good/echo-1") == "updated: echo: hello"


def _failed(world: World, name: str) -> dict[str, Any] | None:
    cr = world.must_get("llsd", name)
    return cr if condition(cr, "ExternalProvidersReady").get("status") == "False" else None


def test_image_of_nothing_but_files_is_mounted_where_the_cluster_can(
    operator_in_cluster: InCluster, world: World, restricted: Namespace
) -> None:
    with operator_in_cluster.started_with("--external-provider-delivery=auto"):
        _create(world, _external("scratch"))
        world.wait_ready(deadline_s=240)

    assert ("inference", "my-scratch", _ECHO) in _listed(restricted)
    assert _said(restricted, "my-scratch/echo-1") == "echo: hello"


# --- refused, or not to be had --------------------------------------------------------------------


def test_image_that_is_nowhere(world: World) -> None:
    _create(world, _external("nowhere"))

    cr = wait_for("the failure", lambda: _failed(world, "demo"), seconds=120)

    (provider,) = cr["status"]["externalProviders"]
    assert provider["message"] == (
        f"Failed to pull provider image {name_of('nowhere')}\n\n"
        f"Provider: my-nowhere\nImage: {name_of('nowhere')}\n"
        f"Init Container: {containers.install('my-nowhere')}\n\n"
        "Resolution: Check the image reference and that the pod's ServiceAccount has "
        "imagePullSecrets for this registry."
    )
    assert condition(cr, "ExternalProvidersReady")["reason"] == "ProviderImagePullFailed"


_REFUSED: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "same id": (
        {"more": {"safety": [_external("shield", providerId="my-good")]}},
        "spec.externalProviders.safety: a providerId is used in another section, too",
    ),
    "disabled": (
        {"disabled": ["inference"]},
        'spec.disabled[0]: "inference" is configured and disabled at the same time',
    ),
    "no such API": (
        {"more": {"postTraining": [_external("shield")]}},
        "spec.externalProviders.postTraining: servers of era 0.7 have no such API",
    ),
    "no such variable": (
        {"more": {"safety": [_external("shield", config={"key": "${env.NOWHERE}"})]}},
        "NOWHERE, which nothing sets",
    ),
}
"""What is added to a resource → part of the answer."""


@pytest.mark.parametrize("case", _REFUSED)
def test_resource_that_cannot_be_installed_is_refused(world: World, case: str) -> None:
    added, text = _REFUSED[case]

    resource = _resource(_external("good"), **added)
    code, answer = world.client.raw("POST", world.path("llsd"), resource)

    assert 400 <= code < 500
    assert text in json.loads(answer)["message"]
