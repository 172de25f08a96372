# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The documents that are applied to a cluster: as committed, as documented, as promised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api import ANNOTATIONS, OLD_VERSION, VERSION, VERSIONS, webhook
from api.crd import custom_resource_definition
from api.policy import documents, validating_admission_policy, validating_admission_policy_binding
from api.policy_rules import V1ALPHA1, V1ALPHA2, Surface, rules
from configs.yaml_reader import load, load_all
from hack.root import ROOT

_DEPLOY = ROOT / "deploy"
_FILE = "llamastackdistributions.llamastack.io.yaml"


in_both_versions = pytest.mark.parametrize("name", VERSIONS)


def _version(name: str = VERSION) -> Any:
    (found,) = [v for v in custom_resource_definition()["spec"]["versions"] if v["name"] == name]
    return found


def _schema(name: str = VERSION) -> Any:
    return _version(name)["schema"]["openAPIV3Schema"]


def _nodes(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from _nodes(schema[key], f"{path}{mark}")


def test_committed_crd_is_what_the_models_say() -> None:
    text = (_DEPLOY / "crd" / _FILE).read_text(encoding="utf-8")

    assert load(text) == custom_resource_definition()


def test_committed_policy_is_what_the_code_says() -> None:
    text = (_DEPLOY / "policy" / _FILE).read_text(encoding="utf-8")

    assert tuple(load_all(text)) == documents()


def test_documents_are_the_same_each_time() -> None:
    assert custom_resource_definition() == custom_resource_definition()
    assert documents() == documents()


@in_both_versions
def test_every_field_is_documented(name: str) -> None:
    undocumented = [
        path
        for path, node in _nodes(_schema(name))
        if not path.endswith(("]", "*")) and path not in (".metadata",)
        and "description" not in node
    ]  # fmt: skip

    # The name in an open object belongs to somebody else's documentation.
    volumes = {OLD_VERSION: "server.podOverrides", VERSION: "workload.overrides"}
    assert undocumented == [f".spec.{volumes[name]}.volumes[].name"]


def test_no_default_is_written_into_stored_objects() -> None:
    assert [path for path, node in _nodes(_schema()) if "default" in node] == []


def test_defaults_of_v1alpha1_are_those_that_objects_have_already() -> None:
    value_from = ".spec.server.containerSpec.env[].valueFrom"

    assert {
        path: node["default"] for path, node in _nodes(_schema(OLD_VERSION)) if "default" in node
    } == {
        ".spec.replicas": 1,
        ".spec.network.exposeRoute": False,
        ".spec.server.containerSpec.name": "llama-stack",
        f"{value_from}.secretKeyRef.name": "",
        f"{value_from}.configMapKeyRef.name": "",
        f"{value_from}.fileKeyRef.optional": False,
    }


@in_both_versions
def test_null_is_never_a_value(name: str) -> None:
    assert [path for path, node in _nodes(_schema(name)) if "nullable" in node] == []


@in_both_versions
def test_every_rule_starts_with_the_path_of_its_field(name: str) -> None:
    for path, node in _nodes(_schema(name)):
        for rule in node.get("x-kubernetes-validations", []):
            place = path.removeprefix(".").partition("[")[0]
            assert rule["message"].startswith(place or "metadata.name"), rule
            assert ": " in rule["message"]


@in_both_versions
def test_no_rule_speaks_of_a_field_of_the_other_version(name: str) -> None:
    known = {path.removeprefix(".").replace("[]", "") for path, _ in _nodes(_schema(name))}
    messages = [
        rule["message"]
        for _, node in _nodes(_schema(name))
        for rule in node.get("x-kubernetes-validations", [])
    ]

    named = {path for text in messages for path in re.findall(r"spec(?:\.\w+)+", text)}

    assert named
    assert named <= known


@in_both_versions
def test_every_list_of_objects_says_how_it_merges(name: str) -> None:
    lists = [
        (path, node)
        for path, node in _nodes(_schema(name))
        if node.get("items", {}).get("type") == "object"
    ]

    assert lists
    assert [path for path, node in lists if "x-kubernetes-list-type" not in node] == []


def test_lists_that_several_write_are_maps() -> None:
    nodes = dict(_nodes(_schema()))

    for path, keys in {
        ".status.conditions": ["type"],
        ".status.externalProviders": ["providerId"],
        ".spec.workload.overrides.env": ["name"],
        ".spec.externalProviders.inference": ["providerId"],
    }.items():
        assert nodes[path]["x-kubernetes-list-type"] == "map"
        assert nodes[path]["x-kubernetes-list-map-keys"] == keys


def test_references_have_one_owner() -> None:
    nodes = dict(_nodes(_schema()))

    for path in (
        ".spec.storage.sql.connectionString.secretKeyRef",
        ".spec.workload.overrides.env[].valueFrom.secretKeyRef",
        ".spec.workload.topologySpreadConstraints[].labelSelector",
    ):
        assert nodes[path]["x-kubernetes-map-type"] == "atomic"


@in_both_versions
def test_every_object_says_what_may_be_in_it(name: str) -> None:
    """The API server prunes everything from an object of which nothing is said."""
    contents = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}

    assert [
        path
        for path, node in _nodes(_schema(name))
        if node.get("type") == "object" and not contents & node.keys()
    ] == [".metadata"]


