# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The init containers of external providers: which, in which order, what each runs and sees."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from configs.external import containers
from tests.support.installing import (
    MERGE_IMAGE,
    OPTIONS,
    TWO,
    content_of,
    inputs,
    pod_of,
    provider,
    rendered,
)
from tests.support.rendering import VLLM

ROOT = "/opt/llama-stack/external-providers"
TMP = "/tmp"  # noqa: S108 -- of containers
NO_PREFLIGHT = replace(OPTIONS, preflight=False)
IMAGE_VOLUMES = replace(OPTIONS, image_volumes=True)

Json = dict[str, Any]


def by_name(pod: Json) -> dict[str, Json]:
    """The init containers."""
    return {each["name"]: each for each in pod["initContainers"]}


def mounts(container: Json) -> dict[str, Json]:
    """Path → mount."""
    found = {each["mountPath"]: each for each in container["volumeMounts"]}
    assert len(found) == len(container["volumeMounts"]), "a path twice is refused"
    return found


def env(container: Json) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


# --- which, and in which order --------------------------------------------------------------------


def test_order_is_that_of_the_resource_then_the_merge_then_the_preflight() -> None:
    pod = pod_of(
        {
            "vectorIo": [provider("v")],
            "datasetIo": [provider("d")],
            "inference": [provider("z"), provider("a")],
        }
    )

    assert [each["name"] for each in pod["initContainers"]] == [
        "install-provider-z",
        "install-provider-a",
        "install-provider-v",
        "install-provider-d",
        "merge-config",
        "preflight",
    ]


def test_containers_are_named_as_the_status_names_them_also_where_an_id_is_long() -> None:
    identity = "p" * 63
    pod = pod_of({"inference": [provider(identity)]})

    (name, *_) = by_name(pod)
    assert name == containers.install(identity)
    assert len(name) == 63
    assert mounts(by_name(pod)[name])[ROOT]["subPath"] == f"staged/{identity}"


@pytest.mark.parametrize("external", [{}, {"inference": []}, {"install": {"sizeLimit": "1Gi"}}])
@pytest.mark.parametrize("spec", [{}, {"providers": VLLM}], ids=["image's", "generated"])
@pytest.mark.parametrize("options", [OPTIONS, IMAGE_VOLUMES], ids=["init-container", "volumes"])
def test_resource_without_external_providers_is_rendered_as_ever(
    external: Json, spec: Json, options: Any
) -> None:
    with_empty, without = inputs(external, options, **spec), inputs(None, options, **spec)
    text = json.dumps(rendered(with_empty))

    assert text == json.dumps(rendered(without))
    assert content_of(with_empty) == content_of(without)
    assert set(content_of(with_empty)[0]) <= {"config.yaml"}
    for trace in (
        "initContainers", "PYTHONPATH", "/opt/llama-stack", "external-providers", "config-merge",
        "provider-tmp", "merge-revision", MERGE_IMAGE,
    ):  # fmt: skip
        assert trace not in text


def test_same_resource_is_rendered_to_the_same_bytes() -> None:
    external = {"inference": [provider("a", config={"b": 1, "a": [2]})], "safety": [provider("s")]}
    first, second = inputs(external), inputs(external)

    assert json.dumps(rendered(first)) == json.dumps(rendered(second))
    assert content_of(first) == content_of(second)


# --- installing -----------------------------------------------------------------------------------


BY_DIGEST = f"r.example/p@sha256:{'1' * 64}"


def test_install_runs_one_fixed_program_in_the_image_of_the_provider() -> None:
    install = by_name(pod_of({"inference": [provider("one", image=BY_DIGEST)]}))[
        "install-provider-one"
    ]

    assert install["image"] == BY_DIGEST
    assert install["command"] == ["python3", "/opt/llama-stack/tools/install.py"]
    assert "args" not in install
    assert env(install) == {
        "PROVIDER_ID": "one",
        "PROVIDER_IMAGE": BY_DIGEST,
        "INIT_CONTAINER_NAME": "install-provider-one",
        "HOME": TMP,
        "TMPDIR": TMP,
    }


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({}, "IfNotPresent"),
        ({"imagePullPolicy": "Always"}, "Always"),
        ({"imagePullPolicy": "Never"}, "Never"),
    ],
)
def test_image_of_a_provider_is_pulled_as_the_resource_says(given: Json, policy: str) -> None:
    pod = pod_of({"inference": [provider("one", image="r.example/p:latest", **given)]})

    assert by_name(pod)["install-provider-one"]["imagePullPolicy"] == policy


