# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What becomes of each part of an OGXServer."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.conversion.ogx import LAST_APPLIED, from_ogx, spec
from api.conversion.ogx.policy import NAMESPACE_NAME
from api.conversion.ogx.vendors import APIS, SECTIONS, VENDORS
from api.conversion.places import get, put
from configs import catalogue, eras

STARTER = {"distribution": {"image": "registry.example/ogx:1"}}


def server(**fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ogx.io/v1beta1",
        "kind": "OGXServer",
        "metadata": {"name": "demo"},
        "spec": {**STARTER, **fields},
    }


def converted(**fields: Any) -> dict[str, Any]:
    """The sections that fields become, if nothing is said about them."""
    result, warned = with_warnings(**fields)
    assert warned == []
    return result


def with_warnings(**fields: Any) -> tuple[dict[str, Any], list[str]]:
    """The sections that fields become, and the paths of the warnings."""
    obj = server(**fields)
    before = copy.deepcopy(obj)
    conversion = from_ogx(obj)
    assert obj == before
    result = conversion.resource["spec"]
    return (
        {name: value for name, value in result.items() if STARTER.get(name) != value},
        [warning.path for warning in conversion.warnings],
    )


def inference(**vendors: Any) -> list[dict[str, Any]]:
    return list(converted(providers={"inference": {"remote": vendors}})["providers"]["inference"])


# --- metadata ------------------------------------------------------------------------------------


def test_kind_name_namespace_labels_and_annotations() -> None:
    metadata = {
        "name": "demo",
        "namespace": "team",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
    }

    conversion = from_ogx({**server(), "metadata": metadata})

    assert conversion.resource["apiVersion"] == "llamastack.io/v1alpha2"
    assert conversion.resource["kind"] == "LlamaStackDistribution"
    assert conversion.resource["metadata"] == metadata
    assert conversion.warnings == ()


def test_what_a_cluster_keeps_about_the_other_object_stays_behind() -> None:
    theirs = {
        "uid": "1", "resourceVersion": "2", "generation": 3, "managedFields": [{}],
        "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {LAST_APPLIED: "{}"},
    }  # fmt: skip
    obj = {**server(), "metadata": {"name": "demo", **theirs}, "status": {"phase": "Ready"}}

    conversion = from_ogx(obj)

    assert conversion.resource["metadata"] == {"name": "demo"}
    assert "status" not in conversion.resource
    assert conversion.warnings == ()


def test_adoption_finalizers_and_owners_are_named() -> None:
    metadata = {
        "name": "demo",
        "annotations": {"ogx.io/adopt-storage": "old", "mine": "x"},
        "finalizers": ["a/b"],
        "ownerReferences": [{"name": "parent"}],
    }

    conversion = from_ogx({**server(), "metadata": metadata})

    assert conversion.resource["metadata"] == {"name": "demo", "annotations": {"mine": "x"}}
    assert {warning.path for warning in conversion.warnings} == {
        "metadata.annotations[ogx.io/adopt-storage]",
        "metadata.finalizers",
        "metadata.ownerReferences",
    }


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "Other"), ("apiVersion", "ogx.io/v1"), ("apiVersion", None)]
)
def test_anything_else_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}: must be "):
        from_ogx({**server(), field: value})


