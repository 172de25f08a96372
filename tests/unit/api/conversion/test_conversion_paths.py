# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The author of a v1alpha1 object reads the paths that he wrote."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api import OLD_VERSION
from api.conversion import convert
from api.conversion.paths import WrittenPaths
from api.validation import validate
from tests.support.apicase import Case, resource
from tests.support.apicases import BAD

ANNOTATION = "metadata.annotations[llamastack.io/v1alpha2-fields]"

PATHS = {
    "metadata.name": "metadata.name",
    "apiVersion": "apiVersion",
    "(object)": "(object)",
    "spec": "spec",
    "spec.distribution.name": "spec.server.distribution.name",
    "spec.providers.inference": "spec.server.providers.inference",
    "spec.providers.inference[1].id": "spec.server.providers.inference[1].id",
    "spec.providers.inference.settings.region": "spec.server.providers.inference.region",
    "spec.providers.inference.settings.a.b": "spec.server.providers.inference.config.a.b",
    "spec.providers.vectorIo[0].secretRefs.host.secretKeyRef": (
        "spec.server.providers.vectorIo[0].host.secretKeyRef"
    ),
    "spec.providers.vectorIo.secretRefs.password": ANNOTATION,
    "spec.providers.files.provider": ANNOTATION,
    "spec.resources.models[2]": "spec.server.resources.models[2]",
    "spec.resources.models[2].provider": "spec.server.resources.models[2].provider",
    "spec.resources.models[2].contextLength": (
        "spec.server.resources.models[2].metadata.contextLength"
    ),
    "spec.resources.models[2].modelType": ANNOTATION,
    "spec.resources.tools[0]": "spec.server.resources.tools[0]",
    "spec.storage.sql.connectionString": "spec.server.storage.connectionString",
    "spec.storage.kv.endpoint": ANNOTATION,
    "spec.workload.storage": "spec.server.storage",
    "spec.workload.storage.size": "spec.server.storage.size",
    "spec.workload.storage.accessModes": ANNOTATION,
    "spec.workload.replicas": "spec.replicas",
    "spec.workload.autoscaling.minReplicas": "spec.server.autoscaling.minReplicas",
    "spec.workload.overrides.env[3].valueFrom": "spec.server.containerSpec.env[3].valueFrom",
    "spec.workload.overrides.nodeSelector": ANNOTATION,
    "spec.networking.tls.secretName": "spec.server.tls.secretName",
    "spec.networking.tls.caBundle.configMapName": "spec.server.tlsConfig.caBundle.configMapName",
    "spec.networking.expose": "spec.network.exposeRoute",
    "spec.networking.expose.hostname": ANNOTATION,
    "spec.networking.port": "spec.server.port",
    "spec.overrideConfig.configMapName": "spec.server.userConfig.configMapName",
    "spec.externalProviders.inference[0].providerId": (
        "spec.server.externalProviders.inference[0].providerId"
    ),
    "spec.disabled[1]": "spec.server.disabled[1]",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_to_the_field_of_v1alpha1(path: str) -> None:
    assert WrittenPaths({"spec": {}}).path(path) == PATHS[path]


def test_where_a_field_has_two_places_it_is_the_one_that_was_used() -> None:
    server: dict[str, Any] = {
        "containerSpec": {"port": 1},
        "providers": {"inference": [{"config": {"region": ""}}, {"region": ""}]},
    }
    obj = {"spec": {"server": server}}
    providers = "spec.server.providers.inference"
    assert WrittenPaths(obj).path("spec.networking.port") == "spec.server.containerSpec.port"
    for index, field in enumerate(("config.region", "region")):
        path = f"spec.providers.inference[{index}].settings.region"
        assert WrittenPaths(obj).path(path) == f"{providers}[{index}].{field}"


def test_paths_inside_a_message_are_led_back_and_words_are_not() -> None:
    text = "cannot be combined with spec.overrideConfig; see spec.workload.storage and the spec."
    assert WrittenPaths({}).text(text) == (
        "cannot be combined with spec.server.userConfig; see spec.server.storage and the spec."
    )


def test_translated_text_stays_as_it_is() -> None:
    text = (
        "Raise spec.externalProviders.install.sizeLimit, set spec.workload.storage.retainOnDelete"
    )

    once = WrittenPaths({}).text(text)

    assert once != text
    assert "of v1alpha2" in once
    assert WrittenPaths({}).text(once) == once


def _sayable(case: Case) -> bool:
    """Whether v1alpha1 has fields for all of it."""
    view = convert(case.obj, "v1alpha1") if case.obj.get("apiVersion") else {}
    return bool(view) and "annotations" not in view["metadata"]


SAYABLE = [case for case in BAD if _sayable(case)]


@pytest.mark.parametrize("case", SAYABLE, ids=str)
def test_what_is_wrong_in_one_version_is_wrong_in_the_other(case: Case) -> None:
    view = convert(case.obj, "v1alpha1")
    errors = validate(view).errors
    assert len(errors) == len(case.errors)
    for error in errors:
        assert not error.path.startswith(("spec.providers", "spec.workload", "spec.networking"))


def test_mistake_that_the_annotation_hides_is_told_there() -> None:
    """Where v1alpha1 has the field, too, but the object does not show it."""
    secret = {"secretKeyRef": {"name": "Not/A/Name", "key": "k"}}
    stores = {"kv": {"type": "postgres", "connectionString": secret}, "sql": {"type": "sqlite"}}
    view = convert(resource(storage=stores), OLD_VERSION)

    (error,) = validate(view).errors

    assert error.path == ANNOTATION
    assert error.message.startswith("spec.storage.kv.connectionString.secretKeyRef.name: ")


def test_field_that_is_shown_beats_what_is_hidden() -> None:
    hidden = '[{"path":["spec","storage","kv"],"value":{"type":"redis"}}]'
    metadata = {"annotations": {"llamastack.io/v1alpha2-fields": hidden}}
    shown = {"server": {"storage": {"type": "sqlite"}}}

    path = WrittenPaths({"metadata": metadata, "spec": shown}).path("spec.storage.kv.type")

    assert path == "spec.server.storage.type"


def test_path_of_another_kind_stays_as_it_is() -> None:
    text = "Deployment is invalid: spec.template.spec.containers[0].volumeMounts[2].name: Not found"

    assert WrittenPaths({}).text(text) == text


def test_the_annotation_is_read_once_however_much_there_is_to_say() -> None:
    """Read for each finding it took minutes; the bound leaves room for a busy machine."""
    change = '{"path":["spec","providers","files%d"],"value":1}'
    annotation = "[" + ",".join(change % number for number in range(3_000)) + "]"
    obj = {
        "metadata": {"annotations": {"llamastack.io/v1alpha2-fields": annotation}},
        "spec": {"server": {"distribution": {"name": "starter"}}},
    }
    paths = WrittenPaths(obj)
    began = time.process_time()
    found = {paths.path(f"spec.disabled[{number}]") for number in range(5_000)}
    assert len(found) == 5_000
    assert time.process_time() - began < 2
