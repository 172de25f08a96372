# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where each field of v1alpha1 is in v1alpha2, and back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api import ANNOTATIONS, GROUP, KIND, OLD_VERSION, VERSION
from api.conversion import convert, forgotten_paths, hidden_paths, unkept_paths
from api.validation import validate

SECRET = {"secretKeyRef": {"name": "creds", "key": "token"}}
HOST = {"secretKeyRef": {"name": "db", "key": "host"}}


def old(spec: Any, **annotations: str) -> dict[str, Any]:
    return _obj(OLD_VERSION, spec, annotations)


def new(spec: Any, **annotations: str) -> dict[str, Any]:
    return _obj(VERSION, spec, annotations)


def _obj(version: str, spec: Any, annotations: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "llama", "namespace": "team-a"}
    if annotations:
        named = {f"{GROUP}/{name}-fields": text for name, text in annotations.items()}
        metadata["annotations"] = named
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": KIND,
        "metadata": metadata,
        "spec": spec,
    }


PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "replicas": ({"replicas": 0}, {"workload": {"replicas": 0}}),
    "distribution": (
        {"server": {"distribution": {"name": "starter"}}},
        {"distribution": {"name": "starter"}},
    ),
    "container": (
        {
            "server": {
                "containerSpec": {
                    "name": "server",
                    "port": 9000,
                    "resources": {"limits": {"cpu": "2"}},
                    "env": [{"name": "A", "value": "1"}],
                    "command": ["sh"],
                    "args": ["-c", "true"],
                }
            }
        },
        {
            "networking": {"port": 9000},
            "workload": {
                "resources": {"limits": {"cpu": "2"}},
                "overrides": {
                    "containerName": "server",
                    "env": [{"name": "A", "value": "1"}],
                    "command": ["sh"],
                    "args": ["-c", "true"],
                },
            },
        },
    ),
    "pod": (
        {
            "server": {
                "workers": 2,
                "podOverrides": {
                    "serviceAccountName": "mine",
                    "terminationGracePeriodSeconds": 0,
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                },
                "podDisruptionBudget": {"maxUnavailable": "50%"},
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}],
                "autoscaling": {"maxReplicas": 3},
            }
        },
        {
            "workload": {
                "workers": 2,
                "podDisruptionBudget": {"maxUnavailable": "50%"},
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}],
                "autoscaling": {"maxReplicas": 3},
                "overrides": {
                    "serviceAccountName": "mine",
                    "terminationGracePeriodSeconds": 0,
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                },
            }
        },
    ),
    "an empty storage is a volume": (
        {"server": {"storage": {}}},
        {"workload": {"storage": {}}},
    ),
    "a volume": (
        {"server": {"storage": {"size": "20Gi", "mountPath": "/data"}}},
        {"workload": {"storage": {"size": "20Gi", "mountPath": "/data"}}},
    ),
    "state without a volume": (
        {"server": {"storage": {"type": "postgres", "connectionString": SECRET}}},
        {
            "storage": {
                "kv": {"type": "postgres", "connectionString": SECRET},
                "sql": {"type": "postgres", "connectionString": SECRET},
            }
        },
    ),
    "state and a volume": (
        {"server": {"storage": {"size": "1Gi", "type": "sqlite"}}},
        {
            "workload": {"storage": {"size": "1Gi"}},
            "storage": {"kv": {"type": "sqlite"}, "sql": {"type": "sqlite"}},
        },
    ),
    "a configuration of one's own": (
        {"server": {"userConfig": {"configMapName": "mine", "configMapNamespace": "b"}}},
        {"overrideConfig": {"configMapName": "mine", "configMapNamespace": "b"}},
    ),
    "certificates": (
        {
            "server": {
                "tlsConfig": {"caBundle": {"configMapName": "ca", "configMapKeys": ["a.crt"]}},
                "tls": {"enabled": True, "secretName": "cert"},
            }
        },
        {
            "networking": {
                "tls": {
                    "caBundle": {"configMapName": "ca", "configMapKeys": ["a.crt"]},
                    "enabled": True,
                    "secretName": "cert",
                }
            }
        },
    ),
    "one provider": (
        {
            "server": {
                "providers": {
                    "inference": {
                        "provider": "vllm",
                        "endpoint": "http://vllm:8000/v1",
                        "apiKey": SECRET,
                        "config": {"max_tokens": 1},
                    },
                    "vectorIo": {"provider": "pgvector", "host": HOST},
                }
            }
        },
        {
            "providers": {
                "inference": {
                    "provider": "vllm",
                    "endpoint": "http://vllm:8000/v1",
                    "apiKey": SECRET,
                    "settings": {"max_tokens": 1},
                },
                "vectorIo": {"provider": "pgvector", "secretRefs": {"host": HOST}},
            }
        },
    ),
    "several providers": (
        {
            "server": {
                "providers": {
                    "inference": [
                        {"id": "a", "provider": "bedrock", "region": "us-east-1"},
                        {
                            "id": "b",
                            "provider": "azure",
                            "deploymentName": "gpt",
                            "config": {"api_version": "1"},
                        },
                    ]
                }
            }
        },
        {
            "providers": {
                "inference": [
                    {"id": "a", "provider": "bedrock", "settings": {"region": "us-east-1"}},
                    {
                        "id": "b",
                        "provider": "azure",
                        "settings": {"api_version": "1", "deploymentName": "gpt"},
                    },
                ]
            }
        },
    ),
    "settings that v1alpha1 has fields for, which take no such value": (
        {
            "server": {
                "providers": {
                    "inference": {
                        "provider": "azure",
                        "region": "westeurope",
                        "config": {"deploymentName": ""},
                    },
                    "vectorIo": {"provider": "milvus", "config": {"region": 1}},
                }
            }
        },
        {
            "providers": {
                "inference": {
                    "provider": "azure",
                    "settings": {"region": "westeurope", "deploymentName": ""},
                },
                "vectorIo": {"provider": "milvus", "settings": {"region": 1}},
            }
        },
    ),
    "resources": (
        {
            "server": {
                "resources": {
                    "models": [
                        "llama",
                        {"name": "e5", "provider": "a", "metadata": {"embeddingDimension": 384}},
                    ],
                    "tools": ["builtin::rag"],
                    "shields": ["guard"],
                },
                "disabled": ["safety"],
            }
        },
        {
            "resources": {
                "models": ["llama", {"name": "e5", "provider": "a", "embeddingDimension": 384}],
                "tools": ["builtin::rag"],
                "shields": ["guard"],
            },
            "disabled": ["safety"],
        },
    ),
    "external providers": (
        {"server": {"externalProviders": {"inference": [{"providerId": "x", "image": "i"}]}}},
        {"externalProviders": {"inference": [{"providerId": "x", "image": "i"}]}},
    ),
    "network": (
        {"network": {"exposeRoute": True, "allowedFrom": {"namespaces": ["a"], "labels": ["b"]}}},
        {"networking": {"expose": True, "allowedFrom": {"namespaces": ["a"], "labels": ["b"]}}},
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_field_of_both_versions_needs_no_annotation(name: str) -> None:
    theirs, ours = PAIRS[name]
    assert convert(old(theirs), VERSION) == new(ours)
    assert convert(new(ours), OLD_VERSION) == old(theirs)


READ: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # What v1alpha1 can say in more than one way.
    "the port of the container wins": (
        {"server": {"port": 1, "containerSpec": {"port": 2}}},
        {"networking": {"port": 2}},
    ),
    "the port of the server": ({"server": {"port": 1}}, {"networking": {"port": 1}}),
    "a region beats the same setting": (
        {"server": {"providers": {"inference": {"region": "a", "config": {"region": "b"}}}}},
        {"providers": {"inference": {"settings": {"region": "a"}}}},
    ),
    # What the Go operator takes for a field that is absent.
    "empty names": (
        {
            "server": {
                "containerSpec": {"name": "", "port": 0},
                "podOverrides": {"serviceAccountName": ""},
                "storage": {"mountPath": ""},
                "userConfig": {"configMapName": ""},
                "tlsConfig": {"caBundle": {"configMapName": ""}},
            }
        },
        {"workload": {"storage": {}}},
    ),
    "an empty namespace": (
        {"server": {"userConfig": {"configMapName": "a", "configMapNamespace": ""}}},
        {"overrideConfig": {"configMapName": "a"}},
    ),
    # Lists that v1alpha2 has once each.
    "the last value of a variable": (
        {
            "server": {
                "containerSpec": {
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "B", "value": "$(A)"},
                        {"name": "A", "value": "2"},
                    ]
                }
            }
        },
        {
            "workload": {
                "overrides": {"env": [{"name": "B", "value": "$(A)"}, {"name": "A", "value": "2"}]}
            }
        },
    ),
    "an empty value beside another source": (
        {"server": {"containerSpec": {"env": [{"name": "A", "value": "", "valueFrom": {}}]}}},
        {"workload": {"overrides": {"env": [{"name": "A", "valueFrom": {}}]}}},
    ),
    "an empty budget": (
        {"server": {"podDisruptionBudget": {}}},
        {"workload": {"podDisruptionBudget": {"maxUnavailable": 1}}},
    ),
    "a number of pods below none": ({"replicas": -1}, {}),
    "a namespace that cannot be": (
        {"network": {"allowedFrom": {"namespaces": ["nsA", "*", "b"]}}},
        {"networking": {"allowedFrom": {"namespaces": ["*", "b"]}}},
    ),
    "a namespace once": (
        {"network": {"allowedFrom": {"namespaces": ["a", "b", "a"], "labels": ["c", "c"]}}},
        {"networking": {"allowedFrom": {"namespaces": ["a", "b"], "labels": ["c"]}}},
    ),
    # What nobody could apply in v1alpha1.
    "a type of store that nobody knows": (
        {"server": {"storage": {"size": "1Gi", "type": "Postgres", "connectionString": SECRET}}},
        {
            "workload": {"storage": {"size": "1Gi"}},
            "storage": {
                "kv": {"type": "Postgres", "connectionString": SECRET},
                "sql": {"type": "Postgres", "connectionString": SECRET},
            },
        },
    ),
    "a switch that is an object": (
        {"network": {"exposeRoute": {"enabled": True}}},
        {"networking": {"expose": True}},
    ),
    "a switch that is an object and says nothing": (
        {"network": {"exposeRoute": {"enabled": "maybe"}}},
        {},
    ),
    "an empty region": (
        {"server": {"providers": {"inference": {"provider": "vllm", "region": ""}}}},
        {"providers": {"inference": {"provider": "vllm", "settings": {"region": ""}}}},
    ),
    # Names of v1alpha2 mean nothing in v1alpha1.
    "settings in v1alpha1": (
        {"server": {"providers": {"inference": {"provider": "vllm", "settings": {"a": 1}}}}},
        {"providers": {"inference": {"provider": "vllm"}}},
    ),
    "a section of v1alpha2": (
        {"server": {"providers": {"files": {"provider": "localfs"}}}},
        {"providers": {}},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_v1alpha1_says_in_its_own_way_has_its_effect_and_comes_back(name: str) -> None:
    theirs, ours = READ[name]
    there = convert(old(theirs), VERSION)
    assert there["spec"] == ours
    assert convert(there, OLD_VERSION) == old(theirs)


HIDDEN: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "a host name": (
        {"networking": {"expose": {"hostname": "a.b"}}},
        {"network": {"exposeRoute": True}},
        ["spec.networking.expose"],
    ),
    "a storage class": (
        {"workload": {"storage": {"size": "1Gi", "storageClassName": "fast"}}},
        {"server": {"storage": {"size": "1Gi"}}},
        ["spec.workload.storage.storageClassName"],
    ),
    "two kinds of stores": (
        {"storage": {"kv": {"type": "redis", "endpoint": "redis://r"}, "sql": {"type": "sqlite"}}},
        {},
        ["spec.storage"],
    ),
    "a secret of one of two providers": (
        {
            "providers": {
                "inference": [
                    {"id": "a", "provider": "vllm"},
                    {"id": "b", "provider": "vllm", "secretRefs": {"x": SECRET}},
                ]
            }
        },
        {
            "server": {
                "providers": {
                    "inference": [
                        {"id": "a", "provider": "vllm"},
                        {"id": "b", "provider": "vllm"},
                    ]
                }
            }
        },
        ["spec.providers.inference[b].secretRefs"],
    ),
    "sections that v1alpha1 lacks": (
        {"providers": {"inference": {"provider": "vllm"}, "files": {"provider": "localfs"}}},
        {"server": {"providers": {"inference": {"provider": "vllm"}}}},
        ["spec.providers.files"],
    ),
    "the kind of a model": (
        {"resources": {"models": [{"name": "e5", "modelType": "embedding"}]}},
        {"server": {"resources": {"models": [{"name": "e5"}]}}},
        ["spec.resources.models[e5].modelType"],
    ),
    "pods": (
        {"workload": {"overrides": {"nodeSelector": {"a": "b"}, "labels": {"c": "d"}}}},
        {},
        ["spec.workload.overrides.nodeSelector", "spec.workload.overrides.labels"],
    ),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_v1alpha1_cannot_say_is_kept_and_named(name: str) -> None:
    ours, theirs, paths = HIDDEN[name]
    there = convert(new(ours), OLD_VERSION)
    assert there["spec"] == theirs
    assert hidden_paths(there) == paths
    assert list(there["metadata"]["annotations"]) == [ANNOTATIONS[VERSION]]
    assert convert(there, VERSION) == new(ours)


@pytest.mark.parametrize("name", ["region", "deploymentName"])
@pytest.mark.parametrize("value", ["", None, 1, {}])
def test_what_v1alpha2_admits_as_a_setting_is_not_refused_in_v1alpha1(
    name: str, value: Any
) -> None:
    provider = {"provider": "vllm", "endpoint": "http://a/v1", "settings": {name: value}}
    obj = new({"distribution": {"name": "starter"}, "providers": {"inference": provider}})
    assert validate(obj).errors == ()
    assert validate(convert(obj, OLD_VERSION)).errors == ()


def test_a_namespace_that_cannot_be_is_no_error_but_a_warning() -> None:
    spec = {
        "server": {"distribution": {"name": "starter"}},
        "network": {"allowedFrom": {"namespaces": ["a", "nsB"]}},
    }
    found = validate(old(spec))
    assert found.errors == ()
    assert [str(warning) for warning in found.warnings] == [
        "spec.network.allowedFrom.namespaces[1]: names no namespace and has no effect"
    ]


def test_other_annotations_stay() -> None:
    obj = new({"storage": {"kv": {"type": "sqlite"}}})
    obj["metadata"]["annotations"] = {"mine": "1"}
    there = convert(obj, OLD_VERSION)
    assert there["metadata"]["annotations"].keys() == {"mine", ANNOTATIONS[VERSION]}
    assert convert(there, VERSION) == obj


@pytest.mark.parametrize(
    "metadata",
    ["abc", 5, [], False, {"annotations": ["x"]}, {"annotations": "x"}, {"annotations": 0}],
)
@pytest.mark.parametrize(("make", "other", "spec", "path"), [
    (new, OLD_VERSION, {"networking": {"expose": {"hostname": "a.b"}}}, "spec.networking.expose"),
    (old, VERSION, {"server": {"port": 1}}, "spec.server.port"),
])  # fmt: skip
def test_metadata_of_a_wrong_type_stays_and_what_it_cannot_keep_is_told(
    make: Any, other: str, spec: dict[str, Any], path: str, metadata: Any
) -> None:
    obj = {**make(spec), "metadata": metadata}
    there = convert(obj, other)
    assert there["metadata"] == metadata
    assert path in unkept_paths(obj, there)
    assert unkept_paths(obj, obj) == []


@pytest.mark.parametrize("metadata", [None, {}, {"annotations": None}, {"annotations": {"a": 1}}])
def test_metadata_that_has_room_keeps_everything(metadata: Any) -> None:
    obj = {**new({"networking": {"expose": {"hostname": "a.b"}}}), "metadata": metadata}
    there = convert(obj, OLD_VERSION)
    assert unkept_paths(obj, there) == []
    assert convert(there, VERSION)["spec"] == obj["spec"]


# --- somebody edits the v1alpha1 view ------------------------------------------------------------


def _edited(ours: dict[str, Any], edit: Any) -> dict[str, Any]:
    """An object of v1alpha2 after an edit of its v1alpha1 view."""
    view = convert(new(ours), OLD_VERSION)
    edit(view["spec"])
    return convert(view, VERSION)


def test_an_edit_elsewhere_leaves_hidden_fields_alone() -> None:
    ours = {"networking": {"expose": {"hostname": "a.b"}}}
    result = _edited(ours, lambda spec: spec.update(replicas=3))
    assert result["spec"] == {**ours, "workload": {"replicas": 3}}


def test_a_field_beats_what_is_hidden_behind_it() -> None:
    ours = {
        "networking": {"expose": {"hostname": "a.b"}},
        "workload": {"overrides": {"labels": {}}},
    }
    result = _edited(ours, lambda spec: spec["network"].update(exposeRoute=False))
    assert result["spec"]["networking"] == {"expose": False}
    assert result["spec"]["workload"] == {"overrides": {"labels": {}}}


def test_a_removed_volume_does_not_come_back_as_its_hidden_half() -> None:
    ours = {"workload": {"storage": {"size": "1Gi", "storageClassName": "fast"}}}
    result = _edited(ours, lambda spec: spec["server"].pop("storage"))
    assert "workload" not in result["spec"]


def test_hidden_fields_follow_their_provider_to_another_place() -> None:
    ours = HIDDEN["a secret of one of two providers"][0]
    result = _edited(ours, lambda spec: spec["server"]["providers"]["inference"].reverse())
    assert result["spec"]["providers"]["inference"] == ours["providers"]["inference"][::-1]


def test_hidden_fields_of_a_provider_do_not_go_to_its_successor() -> None:
    ours = {"providers": {"vectorIo": {"provider": "pgvector", "secretRefs": {"password": SECRET}}}}
    view = convert(new(ours), OLD_VERSION)
    view["spec"]["server"]["providers"]["vectorIo"]["provider"] = "milvus"
    assert forgotten_paths(view, convert(view, VERSION)) == [
        "spec.providers.vectorIo[pgvector].secretRefs"
    ]
    assert [str(warning) for warning in validate(view).warnings][-1] == (
        "metadata.annotations[llamastack.io/v1alpha2-fields]:"
        " spec.providers.vectorIo[pgvector].secretRefs: is dropped, because it does not go with the"
        " fields that are there now"
    )
    assert convert(view, VERSION)["spec"] == {"providers": {"vectorIo": {"provider": "milvus"}}}


OWN = {"provider": "vllm", "secretRefs": {"tls_key": SECRET}}
WITH_ID = {"id": "vllm", **OWN}


@pytest.mark.parametrize(
    ("ours", "edited", "result"),
    [
        (OWN, {"id": "vllm", "provider": "vllm"}, WITH_ID),
        (WITH_ID, {"provider": "vllm"}, OWN),
        ([OWN], {"id": "vllm", "provider": "vllm"}, WITH_ID),
        (OWN, [{"id": "b", "provider": "openai"}, {"id": "vllm", "provider": "vllm"}],
         [{"id": "b", "provider": "openai"}, WITH_ID]),
        (OWN, {"id": "mine", "provider": "vllm"}, {"id": "mine", "provider": "vllm"}),
        (OWN, {"provider": "openai", "id": "vllm"}, {"provider": "openai", "id": "vllm"}),
        (OWN, [{"provider": "vllm"}, {"id": "vllm", "provider": "vllm"}],
         [{"provider": "vllm"}, {"id": "vllm", "provider": "vllm"}]),
    ],
    ids=["written", "left-out", "no-list", "a-second-one", "another-id", "another-type", "both"],
)  # fmt: skip
def test_hidden_fields_stay_with_their_provider_when_its_default_id_is_written(
    ours: Any, edited: Any, result: Any
) -> None:
    view = convert(new({"providers": {"inference": ours}}), OLD_VERSION)
    view["spec"]["server"]["providers"]["inference"] = edited
    back = convert(view, VERSION)
    assert back["spec"] == {"providers": {"inference": result}}
    assert bool(forgotten_paths(view, back)) is ("secretRefs" not in str(result))


def test_what_v1alpha1_wrote_stays_with_a_provider_whose_default_id_is_written() -> None:
    theirs = {"provider": "bedrock", "region": "eu", "config": {"region": "us"}}
    hub = convert(old({"server": {"providers": {"inference": theirs}}}), VERSION)
    hub["spec"]["providers"]["inference"]["id"] = "bedrock"
    back = convert(hub, OLD_VERSION)
    assert back["spec"]["server"]["providers"]["inference"] == {"id": "bedrock", **theirs}


def test_without_the_annotation_only_the_fields_are_left() -> None:
    view = convert(new({"networking": {"port": 1, "expose": {"hostname": "a"}}}), OLD_VERSION)
    del view["metadata"]["annotations"]
    assert convert(view, VERSION)["spec"] == {"networking": {"port": 1, "expose": True}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[1]",
        '[{"path": []}]',
        '[{"path": ["metadata", "name"], "value": "other"}]',
        '[{"path": ["spec", 1], "value": 2}]',
        '[{"path": ["spec", {"id": "a"}, "x"], "value": 2}]',
        "[" * 100_000,
    ],
)
def test_an_annotation_that_makes_no_sense_is_dropped(text: str) -> None:
    view = old({"replicas": 2}, v1alpha2=text)
    assert convert(view, VERSION) == new({"workload": {"replicas": 2}})


