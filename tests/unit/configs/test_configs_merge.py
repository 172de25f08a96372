# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Merging over bases that the operator did not write: what stays, what goes, what is filled in."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from api.v1alpha2 import ConfigSource
from configs import engine, scalars, yaml_reader
from configs.base import BaseConfig, read_base
from configs.catalogue import embedded
from configs.distributions import Resolved
from configs.engine import Generated
from configs.eras import ERAS, Era, api_of, sections_of
from configs.errors import ConfigError
from tests.support.config_specs import DISTRIBUTIONS, config, errors, generate, secret, spec_of

yaml: Any = importlib.import_module("yaml")  # PyYAML has no types of its own

VLLM = {"provider": "vllm", "endpoint": "http://vllm:8000"}


class _Fixed:
    """A resolver with one base."""

    def __init__(self, text: str, era: Era | None) -> None:
        self._base = read_base(text, source=ConfigSource.OCI_LABEL, era=era)

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        """The base."""
        return self._base


def on(text: str, *, era: Era | None = None, **sections: Any) -> Generated:
    """What a base and a spec come to."""
    spec = spec_of({"distribution": {"image": "example.com/i:1"}, **sections})
    bases = _Fixed(text, era)
    return engine.generate("n", "ns", spec, distributions=DISTRIBUTIONS, bases=bases)


def data_of(text: str, *, era: Era | None = None, **sections: Any) -> dict[str, Any]:
    """The config that a base and a spec come to."""
    found: dict[str, Any] = yaml_reader.load(str(on(text, era=era, **sections).config_yaml))
    return found


BARE = "version: 2\ndistro_name: x\nproviders: {}\n"
INFERENCE = "version: 2\ndistro_name: x\nproviders: {inference: [{provider_id: o, " \
            "provider_type: 'remote::openai'}]}\n"  # fmt: skip


def test_unknown_keys_of_the_base_stay_at_every_level() -> None:
    text = """
version: 2
distro_name: x
unknown: {deep: [1, {x: y}]}
container_image: null
providers:
  files:
  - {provider_id: f, provider_type: 'inline::localfs', odd: 1, config: {also: [null]}}
storage: {backends: {other: {type: kv_sqlite, db_path: p, odd: 1}}, odd: 1}
server: {cors: true, auth: {a: [1]}}
"""

    found = data_of(text, providers={"inference": VLLM})

    assert found["unknown"] == {"deep": [1, {"x": "y"}]}
    assert found["container_image"] is None
    (files,) = found["providers"]["files"]
    assert (files["odd"], files["config"]) == (1, {"also": [None]})
    assert found["storage"]["odd"] == 1
    assert found["storage"]["backends"]["other"] == {
        "type": "kv_sqlite", "db_path": "p", "odd": 1
    }  # fmt: skip
    assert found["server"] == {"cors": True, "auth": {"a": [1]}, "port": 8321}


def test_lists_that_say_nothing_are_left_out() -> None:
    text = f"""{INFERENCE}
registered_resources:
  shields: []
  models: [{{model_id: m, provider_id: o}}]
  datasets: [{{dataset_id: d, provider_id: gone}}]
"""

    found = data_of(text.replace("]}\n", "], files: []}\n", 1), networking={"port": 9000},
                    disabled=["memory"])  # fmt: skip

    assert found["registered_resources"] == {"models": [{"model_id": "m", "provider_id": "o"}]}
    assert list(found["providers"]) == ["inference"]


@pytest.mark.parametrize("section", ["vector_stores", "safety"])
def test_a_section_of_the_base_that_is_null_is_as_good_as_absent(section: str) -> None:
    found = data_of(f"{INFERENCE}{section}: null", era="0.7", providers={"inference": VLLM})

    assert section not in found


def test_an_empty_list_of_the_base_is_no_provider() -> None:
    text = INFERENCE.replace("]}\n", "], files: [], vector_io: []}\n")

    found = data_of(text, era="0.7", providers={"toolRuntime": {"provider": "file-search"}})

    assert found["providers"]["files"][0]["provider_type"] == "inline::localfs"
    assert found["providers"]["vector_io"][0]["provider_type"] == "inline::faiss"


def test_a_base_without_a_name_gets_one_that_every_era_takes() -> None:
    assert data_of("version: 2\nproviders: {}", providers={"inference": VLLM})["image_name"]
    assert "image_name" not in data_of(BARE, providers={"inference": VLLM})


def test_what_is_filled_in_gets_what_it_needs() -> None:
    found = data_of(INFERENCE, era="0.7", providers={"eval": {"provider": "builtin"}})

    assert {api: [entry["provider_type"] for entry in entries]
            for api, entries in found["providers"].items()} == {
        "inference": ["remote::openai"],
        "eval": ["inline::builtin"],
        "datasetio": ["inline::localfs"],
        "files": ["inline::localfs"],
        "responses": ["inline::builtin"],
        "scoring": ["inline::basic"],
        "tool_runtime": ["remote::model-context-protocol"],
        "vector_io": ["inline::faiss"],
    }  # fmt: skip