# --- fields that move ----------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), spec.MOVES.items(), ids=".".join)
def test_a_field_moves_with_its_value(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    fields: dict[str, Any] = {}
    put(fields, old, ["anything"])

    result = from_ogx({**server(), "spec": fields}).resource["spec"]

    assert get(result, new) == ["anything"]


@pytest.mark.parametrize("names", spec.WITHOUT_COUNTERPART, ids=".".join)
def test_a_field_without_a_counterpart_is_named_with_what_to_do(names: tuple[str, ...]) -> None:
    fields: dict[str, Any] = {}
    put(fields, names, 30)

    conversion = from_ogx(server(**fields))

    (warning,) = conversion.warnings
    assert warning.path == f"spec.{'.'.join(names)}"
    assert warning.hint
    assert conversion.resource["spec"] == STARTER


def test_what_is_so_here_anyhow_is_not_named() -> None:
    assert converted(monitoring={"enabled": False}, network={"policy": {"enabled": True}}) == {}


def test_a_name_means_another_server() -> None:
    _, warned = with_warnings(distribution={"name": "starter"})

    assert warned == ["spec.distribution.name"]


def test_an_unknown_field_is_named_and_an_object_is_expected() -> None:
    result, warned = with_warnings(network={"mesh": {}}, workload=5, tls={"trust": []}, more="x")

    assert result == {}
    assert set(warned) == {"spec.network.mesh", "spec.workload", "spec.tls.trust", "spec.more"}


def test_an_empty_volume_is_a_volume() -> None:
    assert converted(workload={"storage": {}}) == {"workload": {"storage": {}}}


def test_claims_of_the_pod_are_named_by_the_container() -> None:
    result, warned = with_warnings(
        workload={
            "resources": {"limits": {"cpu": "1"}, "claims": [{"name": "gpu", "request": "a"}]},
            "resourceClaims": [
                {"name": "gpu", "resourceClaimName": "team-gpu"},
                {"name": "nic", "resourceClaimTemplateName": "nic"},
            ],
        }
    )

    assert result["workload"]["resources"] == {
        "limits": {"cpu": "1"},
        "claims": [{"name": "team-gpu", "request": "a"}],
    }
    assert warned == ["spec.workload.resourceClaims[1]"]


# --- networking ----------------------------------------------------------------------------------


def test_a_certificate_means_https() -> None:
    result = converted(network={"port": 9000, "tls": {"secretName": "cert"}})

    assert result["networking"] == {"port": 9000, "tls": {"enabled": True, "secretName": "cert"}}


@pytest.mark.parametrize(
    ("access", "expose"),
    [
        ({"enabled": True}, {"enabled": True}),
        ({"enabled": True, "hostname": "a.b"}, {"enabled": True, "hostname": "a.b"}),
        ({"hostname": "a.b"}, {"enabled": False, "hostname": "a.b"}),
    ],
)
def test_access_from_outside(access: dict[str, Any], expose: dict[str, Any]) -> None:
    assert converted(network={"externalAccess": access}) == {"networking": {"expose": expose}}


def test_empty_access_from_outside_is_none() -> None:
    assert converted(network={"externalAccess": {}}) == {}


def ingress(*peers: Any, **rule: Any) -> dict[str, Any]:
    return {"policy": {"ingress": [{"from": list(peers), **rule}]}}


def by_name(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}


def by_expression(**expression: Any) -> dict[str, Any]:
    return {"namespaceSelector": {"matchExpressions": [expression]}}


def test_rules_for_namespaces() -> None:
    network = ingress(
        by_name("a"),
        by_expression(key=NAMESPACE_NAME, operator="In", values=["b", "a"]),
        by_expression(key="team", operator="Exists"),
        {"podSelector": {}},
        ports=[{"protocol": "TCP", "port": 8321}],
    )

    assert converted(network=network) == {
        "networking": {"allowedFrom": {"namespaces": ["a", "b"], "labels": ["team"]}}
    }


def test_a_rule_for_the_port_of_the_server_when_it_is_another() -> None:
    network = ingress({"namespaceSelector": {}}, ports=[{"port": 9000}])

    assert converted(network={"port": 9000, **network})["networking"]["allowedFrom"] == {
        "namespaces": ["*"]
    }


@pytest.mark.parametrize(
    "peer",
    [
        {"ipBlock": {"cidr": "10.0.0.0/8"}},
        {"podSelector": {"matchLabels": {"app": "a"}}},
        {**by_name("a"), "podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"team": "a"}}},
        by_name("Not-A-Namespace"),
        by_name("*"),
        by_expression(key="team", operator="In", values=["a"]),
        by_expression(key="team", operator="DoesNotExist"),
        "anything",
    ],
)
def test_a_peer_that_cannot_be_said_is_named_and_the_others_hold(peer: Any) -> None:
    result, warned = with_warnings(network=ingress(peer, by_name("b")))

    assert result["networking"]["allowedFrom"] == {"namespaces": ["b"]}
    assert warned == ["spec.network.policy.ingress[0].from[0]"]


@pytest.mark.parametrize("ports", [[{"port": 80}], [{"protocol": "UDP", "port": 8321}], 5])
def test_a_rule_for_another_port_is_named_and_lets_nobody_in(ports: Any) -> None:
    result, warned = with_warnings(network=ingress(by_name("a"), ports=ports))

    assert result == {}
    assert warned == ["spec.network.policy.ingress[0]"]


def test_a_rule_for_everybody_is_one_for_every_pod() -> None:
    result, warned = with_warnings(network={"policy": {"ingress": [{}]}})

    assert result["networking"]["allowedFrom"] == {"namespaces": ["*"]}
    assert warned == ["spec.network.policy.ingress[0]"]


def test_egress_and_a_policy_that_is_off_are_named() -> None:
    egress = {"policyTypes": ["Ingress", "Egress"], "egress": [{}]}
    _, warned = with_warnings(network={"policy": egress})
    assert warned == ["spec.network.policy.policyTypes", "spec.network.policy.egress"]

    result, warned = with_warnings(network={"policy": {"enabled": False, **egress}})
    assert result == {}
    assert warned == ["spec.network.policy"]


def test_certificates_of_one_config_map() -> None:
    certificates = [{"name": "a", "key": "x"}, {"name": "b", "key": "y"}, {"name": "a", "key": "z"}]

    result, warned = with_warnings(tls={"trust": {"caCertificates": certificates}})

    bundle = {"configMapName": "a", "configMapKeys": ["x", "z"]}
    assert result == {"networking": {"tls": {"caBundle": bundle}}}
    assert warned == ["spec.tls.trust.caCertificates[1]"]


# --- configuration -------------------------------------------------------------------------------


def test_a_whole_configuration() -> None:
    reference = {"name": "mine", "key": "config.yaml"}

    assert converted(overrideConfig=reference) == {"overrideConfig": {"configMapName": "mine"}}


def test_a_key_that_is_not_read_here_is_named() -> None:
    result, warned = with_warnings(overrideConfig={"name": "mine", "key": "run.yaml"})

    assert result == {"overrideConfig": {"configMapName": "mine"}}
    assert warned == ["spec.overrideConfig.key"]


def test_a_base_that_nothing_changes_is_a_whole_configuration() -> None:
    reference = {"name": "base", "key": "config.yaml"}
    assert converted(baseConfig=reference) == {"overrideConfig": {"configMapName": "base"}}

    result, warned = with_warnings(baseConfig=reference, disabledAPIs=["files"])
    assert result == {"disabled": ["files"]}
    assert warned == ["spec.baseConfig"]

    result, warned = with_warnings(baseConfig=reference, overrideConfig={"name": "mine"})
    assert result == {"overrideConfig": {"configMapName": "mine"}}
    assert warned == ["spec.baseConfig"]


def test_stores() -> None:
    password, url = {"name": "redis", "key": "password"}, {"name": "db", "key": "url"}
    kv = {"type": "redis", "endpoint": "redis://r", "password": password}

    result = converted(storage={"kv": kv, "sql": {"type": "postgres", "connectionString": url}})

    assert result["storage"] == {
        "kv": {**kv, "password": {"secretKeyRef": password}},
        "sql": {"type": "postgres", "connectionString": {"secretKeyRef": url}},
    }


def test_apis_that_are_switched_off() -> None:
    result, warned = with_warnings(disabledAPIs=[*APIS, "file_processors", 5])

    assert result["disabled"] == list(APIS.values())
    assert warned == ["spec.disabledAPIs[6]", "spec.disabledAPIs[7]"]


# --- providers -----------------------------------------------------------------------------------


def test_a_vendor_becomes_an_entry_with_its_id_endpoint_and_key() -> None:
    reference = {"name": "s", "key": "k"}

    found = inference(
        vllm=[{"id": "a", "endpoint": "http://a/v1", "apiToken": reference, "maxTokens": 5}],
        openai=[{"apiKey": reference, "allowedModels": ["m"]}],
    )

    assert found == [
        {
            "id": "a",
            "provider": "vllm",
            "endpoint": "http://a/v1",
            "apiKey": {"secretKeyRef": reference},
            "settings": {"max_tokens": 5},
        },
        {
            "id": "remote-openai",
            "provider": "openai",
            "apiKey": {"secretKeyRef": reference},
            "settings": {"allowed_models": ["m"]},
        },
    ]


def test_keys_of_a_cloud_are_references_and_its_region_has_another_name() -> None:
    access, secret = {"name": "s", "key": "a"}, {"name": "s", "key": "b"}

    (found,) = inference(
        bedrock=[
            {
                "region": "eu",
                "awsAccessKeyId": access,
                "awsSecretAccessKey": secret,
                "sessionTTL": 9,
            }
        ]
    )

    assert found["secretRefs"] == {
        "aws_access_key_id": {"secretKeyRef": access},
        "aws_secret_access_key": {"secretKeyRef": secret},
    }
    assert found["settings"] == {"region_name": "eu", "session_ttl": 9}


def test_the_network_of_a_provider_keeps_the_names_of_headers() -> None:
    network = {"headers": {"X-teamName": "a"}, "tls": {"minVersion": "TLSv1.3"}, "proxy": {}}

    (found,) = inference(vertexai=[{"project": "p", "network": network}])

    assert found["settings"] == {
        "project": "p",
        "network": {
            "headers": {"X-teamName": "a"}, "tls": {"min_version": "TLSv1.3"}, "proxy": {},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("index", "setting"),
    [
        ({"hnsw": {"efSearch": 4}}, {"type": "HNSW", "ef_search": 4}),
        ({"ivfFlat": {"nlist": 9, "nprobe": 2}}, {"type": "IVFFlat", "lists": 9, "probes": 2}),
        ({"hnsw": {}, "ivfFlat": {}}, {"hnsw": {}, "ivf_flat": {}}),
    ],
)
def test_the_index_of_pgvector_names_its_type(index: Any, setting: Any) -> None:
    providers = {"vectorIo": {"remote": {"pgvector": [{"vectorIndex": index}]}}}

    (found,) = converted(providers=providers)["providers"]["vectorIo"]

    assert found == {
        "id": "remote-pgvector", "provider": "pgvector", "settings": {"vector_index": setting},
    }  # fmt: skip


def test_numbers_that_are_text_there_are_numbers_here() -> None:
    search = {"vectorStoresConfig": {"chunkRetrievalParams": {"rrfImpactFactor": "60.0"}}}

    result = converted(providers={"toolRuntime": {"inline": {"fileSearch": [search]}}})

    (found,) = result["providers"]["toolRuntime"]
    assert found["settings"] == {
        "vector_stores_config": {"chunk_retrieval_params": {"rrf_impact_factor": 60.0}}
    }


def test_a_vendor_without_a_list_is_one_provider() -> None:
    result = converted(providers={"responses": {"inline": {"builtin": {}}}})

    assert result["providers"] == {"agents": [{"id": "inline-builtin", "provider": "builtin"}]}


def test_custom_providers_pass() -> None:
    reference = {"name": "s", "key": "k"}
    custom = {"type": "remote::mine", "secretRefs": {"host": reference}, "settings": {"aB": 1}}

    (found,) = inference(custom=[custom])

    assert found == {
        "id": "remote-mine",
        "provider": "remote::mine",
        "secretRefs": {"host": {"secretKeyRef": reference}},
        "settings": {"aB": 1},
    }


def test_a_vendor_that_came_later_is_named_and_written_like_the_others() -> None:
    reference = {"name": "s", "key": "k"}
    later = [{"apiKey": reference, "clientSecret": reference, "topK": 3}]

    result, warned = with_warnings(providers={"toolRuntime": {"remote": {"exaSearch": later}}})

    assert result["providers"]["toolRuntime"] == [
        {
            "id": "remote-exa-search",
            "provider": "remote::exa-search",
            "apiKey": {"secretKeyRef": reference},
            "secretRefs": {"client_secret": {"secretKeyRef": reference}},
            "settings": {"top_k": 3},
        }
    ]
    assert warned == ["spec.providers.toolRuntime.remote.exaSearch"]


def test_two_fields_that_would_be_one_setting_stay_two() -> None:
    (found,) = inference(vllm=[{"maxTokens": 1, "max_tokens": 2}])

    assert found["settings"] == {"maxTokens": 1, "max_tokens": 2}


def test_models_without_a_provider_go_to_the_first_by_id() -> None:
    providers = {"inference": {"remote": {"vllm": [{"id": "b"}], "openai": [{"id": "a"}]}}}
    models = [{"name": "m"}, {"name": "n", "provider": "b", "contextLength": 4}]

    result = converted(providers=providers, resources={"models": models})

    assert result["resources"]["models"] == [{"name": "m", "provider": "a"}, models[1]]


def test_a_model_of_the_only_provider_needs_no_id() -> None:
    providers = {"inference": {"remote": {"vllm": [{"id": "b"}]}}}

    result = converted(providers=providers, resources={"models": [{"name": "m"}]})

    assert result["resources"]["models"] == [{"name": "m"}]


@pytest.mark.parametrize("era", ["0.7", "ogx"])
@pytest.mark.parametrize("place", VENDORS, ids="-".join)
def test_a_vendor_is_a_type_of_the_servers_with_the_fields_that_the_table_names(
    place: tuple[str, str, str], era: eras.Era
) -> None:
    api, kind, _ = place
    vendor = VENDORS[place]
    name = eras.api_of(SECTIONS[api], era)
    assert name is not None

    found = catalogue.embedded().find(era, name, vendor.provider, connected=True)

    assert found.known
    assert found.name.startswith(f"{kind}::")
    assert (found.endpoint is not None) >= bool(vendor.endpoint)
    assert (found.secret is not None) >= bool(vendor.key)
    assert set(vendor.renamed.values()) <= found.keys
    if era == "ogx":  # the server that OGXServer is made for
        assert set(vendor.secrets.values()) <= found.keys
