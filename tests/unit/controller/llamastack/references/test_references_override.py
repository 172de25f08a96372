# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The user's own configuration on its way into the pod."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from configs.distributions import Distributions
from configs.spelling import Spelling
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    CONFIG_MAPS_HASH,
    CONFIG_MAPS_SEEN,
    FIELD_MANAGER,
)
from controller.llamastack.planning.plan import Plan, make_plan
from controller.llamastack.preview import preview
from controller.llamastack.references.config_maps import Judgement, Reach
from controller.llamastack.references.configuration import Configuration
from controller.llamastack.references.override import ChangedMeanwhile
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.render import deployment
from controller.llamastack.render.configmap import generated
from controller.llamastack.render.inputs import NO_MOUNTS, Inputs
from informers.ports import ObjectKey
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.objects import encoded
from tests.support.fakeapi.operator import MemoryOperator
from tests.support.fakeapi.server import FakeApi

BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
DIGEST = hashlib.sha256(BASE.encode()).hexdigest()
KEY = ObjectKey("n", "mine")


def resource(**override: str) -> dict[str, Any]:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {
            "distribution": {"name": "starter"},
            "overrideConfig": {"configMapName": "mine", **override},
        },
    }


def cluster(text: str = BASE, *, namespace: str = "n") -> MemoryOperator:
    """An operator that just started where there is the ConfigMap, and may read all of them."""
    operator = MemoryOperator(FakeClient(FakeApi()), reach=Reach(elsewhere=True))
    api, key = operator.client.api, ObjectKey(namespace, "mine")
    api.put(CONFIG_MAP, key, data={"config.yaml": text})
    return operator


def put_copy(operator: MemoryOperator, name: str, digest: str) -> None:
    """A copy that the operator made before."""
    manifest = generated(resource(), name, {}, digest)
    operator.client.api.create(CONFIG_MAP, manifest, manager=FIELD_MANAGER)


def planned(cr: dict[str, Any]) -> Plan:
    plan = make_plan(cr, Distributions.load())
    assert plan.generated is not None, plan.problem
    return plan


async def judged(operator: MemoryOperator, plan: Plan) -> Judgement:
    return await operator.config_maps.resolve("n", plan.config_maps)


async def completed(cr: dict[str, Any], operator: MemoryOperator) -> Configuration:
    plan = planned(cr)
    judgement = await judged(operator, plan)
    assert judgement.problems == ()
    resolution = Resolution(
        "", (), "", override=judgement.config, override_digest=judgement.config_digest
    )
    return await operator.overrides.configuration(cr, plan, resolution)


async def test_own_config_is_mounted_as_it_is() -> None:
    operator = cluster()

    found = await completed(resource(), operator)

    assert found.config_map_name == "mine"
    assert found.generated is not None
    assert (found.generated.config_hash, found.generated.era) == (DIGEST, "0.7")
    assert found.generated.config_yaml is None
    assert 'ConfigMap "mine" runs as it is' in found.text
    assert operator.client.verbs() == ["get configmaps n/mine"]


async def test_bytes_are_a_config_like_text() -> None:
    operator = cluster()
    operator.client.api.put(CONFIG_MAP, KEY, data={}, binaryData=encoded(**{"config.yaml": BASE}))

    found = await completed(resource(), operator)

    assert found.generated is not None
    assert found.generated.config_hash == DIGEST


async def test_unusable_config_is_a_problem_of_the_plan() -> None:
    found = await completed(resource(), cluster("version: 9"))

    assert found.generated is None
    assert found.problem is not None
    assert found.problem.reason == Reason.UNSUPPORTED_CONFIG_VERSION
    assert found.problem.message.startswith("spec.overrideConfig.configMapName: Unsupported")


async def test_what_was_judged_before_is_believed() -> None:
    plan = planned(resource())
    resolution = Resolution("", (), "", override_digest=DIGEST)

    completed = await cluster("broken").overrides.configuration(resource(), plan, resolution)

    assert completed.generated is not None
    assert completed.generated.config_hash == DIGEST
    assert (completed.config_map_name, completed.text) == ("mine", "")


