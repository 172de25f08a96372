# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Children as functions of a resource."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.llamastack.objects.kinds import FIELD_MANAGER, STATUS_FIELD_MANAGER
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview
from controller.llamastack.render.images import pull_policy
from controller.llamastack.render.inputs import NO_MOUNTS, Inputs, Options
from controller.llamastack.render.service import url
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.rendering import VLLM, children, pod, resource


def container(**spec: Any) -> dict[str, Any]:
    result: dict[str, Any] = pod(**spec)["containers"][0]
    return result


def env(**spec: Any) -> dict[str, Any]:
    listed = container(**spec)["env"]
    names = [entry["name"] for entry in listed]
    assert len(names) == len(set(names)), "a name twice is a 500 of the API server"
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in listed}


def test_names_labels_and_selectors_are_those_of_the_go_operator() -> None:
    made = children(providers=VLLM)
    selector = {"app": "llama-stack", "app.kubernetes.io/instance": "demo"}

    assert {kind: m["metadata"]["name"] for kind, m in made.items() if kind != "ConfigMap"} == {
        "ServiceAccount": "demo-sa",
        "Service": "demo-service",
        "Deployment": "demo",
    }
    for manifest in made.values():
        assert manifest["metadata"]["namespace"] == "prod"
        assert {
            "app.kubernetes.io/managed-by": "llama-stack-operator",
            "app.kubernetes.io/part-of": "llama-stack",
            "llamastack.io/watch": "true",
        }.items() <= manifest["metadata"]["labels"].items()
    assert made["Deployment"]["spec"]["selector"] == {"matchLabels": selector}
    assert made["Deployment"]["spec"]["template"]["metadata"]["labels"] == selector
    assert made["Service"]["spec"]["selector"] == selector
    assert made["Service"]["spec"]["ports"] == [
        {"name": "http", "protocol": "TCP", "port": 8321, "targetPort": 8321}
    ]


def test_configuration_is_immutable_named_after_its_content_and_mounted() -> None:
    made = children(providers=VLLM)
    config = made["ConfigMap"]
    other = children(providers=VLLM, networking={"port": 9000})["ConfigMap"]
    spec = made["Deployment"]["spec"]["template"]["spec"]

    assert config["immutable"] is True
    assert config["metadata"]["name"].startswith("demo-config-")
    assert config["metadata"]["name"] != other["metadata"]["name"]
    mounted = [v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v]
    assert mounted == [config["metadata"]["name"]]


def test_image_brings_its_own_configuration_unless_the_spec_says_something() -> None:
    made = children()

    assert "ConfigMap" not in made
    variables = env()
    assert "RUN_CONFIG_PATH" not in variables
    assert "LLAMA_STACK_CONFIG" not in variables


def test_secrets_reach_the_pod_by_reference_only() -> None:
    variables = env(providers=VLLM)

    assert variables["LLSD_VLLM_API_KEY"] == {"secretKeyRef": {"name": "creds", "key": "token"}}


def test_port_is_told_to_the_server_in_every_way_it_listens_to() -> None:
    spec = {"networking": {"port": 9000}, "providers": VLLM}
    made = container(**spec)
    variables = env(**spec)

    assert variables["LLAMA_STACK_PORT"] == variables["LLS_PORT"] == "9000"
    assert made["ports"] == [{"containerPort": 9000, "protocol": "TCP"}]
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    assert {made[probe]["httpGet"]["port"] for probe in probes} == {9000}
    assert children(**spec)["Service"]["spec"]["ports"][0]["port"] == 9000