def test_a_forged_annotation_cannot_change_what_the_object_shows() -> None:
    forged = '[{"path":["spec","workload","replicas"],"value":9}]'
    view = old({"replicas": 2}, v1alpha2=forged)
    assert convert(view, VERSION)["spec"] == {"workload": {"replicas": 2}}


def test_an_annotation_of_thousands_that_do_not_fit_is_given_up_soon() -> None:
    entry = '{"path":["spec","workload","replicas"],"value":%d}'
    forged = ",".join(entry % i for i in range(5000))
    view = old({"replicas": 2}, v1alpha2=f"[{forged}]")
    assert convert(view, VERSION)["spec"] == {"workload": {"replicas": 2}}


# --- the rest ------------------------------------------------------------------------------------


MANY = 3000


@pytest.mark.parametrize(
    "obj",
    [
        new(
            {
                "resources": {
                    "models": [{"name": f"m{i}", "modelType": "llm"} for i in range(MANY)],
                }
            }
        ),
        old({"network": {"allowedFrom": {"namespaces": [f"n{i}" for i in range(8 * MANY)]}}}),
    ],
    ids=["models", "namespaces"],
)
def test_the_time_grows_with_the_object_and_not_with_its_square(obj: dict[str, Any]) -> None:
    """It took minutes; now it is below a second, and the bound leaves room for a busy machine."""
    other = OLD_VERSION if obj["apiVersion"].endswith(VERSION) else VERSION
    began = time.process_time()
    there = convert(obj, other)
    back = convert(there, obj["apiVersion"].partition("/")[2])
    assert back == obj
    assert forgotten_paths(there, back) == []
    assert time.process_time() - began < 6