def test_install_sees_its_own_directory_its_program_and_nothing_else() -> None:
    install = by_name(pod_of(TWO, providers=VLLM))["install-provider-two"]

    assert mounts(install) == {
        ROOT: {"name": "external-providers", "mountPath": ROOT, "subPath": "staged/two"},
        "/opt/llama-stack/tools/install.py": {
            "name": "external-providers-input",
            "mountPath": "/opt/llama-stack/tools/install.py",
            "subPath": "install.py",
            "readOnly": True,
        },
        TMP: {"name": "provider-tmp", "mountPath": TMP, "subPath": "install-provider-two"},
    }
    assert "one" not in json.dumps(install)
    assert not any("valueFrom" in each for each in install["env"])
    assert "envFrom" not in install


HOSTILE = ["$(PROVIDER_ID)", "`reboot`", "$(reboot)", "'; rm -rf / #", "\n- evil", "${x}", "héé"]


@pytest.mark.parametrize("options", [OPTIONS, IMAGE_VOLUMES], ids=["init-container", "volumes"])
def test_no_text_of_the_user_is_in_a_command(options: Any) -> None:
    config = {"planted": HOSTILE, **{text: text for text in HOSTILE}}
    hostile = [provider("planted-id", image="planted.example/image:1", config=config)]
    plain = pod_of({"inference": [provider("other")]}, options)
    pod = pod_of({"inference": hostile}, options)

    def run(spec: Json) -> list[list[str]]:
        return [[*each["command"], *each.get("args", ())] for each in spec["initContainers"]]

    assert run(pod) == run(plain)
    text = json.dumps(pod, ensure_ascii=False)
    assert not any(each in text for each in HOSTILE)
    found = content_of(inputs({"inference": hostile}, options))[0]
    assert json.loads(found["00-planted-id.json"])["config"] == config


# --- merging --------------------------------------------------------------------------------------


def test_merge_runs_in_the_operators_image_and_takes_everything_from_fixed_places() -> None:
    merge = by_name(pod_of(TWO))["merge-config"]

    assert (merge["image"], merge["imagePullPolicy"]) == (MERGE_IMAGE, "IfNotPresent")
    assert merge["command"] == ["/usr/local/bin/merge-run-yaml"]
    assert merge["args"] == [
        f"--metadata-dir={ROOT}/staged",
        f"--packages-output={ROOT}/python-packages",
        "--extra-providers-output=/opt/llama-stack/config/extra-providers.yaml",
        "--output=/opt/llama-stack/config/run.yaml",
        "--base=/opt/llama-stack/base-config/config.yaml",
        "--crd-config-dir=/opt/llama-stack/crd-config",
        "--log-output=/opt/llama-stack/config/merge-log.txt",
    ]
    assert env(merge) == {"HOME": TMP, "TMPDIR": TMP}
    assert "workingDir" not in merge
    readonly = {path for path, mount in mounts(merge).items() if mount.get("readOnly")}
    assert readonly == {"/opt/llama-stack/base-config", "/opt/llama-stack/crd-config"}
    assert {path: mount["name"] for path, mount in mounts(merge).items()} == {
        ROOT: "external-providers",
        "/opt/llama-stack/config": "config-merge",
        "/opt/llama-stack/base-config": "llama-stack-config",
        "/opt/llama-stack/crd-config": "external-providers-input",
        TMP: "provider-tmp",
    }
    assert "subPath" not in mounts(merge)[ROOT]


# --- the preflight --------------------------------------------------------------------------------