def test_what_cannot_be_filled_in_because_it_is_disabled_is_refused_at_the_provider() -> None:
    with pytest.raises(ConfigError) as caught:
        on(INFERENCE, era="0.7", providers={"eval": {"provider": "builtin"}}, disabled=["scoring"])

    assert str(caught.value) == (
        "spec.providers.eval: inline::builtin needs the API scoring, which is disabled "
        "(enable it, or remove this provider)"
    )


def test_a_need_in_vain_is_told_to_its_end() -> None:
    found = errors(providers={"eval": {"provider": "builtin"}}, disabled=["files"])

    assert found == {
        "spec.providers.eval": "inline::builtin needs the API responses, which went because it "
        "needs files (enable what it needs, or remove this provider)"
    }


@pytest.mark.parametrize("era", ERAS)
def test_every_provider_has_its_structural_keys_and_what_it_needs(era: Era) -> None:
    """One at a time, on a base with nothing but inference: complete, or refused at its field."""
    catalogue = embedded()
    for section in sections_of(era):
        api = str(api_of(section, era))
        for short in catalogue.short_names(era, api):
            kind = catalogue.find(era, api, short, connected=True)
            wanted = _complete(short, era, api)

            found = data_of(INFERENCE, era=era, providers={section: wanted})

            (entry,) = found["providers"][api]
            assert entry["provider_type"] == kind.name
            assert set(kind.required) <= entry["config"].keys()
            assert set(entry["config"]) <= kind.keys
            for entries in found["providers"].values():
                for provider in entries:
                    types = [catalogue.types(era, a).get(provider["provider_type"])
                             for a in found["providers"]]  # fmt: skip
                    needs = next(t for t in types if t).needs
                    assert set(needs) <= found["providers"].keys()


def _complete(short: str, era: Era, api: str) -> dict[str, Any]:
    """A provider with everything that only a user can know."""
    kind = embedded().find(era, api, short, connected=True)
    wanted: dict[str, Any] = {"provider": short, "settings": {}}
    if kind.endpoint:
        scheme = {"remote::pgvector": "postgresql", "remote::neo4j": "bolt",
                  "remote::oci": "tcps"}.get(kind.name, "http")  # fmt: skip
        wanted["endpoint"] = f"{scheme}://h:8000"
    if kind.secret:
        wanted["apiKey"] = secret()
    if short == "bedrock":
        wanted["settings"]["region"] = "r"
    if short == "azure":
        wanted["settings"]["deploymentName"] = "d"
    ours = {"persistence", "kvstore", "sqlstore", "db_path", "path", "storage_dir",
            "metadata_store", "token", kind.endpoint, kind.secret}  # fmt: skip
    wanted["settings"] |= dict.fromkeys(set(kind.required) - ours, "x")
    if not wanted.get("endpoint") and not wanted.get("apiKey") and kind.is_remote:
        wanted["provider"] = kind.name
        wanted["id"] = short
    return wanted


def test_nothing_is_null_but_what_the_server_asks_for() -> None:
    found = config(
        providers={
            "vectorIo": {"provider": "milvus", "endpoint": "http://m:19530"},
            "safety": {
                "id": "guard", "provider": "bedrock", "settings": {"region": "r"},
                "secretRefs": {
                    "aws_access_key_id": secret("a"), "aws_secret_access_key": secret("b")
                },
            },
            "files": {"provider": "localfs"},
            "agents": {"provider": "meta-reference"},
        },
        resources={"models": ["m"], "tools": ["websearch"], "shields": ["guard"]},
        storage={"kv": {}, "sql": {}},
    )  # fmt: skip

    assert sorted(_nulls(found)) == ["session_ttl", "token"]
    assert list(_empty(found)) == []


def _nulls(node: Any, key: str = "") -> list[str]:
    if isinstance(node, dict):
        return [name for inner, value in node.items() for name in _nulls(value, inner)]
    if isinstance(node, list):
        return [name for value in node for name in _nulls(value, key)]
    return [key] if node is None else []


def _empty(node: Any, key: str = "") -> list[str]:
    """Keys of empty sections; a provider without any config of its own is none."""
    if isinstance(node, dict | list) and not node:
        return [] if key == "config" else [key]
    items = node.items() if isinstance(node, dict) else ()
    inner = [name for key, value in items for name in _empty(value, key)]
    return inner + [n for v in (node if isinstance(node, list) else ()) for n in _empty(v, key)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backend": "sql_default", "namespace": "n"}, "of the other family"),
        ({"backend": "nope", "namespace": "n"}, "no storage backend"),
    ],
)
def test_a_reference_to_a_backend_of_the_other_family_is_refused(
    settings: dict[str, str], words: str
) -> None:
    wanted = {"provider": "faiss", "settings": {"persistence": settings}}

    assert words in errors(providers={"vectorIo": wanted})["spec.providers.vectorIo.settings"]