def test_limits_of_lists_reach_the_schema() -> None:
    """Without them the API server refuses the rules as too expensive."""
    nodes = dict(_nodes(_schema()))

    assert nodes[".spec.externalProviders.eval"]["maxItems"] == 10
    assert nodes[".spec.externalProviders.eval[].providerId"]["maxLength"] == 63
    assert nodes[".spec.networking.allowedFrom.labels"]["maxItems"] == 64
    assert nodes[".spec.networking.tls.caBundle.configMapKeys"]["maxItems"] == 50


def test_only_polymorphic_and_foreign_nodes_are_open() -> None:
    open_nodes = {
        path for path, node in _nodes(_schema()) if node.get("x-kubernetes-preserve-unknown-fields")
    }

    providers = {path for path in open_nodes if path.startswith(".spec.providers.")}
    external = {path for path in open_nodes if path.startswith(".spec.externalProviders.")}
    assert len(providers) == 13
    assert len(external) == 9
    assert all(path.endswith("[].config") for path in external)
    assert open_nodes - providers - external == {
        ".spec.resources.models[]",
        ".spec.networking.expose",
        ".spec.workload.overrides.volumes[]",
        ".spec.workload.overrides.affinity",
        ".status.distributionConfig.providers[].config",
    }


def test_only_polymorphic_and_foreign_nodes_of_v1alpha1_are_open() -> None:
    open_nodes = {
        path
        for path, node in _nodes(_schema(OLD_VERSION))
        if node.get("x-kubernetes-preserve-unknown-fields")
    }

    providers = {path for path in open_nodes if path.startswith(".spec.server.providers.")}
    external = {path for path in open_nodes if path.startswith(".spec.server.externalProviders.")}
    assert len(providers) == 7
    assert len(external) == 9
    assert open_nodes - providers - external == {
        ".spec.server.resources.models[]",
        ".spec.server.podOverrides.volumes[]",
        ".status.distributionConfig.providers[].config",
    }


def test_status_of_v1alpha1_has_everything_that_v1alpha2_has() -> None:
    old, new = (_schema(name)["properties"]["status"]["properties"] for name in VERSIONS)

    assert old == new | {"generatedConfigMap": old["generatedConfigMap"]}


def test_only_spec_and_distribution_are_required() -> None:
    schema = _schema()

    assert schema["required"] == ["spec"]
    assert schema["properties"]["spec"]["required"] == ["distribution"]


def test_columns_and_subresources() -> None:
    version = _version()

    assert [
        (column["name"], column.get("priority", 0))
        for column in version["additionalPrinterColumns"]
    ] == [
        ("Phase", 0),
        ("Distribution", 1),
        ("Config", 1),
        ("Providers", 0),
        ("Available", 0),
        ("Age", 0),
    ]
    assert version["subresources"]["status"] == {}
    assert version["subresources"]["scale"]["specReplicasPath"] == ".spec.workload.replicas"