def test_preflight_is_the_server_but_for_what_it_runs() -> None:
    pod = pod_of(TWO, providers=VLLM)
    (server,) = pod["containers"]
    preflight = by_name(pod)["preflight"]

    for same in ("image", "imagePullPolicy", "env", "resources"):
        assert preflight[same] == server[same]
    assert preflight["command"] == [
        "python3",
        "/opt/llama-stack/crd-config/preflight.py",
        "--run-yaml=/opt/llama-stack/config/run.yaml",
        f"--metadata-dir={ROOT}/staged",
        "--crd-config-dir=/opt/llama-stack/crd-config",
        f"--packages-dir={ROOT}/python-packages",
    ]
    more = set(mounts(preflight)) - set(mounts(server))
    assert more == {"/opt/llama-stack/crd-config", TMP}
    assert mounts(preflight)[TMP]["subPath"] == "preflight"
    for path in (ROOT, "/opt/llama-stack/config", "/opt/llama-stack/crd-config"):
        assert mounts(preflight)[path]["readOnly"] is True


@pytest.mark.parametrize("path", [TMP, f"{TMP}/"])
def test_preflight_uses_the_scratch_of_a_server_that_has_its_own(path: str) -> None:
    overrides = {
        "volumes": [{"name": "mine", "emptyDir": {}}],
        "volumeMounts": [{"name": "mine", "mountPath": path}],
    }
    pod = pod_of(TWO, workload={"overrides": overrides})
    preflight = by_name(pod)["preflight"]

    assert [m["name"] for p, m in mounts(preflight).items() if p.rstrip("/") == TMP] == ["mine"]


@pytest.mark.parametrize("overrides", [{"command": ["mine"]}, {"args": ["mine"]}])
def test_what_a_user_runs_is_not_loaded_before(overrides: Json) -> None:
    pod = pod_of(TWO, workload={"overrides": overrides})

    assert [each["name"] for each in pod["initContainers"]][-1] == "merge-config"


def test_administrator_switches_the_preflight_off() -> None:
    pod = pod_of(TWO, NO_PREFLIGHT)

    assert [each["name"] for each in pod["initContainers"]][-1] == "merge-config"


# --- what the server gets -------------------------------------------------------------------------


def test_server_starts_with_the_merged_configuration_and_cannot_change_it() -> None:
    pod = pod_of(TWO)
    (server,) = pod["containers"]

    for name in ("RUN_CONFIG_PATH", "LLAMA_STACK_CONFIG"):
        assert env(server)[name] == "/opt/llama-stack/config/run.yaml"
    for path, volume in {
        ROOT: "external-providers",
        "/opt/llama-stack/config": "config-merge",
    }.items():
        assert mounts(server)[path] == {"name": volume, "mountPath": path, "readOnly": True}
    assert "command" not in server


# --- images as volumes ----------------------------------------------------------------------------


def test_mounted_image_is_installed_from_by_the_python_of_the_server() -> None:
    external = {"inference": [provider("one", imagePullPolicy="Always"), provider("two")]}
    pod = pod_of(external, IMAGE_VOLUMES)
    (server,) = pod["containers"]
    install = by_name(pod)["install-provider-one"]
    volumes = {each["name"]: each for each in pod["volumes"]}

    assert (install["image"], install["imagePullPolicy"]) == (
        server["image"],
        server["imagePullPolicy"],
    )
    assert env(install)["PROVIDER_ROOT"] == "/opt/llama-stack/provider-image"
    assert env(install)["PROVIDER_IMAGE"] == "registry.example/one:1"
    assert mounts(install)["/opt/llama-stack/provider-image"] == {
        "name": "install-provider-one",
        "mountPath": "/opt/llama-stack/provider-image",
        "readOnly": True,
    }
    assert volumes["install-provider-one"]["image"] == {
        "reference": "registry.example/one:1",
        "pullPolicy": "Always",
    }
    assert "two" not in json.dumps(install)
    assert "install-provider-one" not in [mount["name"] for mount in server["volumeMounts"]]