def test_users_variable_wins_and_no_name_comes_twice() -> None:
    overrides = {
        "env": [
            {"name": "LLS_PORT", "value": "1"},
            {"name": "LLSD_VLLM_API_KEY", "value": "inline"},
            {"name": "MINE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]
    }

    variables = env(providers=VLLM, workload={"overrides": overrides})

    assert variables["LLS_PORT"] == "1"
    assert variables["LLSD_VLLM_API_KEY"] == "inline"
    assert variables["MINE"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_pod_passes_pod_security_restricted() -> None:
    spec = pod(providers=VLLM)
    context = spec["containers"][0]["securityContext"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["securityContext"]["fsGroup"] == 1001
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_user_ids_are_left_to_openshift_on_demand() -> None:
    obj = resource(providers=VLLM)
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.cr is not None
    assert plan.generated is not None

    from controller.llamastack.render import deployment  # noqa: PLC0415

    inputs = Inputs(
        owner=obj, spec=plan.cr.spec, generated=plan.generated, options=Options(fixed_uids=False)
    )
    context = deployment.render(inputs, NO_MOUNTS).manifest["spec"]["template"]["spec"][
        "securityContext"
    ]

    assert "runAsUser" not in context
    assert "fsGroup" not in context


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ({}, {"requests": {"cpu": "1", "memory": "1Gi"}}),
        (
            {"workers": 4},
            {
                "requests": {"cpu": "4", "memory": "1Gi"},
                "limits": {"cpu": "4", "memory": "1Gi"},
            },
        ),
        (
            {"resources": {"requests": {"cpu": "250m"}}},
            {"requests": {"cpu": "250m", "memory": "1Gi"}},
        ),
        (
            {"resources": {"limits": {"memory": "512Mi", "nvidia.com/gpu": "1"}}},
            {
                "requests": {"cpu": "1", "memory": "512Mi"},
                "limits": {"memory": "512Mi", "nvidia.com/gpu": "1"},
            },
        ),
    ],
)
def test_resources_are_filled_up_and_never_ask_for_more_than_the_limit(
    workload: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert container(workload=workload)["resources"] == expected


def test_tls_is_mounted_probed_and_published() -> None:
    spec = {"networking": {"tls": {"enabled": True, "secretName": "cert"}}, "providers": VLLM}
    obj = resource(**spec)
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.cr is not None
    assert plan.generated is not None
    made = container(**spec)

    assert {"name": "llama-stack-tls", "secret": {"secretName": "cert"}} in pod(**spec)["volumes"]
    assert made["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    inputs = Inputs(owner=obj, spec=plan.cr.spec, generated=plan.generated)
    assert url(inputs) == "https://demo-service.prod.svc.cluster.local:8321"


def test_overrides_reach_the_pod_as_written() -> None:
    overrides = {
        "serviceAccountName": "mine",
        "command": ["a"],
        "args": ["b"],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "pull"}],
        "terminationGracePeriodSeconds": 0,
        "containerName": "server",
        "labels": {"team": "x", "app": "spoofed"},
        "annotations": {"note": "y"},
        "volumes": [{"name": "extra", "emptyDir": {}}],
        "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
        "readinessProbe": {"exec": {"command": ["true"]}},
    }
    made = children(workload={"overrides": overrides, "replicas": 3})["Deployment"]["spec"]
    template, spec = made["template"], made["template"]["spec"]
    only = spec["containers"][0]

    assert made["replicas"] == 3
    assert spec["serviceAccountName"] == "mine"
    assert (only["name"], only["command"], only["args"]) == ("server", ["a"], ["b"])
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["terminationGracePeriodSeconds"] == 0
    assert template["metadata"]["annotations"] == {"note": "y"}
    assert template["metadata"]["labels"]["team"] == "x"
    assert template["metadata"]["labels"]["app"] == "llama-stack", "the selector must match"
    assert {"name": "extra", "emptyDir": {}} in spec["volumes"]
    assert {"name": "extra", "mountPath": "/extra"} in only["volumeMounts"]
    assert only["readinessProbe"]["exec"] == {"command": ["true"]}
    assert "httpGet" not in only["readinessProbe"], "Kubernetes takes one way to probe"


def test_probe_keeps_what_the_user_does_not_say() -> None:
    overrides = {"livenessProbe": {"failureThreshold": 9}}

    plain, made = container(), container(workload={"overrides": overrides})

    assert made["livenessProbe"] == plain["livenessProbe"] | {"failureThreshold": 9}
    assert made["startupProbe"] == plain["startupProbe"]


def test_pod_names_the_claims_that_its_container_uses() -> None:
    claims = [{"name": "gpu", "request": "a"}, {"name": "nic"}]

    spec = children(workload={"resources": {"claims": claims}})["Deployment"]["spec"]
    pod = spec["template"]["spec"]

    assert pod["resourceClaims"] == [
        {"name": "gpu", "resourceClaimName": "gpu"},
        {"name": "nic", "resourceClaimName": "nic"},
    ]
    assert pod["containers"][0]["resources"]["claims"] == claims


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("reg:5000/a", "Always"),
        ("a:1", "IfNotPresent"),
        ("reg:5000/a:1", "IfNotPresent"),
        ("a@sha256:0", "IfNotPresent"),
        ("a:latest@sha256:0", "IfNotPresent"),
    ],
)
def test_pull_policy_is_what_the_api_server_would_default(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_rendering_is_deterministic_and_leaves_its_input_alone() -> None:
    obj = resource(providers=VLLM, workload={"overrides": {"env": [{"name": "A", "value": "b"}]}})
    before = copy.deepcopy(obj)

    first = preview(obj, make_plan(obj, DISTRIBUTIONS))
    second = preview(obj, make_plan(obj, DISTRIBUTIONS))

    assert first == second
    assert obj == before


def test_access_that_is_switched_off_is_no_reason_to_refuse() -> None:
    assert make_plan(resource(networking={"expose": False}), DISTRIBUTIONS).errors == ()


def test_field_managers_are_api_and_never_renamed() -> None:
    """A new name would leave every field of every object with the old one (G1)."""
    assert FIELD_MANAGER == "llamastack-operator"
    assert STATUS_FIELD_MANAGER == "llamastack-operator-status"


def test_manifests_hold_nothing_that_the_server_fills_in() -> None:
    """(G4)"""
    for manifest in children(providers=VLLM).values():
        assert manifest["apiVersion"]
        assert "status" not in manifest
        assert not {"managedFields", "resourceVersion", "uid", "creationTimestamp"} & set(
            manifest["metadata"]
        )


@pytest.mark.parametrize("expose", [None, False, {"enabled": False}])
def test_server_that_is_not_exposed_has_no_ingress(expose: Any) -> None:
    assert "Ingress" not in children(networking={"expose": expose} if expose is not None else {})


def test_ingress_says_what_the_spec_says_and_no_more() -> None:
    bare = children(networking={"expose": True})["Ingress"]
    full = children(
        networking={
            "expose": {"hostname": "a.example", "tlsSecretName": "t", "annotations": {"x/y": "z"}}
        }
    )["Ingress"]

    assert set(bare["spec"]) == {"rules"}
    assert "host" not in bare["spec"]["rules"][0]
    assert full["spec"]["rules"][0]["host"] == "a.example"
    assert full["spec"]["tls"] == [{"secretName": "t", "hosts": ["a.example"]}]
    assert full["metadata"]["annotations"] == {"x/y": "z"}


def test_rendering_leaves_the_resource_alone() -> None:
    """Defaults once ended up in maps that were shared with the cached resource."""
    requests = {"requests": {"cpu": "2"}}
    spec: dict[str, Any] = {"workload": {"workers": 2, "resources": requests}}
    before = copy.deepcopy(spec)

    first, second = children(**spec), children(**spec)

    assert spec == before
    assert first == second
