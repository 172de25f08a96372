# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What installing external providers may take and do: volumes, resources, privileges."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from controller.llamastack.objects.quantities import amount
from controller.llamastack.render.inputs import Mounts
from tests.support.installing import (
    MERGE_IMAGE,
    OPTIONS,
    TWO,
    inputs,
    pod_of,
    provider,
    rendered,
)

Json = dict[str, Any]

OVERRIDE: Json = {"overrideConfig": {"configMapName": "mine"}}


def volumes(pod: Json) -> dict[str, Json]:
    found = {each["name"]: each for each in pod["volumes"]}
    assert len(found) == len(pod["volumes"]), "a name twice is refused"
    return found


def asking(**install: Any) -> Json:
    return {"inference": [provider()], "install": install}


def resources(external: Json, options: Any = OPTIONS) -> list[Json]:
    """Of what installs and what merges."""
    return [
        each["resources"]
        for each in pod_of(external, options)["initContainers"]
        if each["name"] != "preflight"
    ]


# --- volumes --------------------------------------------------------------------------------------


def test_volumes_are_bounded_and_read_from_the_one_config_map() -> None:
    found = volumes(rendered(inputs(TWO))["spec"]["template"]["spec"])
    name = found["external-providers-input"]["configMap"]["name"]

    assert found["external-providers"]["emptyDir"] == {"sizeLimit": "2Gi"}
    assert found["provider-tmp"]["emptyDir"] == {"sizeLimit": "2Gi"}
    assert found["config-merge"]["emptyDir"] == {"sizeLimit": "16Mi"}
    assert name.startswith("demo-config-")
    assert found["llama-stack-config"]["configMap"] == {
        "name": name,
        "items": [{"key": "config.yaml", "path": "config.yaml"}],
    }


def test_input_is_mounted_without_the_configuration() -> None:
    source = volumes(pod_of(TWO))["external-providers-input"]["configMap"]

    assert source["items"] == [
        {"key": name, "path": name}
        for name in ("00-one.json", "01-two.json", "base.json", "install.py", "preflight.py")
    ]


def test_users_own_configuration_is_the_base_and_stays_beside_the_merged_one() -> None:
    found = inputs(TWO, **OVERRIDE)
    mounts = Mounts("mine", "run.yaml", installs_name="demo-config-1")
    pod = rendered(found, mounts)["spec"]["template"]["spec"]
    merge = next(each for each in pod["initContainers"] if each["name"] == "merge-config")

    base = {m["mountPath"]: m["name"] for m in merge["volumeMounts"]}[
        "/opt/llama-stack/base-config"
    ]
    sources = volumes(pod)[base]["projected"]["sources"]
    assert sources == [
        {"configMap": {"name": "mine"}},
        {"configMap": {"name": "mine", "items": [{"key": "run.yaml", "path": "config.yaml"}]}},
    ]
    assert volumes(pod)["external-providers-input"]["configMap"]["name"] == "demo-config-1"
    (server,) = pod["containers"]
    assert "/etc/llama-stack" in [mount["mountPath"] for mount in server["volumeMounts"]]
    environment = {each["name"]: each.get("value") for each in server["env"]}
    assert environment["RUN_CONFIG_PATH"] == "/opt/llama-stack/config/run.yaml"


def test_only_mounted_images_have_volumes_of_their_own() -> None:
    pod = pod_of(TWO, replace(OPTIONS, image_volumes=True))

    assert [name for name, v in volumes(pod).items() if "image" in v] == [
        "install-provider-one",
        "install-provider-two",
    ]
    assert not any("image" in each for each in volumes(pod_of(TWO)).values())


# --- size and resources ---------------------------------------------------------------------------


def test_size_is_the_resources_or_the_administrators() -> None:
    options = replace(OPTIONS, install_size="5Gi")

    def sizes(external: Json) -> set[Any]:
        found = volumes(pod_of(external, options))
        names = ("external-providers", "provider-tmp")
        return {found[name]["emptyDir"]["sizeLimit"] for name in names}

    assert sizes(asking()) == {"5Gi"}
    assert sizes(asking(sizeLimit="8Gi")) == {"8Gi"}
    assert sizes(asking(sizeLimit=0)) == {0}  # as in an emptyDir: no limit