async def test_config_elsewhere_is_copied() -> None:
    found = await completed(resource(configMapNamespace="other"), cluster(namespace="other"))

    assert found.config_map_name == ""
    assert found.generated is not None
    assert found.generated.config_yaml == BASE
    assert found.text.startswith('A copy of the configuration in ConfigMap "other/mine"')


async def test_copy_that_is_there_is_used_and_nothing_is_read_for_it() -> None:
    operator = cluster(namespace="other")
    put_copy(operator, "demo-config-old", "old")
    put_copy(operator, "demo-config-x", DIGEST)

    found = await completed(resource(configMapNamespace="other"), operator)

    assert found.config_map_name == "demo-config-x"
    assert found.generated is not None
    assert found.generated.config_yaml is None
    assert operator.client.verbs() == ["get configmaps other/mine"]


async def test_content_that_was_not_judged_is_not_copied() -> None:
    cr = resource(configMapNamespace="other")
    resolution = Resolution("", (), "", override_digest=DIGEST)
    operator = cluster("version: 9", namespace="other")

    with pytest.raises(ChangedMeanwhile):
        await operator.overrides.configuration(cr, planned(cr), resolution)


async def test_config_map_that_was_a_volume_before_is_read_again_as_a_config() -> None:
    operator = cluster()
    await operator.config_maps.summary(KEY)

    judgement = await judged(operator, planned(resource()))
    again = await judged(operator, planned(resource()))

    assert judgement == again
    assert judgement.config_digest == DIGEST
    assert len(operator.client.calls) == 2


async def test_record_on_the_deployment_says_all_that_a_restart_has_to_know() -> None:
    judgement = await judged(cluster(), planned(resource()))

    read = Judgement.recorded(judgement.record)

    assert read.versions_hash == judgement.versions_hash
    assert read.content_hash == judgement.content_hash
    assert read.config_digest == DIGEST
    assert read.config_spelling == judgement.config_spelling == Spelling("responses", is_named=True)
    assert Judgement.recorded("") == Judgement()
    assert Judgement().record == ""


@pytest.mark.parametrize("rest", ["", "/run.yaml", "/config.yaml/", "/config.yaml/inference"])
def test_record_that_lacks_what_has_to_be_known_says_nothing(rest: str) -> None:
    assert Judgement.recorded(f"versions/content/{DIGEST}{rest}") == Judgement()


def test_preview_mounts_the_users_config_map() -> None:
    kinds = {m["kind"]: m for m in preview(resource(), planned(resource()))}

    (volume,) = [
        v["configMap"]
        for v in kinds["Deployment"]["spec"]["template"]["spec"]["volumes"]
        if "configMap" in v
    ]
    assert volume["name"] == "mine"
    assert "ConfigMap" not in kinds


def test_preview_of_a_copy_has_a_name_of_ours() -> None:
    cr = resource(configMapNamespace="other")
    manifests = preview(cr, planned(cr))

    assert "demo-config-00000000" in str(manifests)
    assert "'mine'" not in str(manifests)


def test_content_is_in_the_template_and_versions_are_not() -> None:
    """So that new content restarts the server, and an equal rewrite does not."""
    plan = planned(resource())
    assert plan.cr is not None
    assert plan.generated is not None
    inputs = Inputs(
        owner=resource(),
        spec=plan.cr.spec,
        generated=plan.generated,
        config_maps_hash="content",
        config_maps_seen="versions/content",
    )

    rendered = deployment.render(inputs, NO_MOUNTS).manifest

    template = rendered["spec"]["template"]["metadata"]["annotations"]
    assert template[CONFIG_MAPS_HASH] == "content"
    assert rendered["metadata"]["annotations"][CONFIG_MAPS_SEEN] == "versions/content"
    assert "versions" not in str(rendered["spec"])