def test_columns_and_subresources_of_v1alpha1() -> None:
    version = _version(OLD_VERSION)

    assert [column["name"] for column in version["additionalPrinterColumns"]] == [
        "Phase",
        "Operator Version",
        "Server Version",
        "Available",
        "Age",
    ]
    # Without scale, which would keep an object with negative replicas from every update.
    assert version["subresources"] == {"status": {}}


@in_both_versions
def test_paths_that_the_crd_points_to_exist_in_the_schema(name: str) -> None:
    version, known = _version(name), {path for path, _ in _nodes(_schema(name))}
    named = [
        *(column["jsonPath"] for column in version["additionalPrinterColumns"]),
        *(field["jsonPath"] for field in version["selectableFields"]),
        *version["subresources"].get("scale", {}).values(),
    ]

    assert [path for path in named if path not in known] == [".metadata.creationTimestamp"]


def test_there_is_one_storage_version() -> None:
    versions = custom_resource_definition()["spec"]["versions"]

    assert [version["name"] for version in versions if version["storage"]] == ["v1alpha2"]
    assert [version["name"] for version in versions if not version["served"]] == []


def test_versions_are_converted_by_a_service_of_the_operator() -> None:
    conversion = custom_resource_definition()["spec"]["conversion"]
    client = webhook.service(webhook.CONVERT)

    assert conversion == {
        "strategy": "Webhook",
        "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
    }
    # The operator fills in its own; another one here would be applied over it.
    assert "caBundle" not in client


def test_versions_are_converted_where_one_says() -> None:
    client = {"url": "https://127.0.0.1:9443/convert", "caBundle": "LS0t"}

    webhook = custom_resource_definition(client)["spec"]["conversion"]["webhook"]

    assert webhook["clientConfig"] == client


SURFACES = pytest.mark.parametrize("surface", [V1ALPHA1, V1ALPHA2], ids=lambda s: s.version)


@SURFACES
def test_policy_asks_for_our_resources_in_its_version_only_and_denies(surface: Surface) -> None:
    policy = validating_admission_policy(surface)
    binding = validating_admission_policy_binding(surface)

    (resources,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert resources["resources"] == ["llamastackdistributions"]
    assert resources["apiVersions"] == [surface.version]
    assert policy["spec"]["matchConstraints"]["matchPolicy"] == "Exact"
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]


@SURFACES
def test_policy_joins_the_messages_of_every_rule(surface: Surface) -> None:
    spec = validating_admission_policy(surface)["spec"]
    variables = {item["name"]: item["expression"] for item in spec["variables"]}
    made = rules(surface)

    assert [
        rule.variable for rule in made if f"variables.{rule.variable}" not in variables["findings"]
    ] == []
    assert [rule.variable for rule in made if rule.variable not in variables] == []


def test_committed_webhook_is_what_the_code_says() -> None:
    text = (ROOT / "deploy" / "webhook" / f"{webhook.NAME}.yaml").read_text("utf-8")

    assert load_all(text) == [webhook.validating_webhook_configuration()]


def test_webhook_asks_about_both_versions_and_about_nothing_else() -> None:
    (hook,) = webhook.validating_webhook_configuration()["webhooks"]
    (rule,) = hook["rules"]

    assert rule["apiVersions"] == list(VERSIONS)
    assert rule["operations"] == ["CREATE", "UPDATE"]
    assert rule["resources"] == ["llamastackdistributions"]
    assert (hook["failurePolicy"], hook["matchPolicy"]) == ("Fail", "Exact")


def test_webhook_takes_the_annotations_of_the_conversion_for_a_part_of_the_spec() -> None:
    (hook,) = webhook.validating_webhook_configuration()["webhooks"]
    conditions = {item["name"]: item["expression"] for item in hook["matchConditions"]}

    assert set(re.findall(r"'(llamastack\.io/[^']+)'", conditions["spec-changed"])) == set(
        ANNOTATIONS.values()
    )


def test_policy_of_v1alpha1_speaks_of_no_field_of_v1alpha2() -> None:
    text = str(validating_admission_policy(V1ALPHA1))

    assert [word for word in ("spec.providers", "settings", "secretRefs") if word in text] == []