def test_an_entry_without_a_value_takes_away_no_item() -> None:
    text = (
        '[{"path":["spec","providers","scoring"],"value":[{"id":"x"}]},'
        '{"path":["spec","providers","scoring",{"id":"x"}]}]'
    )
    converted = convert(old({"server": {"providers": {}}}, v1alpha2=text), VERSION)
    assert converted["spec"] == {"providers": {"scoring": [{"id": "x"}]}}


def test_the_status_of_v1alpha1_has_what_it_derives() -> None:
    generated = {
        "type": "ConfigGenerated",
        "status": "True",
        "reason": "ConfigGenerated",
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"configGeneration": {"configMapName": "cm"}, "conditions": [generated]}
    obj = {**new({}), "status": status}
    there = convert(obj, OLD_VERSION)
    assert there["status"]["generatedConfigMap"] == "cm"
    derived = {c["type"]: (c["status"], c["reason"]) for c in there["status"]["conditions"]}
    assert derived == {
        "ConfigGenerated": ("True", "ConfigGenerated"),
        "ValidationSucceeded": ("True", "ValidationSucceeded"),
        "ConfigReady": ("True", "ConfigGenerated"),
    }
    assert convert(there, VERSION) == obj


def test_an_invalid_spec_is_what_validation_succeeded_tells_of() -> None:
    invalid = {
        "type": "ConfigGenerated",
        "status": "False",
        "reason": "ValidationFailed",
        "message": "spec.distribution: is required",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    there = convert({**new({}), "status": {"conditions": [invalid]}}, OLD_VERSION)
    assert {**invalid, "type": "ValidationSucceeded"} in there["status"]["conditions"]


@pytest.mark.parametrize("spec", [None, 1, "x", [], [{}], {"server": 5}, {"workload": []}])
@pytest.mark.parametrize("make", [old, new])
def test_nonsense_is_moved_as_it_is(spec: Any, make: Any) -> None:
    obj = make(spec)
    there = convert(obj, VERSION if make is old else OLD_VERSION)
    assert convert(there, OLD_VERSION if make is old else VERSION) == obj


@pytest.mark.parametrize("version", ["llamastack.io/v1", "v1", "", None, 5])
def test_an_unknown_version_is_an_error(version: Any) -> None:
    with pytest.raises(ValueError, match="apiVersion: must be one of"):
        convert({"apiVersion": version}, VERSION)
    with pytest.raises(ValueError, match="version: must be one of"):
        convert(old({}), "v1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rubbish", "is not what the operator writes there"),
        ('{"path": ["spec"]}', "is not what the operator writes there"),
        ('[{"path": 1}]', "is not what the operator writes there"),
        ('[{"path": ["spec", "nosuch"], "value": 1}]', "spec.nosuch: is not known and has no"),
    ],
)
def test_annotation_that_holds_nothing_is_warned_of(text: str, said: str) -> None:
    obj = old({"server": {"distribution": {"name": "starter"}}}, v1alpha2=text)

    (warning,) = validate(obj).warnings

    assert warning.path == "metadata.annotations[llamastack.io/v1alpha2-fields]"
    assert warning.message.startswith(said)