def test_a_store_of_the_base_on_the_other_family_is_refused() -> None:
    text = BARE + "storage: {backends: {b: {type: sql_sqlite, db_path: p}}, " \
                  "stores: {metadata: {backend: b, namespace: n}}}"  # fmt: skip

    with pytest.raises(ConfigError, match="other family"):
        on(text, providers={"inference": VLLM})


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"resources": {"models": ["${env.MODEL}"]}}, "spec.resources.models[0]"),
        ({"resources": {"models": [{"name": "m", "quantization": "${env.Q}"}]}},
         "spec.resources.models[0].quantization"),
        ({"resources": {"tools": ["mine::${env.T}"]}}, "spec.resources.tools[0]"),
        ({"resources": {"shields": ["${env.lower}"]}}, "spec.resources.shields[0]"),
        ({"providers": {"inference": {**VLLM, "endpoint": "${env.URL}"}}},
         "spec.providers.inference.endpoint"),
        ({"providers": {"inference": {**VLLM, "settings": {"a": ["${env.X}"]}}}},
         "spec.providers.inference.settings.a[0]"),
    ],
)  # fmt: skip
def test_a_variable_that_nothing_sets_is_reported_where_the_user_wrote_it(
    sections: dict[str, Any], path: str
) -> None:
    assert list(errors(**sections)) == [path]


def test_an_external_provider_serves_models_where_there_is_no_other() -> None:
    external = {"inference": [{"providerId": "mine", "image": "example.com/p:1"}]}

    found = on(BARE, resources={"models": ["m"]}, externalProviders=external)

    assert found.models == ("mine/m",)


def test_two_names_of_one_tool_group_are_one_group() -> None:
    text = BARE.replace("{}", "{tool_runtime: [{provider_id: r, "
                              "provider_type: 'inline::rag-runtime'}]}")  # fmt: skip
    rag = {"tools": ["rag", "file_search", "builtin::rag"]}
    whole = {"inference": VLLM, "files": {"provider": "localfs"}, "vectorIo": {"provider": "faiss"}}

    found = data_of(text, era="0.5-0.6", resources=rag, providers=whole)

    assert found["registered_resources"]["tool_groups"] == [
        {"toolgroup_id": "builtin::rag", "provider_id": "r"}
    ]


# --- scalars -------------------------------------------------------------------------------------

ODD = """
version: 2
distro_name: x
providers: {}
odd:
  anchored: &a {x: [1, two]}
  alias: *a
  merged: {<<: *a, y: 1}
  bools: [yes, No, on, OFF, y, n, true, FALSE]
  nulls: [~, null, '', 'null', "~"]
  ints: [0, 007, 0644, 0o17, 0x1F, 0b11, 1_000, +5, -0, 123456789012345678901234567890]
  floats: [1.0, .5, 5., 1e3, 1e+3, 1.5e3, 1.0e+16, 1.5E-7, 1_0.5, 0.1, -0.0]
  times: [1:30, 1:30:00, 190:20:30, '12:30']
  versions: [1.2.3, 0.10, '0.10', 1e]
  strings: ['007', "yes", '1e3', '2024-01-01', '=', '<<', '- a', 'a: b', '#x', "tab\\there"]
  unicode: [Größe, 😀, "\\u2028", "\\x00", "\\uFEFF", 中文]
  long: WORDS
  literal: |
    first: line

      indented #2
    last
  folded: >-
    one
    two

    three
  spaces: " lead and trail "
""".replace("WORDS", ("word " * 500).strip())


def test_a_base_means_the_same_to_the_server_before_and_after() -> None:
    """The server reads with PyYAML (YAML 1.1): every value must come out equal, and of its type."""
    before = yaml.safe_load(ODD)
    found = str(on(ODD, providers={"inference": VLLM}).config_yaml)

    assert _typed(yaml.safe_load(found)["odd"]) == _typed(before["odd"])
    read = yaml_reader.load(found, resolve=scalars.resolve_as_server)
    assert _typed(read["odd"]) == _typed(before["odd"])
    assert "word " * 499 in found  # long strings are not folded


def test_a_date_of_a_base_stays_its_text() -> None:
    text = BARE + "odd: [2024-01-01, 2001-12-14t21:59:43.10-05:00]"

    found = str(on(text, providers={"inference": VLLM}).config_yaml)

    assert yaml.safe_load(found)["odd"] == ["2024-01-01", "2001-12-14t21:59:43.10-05:00"]


def _typed(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _typed(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_typed(value) for value in node]
    return (type(node).__name__, repr(node))


def test_the_same_base_in_another_order_of_keys_gives_the_same_bytes() -> None:
    text = "version: 2\ndistro_name: x\nproviders: {}\nodd: {b: 1, a: {d: 2, c: 3}}\n"
    other = "odd: {a: {c: 3, d: 2}, b: 1}\nproviders: {}\ndistro_name: x\nversion: 2\n"

    assert on(text, providers={"inference": VLLM}).config_yaml == (
        on(other, providers={"inference": VLLM}).config_yaml
    )


def test_generating_twice_gives_the_same_object() -> None:
    sections: dict[str, Any] = {"providers": {"inference": VLLM}, "disabled": ["eval"]}

    assert generate(**sections) == generate(**sections)
