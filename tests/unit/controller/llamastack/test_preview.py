# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The children of a resource that is in no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from configs.distributions import Distributions
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import DEFAULT_NAMESPACE, UNKNOWN, preview

PROVIDERS = {"inference": {"provider": "vllm", "endpoint": "http://x"}}
BUNDLE = {"tls": {"caBundle": {"configMapName": "corp", "configMapKeys": ["b", "a"]}}}


def shown(namespace: str = "n", **spec: Any) -> list[dict[str, Any]]:
    metadata = {"name": "demo", **({"namespace": namespace} if namespace else {})}
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": metadata,
        "spec": {"distribution": {"name": "starter"}, **spec},
    }
    return preview(obj, make_plan(obj, Distributions.load()))


def volumes(children: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = [child for child in children if child["kind"] == "Deployment"]
    return {v["name"]: v for v in deployment["spec"]["template"]["spec"]["volumes"]}


def test_children_come_in_the_order_in_which_they_are_created_and_without_an_owner() -> None:
    children = shown(providers=PROVIDERS, networking={"expose": True})

    kinds = [child["kind"] for child in children]
    assert kinds == ["ConfigMap", "ServiceAccount", "Deployment", "Service", "Ingress"]
    assert not any("ownerReferences" in child["metadata"] for child in children)


def test_generated_config_is_mounted_by_its_name() -> None:
    config_map, *_ = children = shown(providers=PROVIDERS)

    mounted = volumes(children)["llama-stack-config"]["configMap"]["name"]
    assert mounted == config_map["metadata"]["name"]
    assert mounted.startswith("demo-config-")


def test_image_with_its_own_config_gets_none() -> None:
    children = shown()

    assert "ConfigMap" not in [child["kind"] for child in children]
    assert "llama-stack-config" not in volumes(children)


@pytest.mark.parametrize(
    ("elsewhere", "mounted"),
    [({}, "mine"), ({"configMapNamespace": "o"}, f"demo-config-{UNKNOWN}")],
)
def test_own_config_is_mounted_itself_and_a_copy_of_one_elsewhere_by_a_name_that_none_has(
    elsewhere: dict[str, str], mounted: str
) -> None:
    children = shown(overrideConfig={"configMapName": "mine", **elsewhere})

    assert volumes(children)["llama-stack-config"]["configMap"]["name"] == mounted


def test_certificates_that_only_a_cluster_has_are_named() -> None:
    children = shown(networking=BUNDLE)

    (bundle,) = [child for child in children if child["kind"] == "ConfigMap"]
    (text,) = bundle["data"].values()
    assert 'ConfigMap "n/corp", keys: a, b' in text
    assert "ca-bundle" in volumes(children)


def test_resource_without_a_namespace_is_shown_in_the_default_one() -> None:
    assert {c["metadata"]["namespace"] for c in shown("")} == {DEFAULT_NAMESPACE}


def test_plan_with_a_problem_has_nothing_to_show() -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        shown(providers={"inference": {"provider": "nobody-knows"}})
