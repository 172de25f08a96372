# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The data volume: which claim is rendered, who owns it, and how pods on it are replaced."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.children import table as kinds_of_children
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.render import deployment, pvc
from controller.llamastack.render.inputs import Inputs, Mounts
from tests.support.claims import claim as live_claim
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.rendering import VLLM, children, pod, resource


def inputs_of(**spec: Any) -> Inputs:
    obj = resource(**spec)
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.cr is not None
    assert plan.generated is not None
    return Inputs(owner=obj, spec=plan.cr.spec, generated=plan.generated)


def test_pod_without_storage_has_an_empty_directory() -> None:
    made = children()

    assert "PersistentVolumeClaim" not in made
    assert pod()["volumes"][0] == {"name": "lls-storage", "emptyDir": {}}


def test_claim_that_is_not_asked_for_is_never_among_what_has_to_go() -> None:
    going = {kind.resource.kind for kind in kinds_of_children.unwanted(inputs_of())}

    assert "PersistentVolumeClaim" not in going
    assert "Ingress" in going


def test_storage_is_a_claim_with_the_defaults_of_the_go_operator() -> None:
    made = children(workload={"storage": {}})

    claim = made["PersistentVolumeClaim"]
    assert claim["metadata"]["name"] == "demo-pvc"
    assert "annotations" not in claim["metadata"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "10Gi"}},
    }
    spec = made["Deployment"]["spec"]["template"]["spec"]
    assert spec["volumes"][0] == {
        "name": "lls-storage",
        "persistentVolumeClaim": {"claimName": "demo-pvc"},
    }
    assert spec["containers"][0]["volumeMounts"][0] == {
        "name": "lls-storage",
        "mountPath": "/.llama",
    }


def test_claim_has_what_the_spec_says() -> None:
    storage = {
        "size": "1Gi",
        "storageClassName": "fast",
        "accessModes": ["ReadWriteMany"],
        "mountPath": "/data",
        "retainOnDelete": True,
    }

    made = children(workload={"storage": storage})

    claim = made["PersistentVolumeClaim"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    }
    assert claim["metadata"]["annotations"] == {"llamastack.io/retained-for": "demo"}
    mounts = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert mounts[0]["mountPath"] == "/data"


@pytest.mark.parametrize(
    ("retained", "owners"), [(False, ["demo"]), (True, [])], ids=["goes along", "stays"]
)
def test_only_a_claim_that_goes_along_has_an_owner(*, retained: bool, owners: list[str]) -> None:
    made = pvc.render(inputs_of(workload={"storage": {"retainOnDelete": retained}}))

    assert made is not None
    found = made.manifest["metadata"].get("ownerReferences", [])
    assert [reference["name"] for reference in found] == owners


def test_kept_claim_tells_the_next_server_what_the_registry_in_it_knows() -> None:
    models = {"models": ["m"]}
    kept = inputs_of(
        providers=VLLM, resources=models, workload={"storage": {"retainOnDelete": True}}
    )
    goes = inputs_of(providers=VLLM, resources=models, workload={"storage": {}})

    made, other = pvc.render(kept), pvc.render(goes)

    assert made is not None
    assert other is not None
    assert kept.registry
    assert made.manifest["metadata"]["annotations"]["llamastack.io/registry-state"] == kept.registry
    assert "annotations" not in other.manifest["metadata"]


RECREATE = {"type": "Recreate"}
ROLLED = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}


@pytest.mark.parametrize(
    ("storage", "live", "expected"),
    [
        (None, None, ROLLED),
        ({}, None, RECREATE),
        ({"accessModes": ["ReadWriteOncePod"]}, None, RECREATE),
        ({"accessModes": ["ReadWriteMany"]}, None, ROLLED),
        ({"accessModes": ["ReadWriteMany"]}, ("ReadWriteOnce",), RECREATE),
        ({}, ("ReadWriteMany",), ROLLED),
        (None, ("ReadWriteOnce",), ROLLED),
    ],
)
def test_pods_are_recreated_only_where_the_volume_that_is_there_demands_it(
    storage: dict[str, Any] | None, live: tuple[str, ...] | None, expected: dict[str, Any]
) -> None:
    inputs = inputs_of(workload={"storage": storage} if storage is not None else {})

    made = deployment.render(inputs, Mounts(claim=live_claim(modes=live) if live else None))

    assert made.manifest["spec"]["strategy"] == expected