def test_resources_are_small_and_without_a_limit_of_cpu() -> None:
    found = resources({"inference": [provider("a"), provider("b")]})

    assert (
        found
        == [{"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}] * 3
    )  # two install, one merges


def test_limit_of_memory_is_the_administrators_where_the_resource_has_none() -> None:
    options = replace(OPTIONS, install_memory="3Gi")

    assert resources(asking(), options)[0]["limits"] == {"memory": "3Gi"}
    limits = {"memory": "1Gi", "cpu": "2"}
    assert resources(asking(resources={"limits": limits}), options)[0]["limits"] == limits


@pytest.mark.parametrize(
    ("given", "requests", "limits"),
    [
        (
            {"requests": {"cpu": "1"}},
            {"cpu": "1", "memory": "256Mi"},
            {"memory": "512Mi"},
        ),
        (
            {"limits": {"memory": "4Gi"}},
            {"cpu": "100m", "memory": "256Mi"},
            {"memory": "4Gi"},
        ),
        (
            {"requests": {"memory": "2Gi"}, "limits": {"memory": "4Gi"}},
            {"cpu": "100m", "memory": "2Gi"},
            {"memory": "4Gi"},
        ),
    ],
)
def test_what_the_resource_says_of_resources_wins(
    given: Json, requests: Json, limits: Json
) -> None:
    for found in resources(asking(resources=given)):
        assert found == {"requests": requests, "limits": limits}


@pytest.mark.parametrize(
    ("given", "memory"),
    [
        ({"requests": {"memory": "1Gi"}}, "512Mi"),
        ({"requests": {"memory": 2**30}}, "512Mi"),
        ({"limits": {"memory": "128Mi"}}, "512Mi"),
        ({"limits": {"memory": "128Mi", "cpu": "50m"}}, "512Mi"),
        ({}, "100Mi"),
        ({"requests": {"cpu": 2}}, "100M"),
    ],
)
def test_no_request_is_above_its_limit(given: Json, memory: str) -> None:
    options = replace(OPTIONS, install_memory=memory)

    for found in resources(asking(resources=given), options):
        for name, limit in found["limits"].items():
            request, most = amount(found["requests"][name]), amount(limit)
            assert request is not None
            assert most is not None
            assert request <= most, (name, found)
        for kind, values in given.items():
            assert values.items() <= found[kind].items()


# --- privileges -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, image_volumes=True)])
def test_every_container_passes_pod_security_restricted_and_cannot_write_its_image(
    options: Any,
) -> None:
    pod = pod_of(TWO, options)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert len(pod["initContainers"]) == 4
    for container in pod["initContainers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        # Whose output ends up in the status, where the program left no message.
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
        scratch = [m for m in container["volumeMounts"] if m["name"] == "provider-tmp"]
        assert [m["subPath"] for m in scratch] == [container["name"]]
    # restricted allows these, and no hostPath.
    kinds = {key for volume in pod["volumes"] for key in volume if key != "name"}
    assert kinds <= {"emptyDir", "configMap", "image"}


@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, image_volumes=True)])
def test_ids_are_those_of_the_pod_and_absent_where_the_platform_assigns_them(options: Any) -> None:
    fixed, assigned = (pod_of(TWO, replace(options, fixed_uids=wanted)) for wanted in (True, False))

    ids = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), 1001)
    assert fixed["securityContext"] == {**assigned["securityContext"], **ids}
    assert {**fixed, "securityContext": ...} == {**assigned, "securityContext": ...}
    assert not any(name in json.dumps(assigned) for name in ids)


def test_merge_image_that_moves_is_pulled_every_time() -> None:
    def policy(image: str) -> str:
        pod = pod_of(TWO, replace(OPTIONS, merge_image=image))
        merge: Json = next(c for c in pod["initContainers"] if c["name"] == "merge-config")
        assert merge["image"] == image
        return str(merge["imagePullPolicy"])

    assert policy(MERGE_IMAGE) == "IfNotPresent"
    assert policy("registry.example/operator@sha256:0") == "IfNotPresent"
    assert policy("registry.example/operator:latest") == "Always"
