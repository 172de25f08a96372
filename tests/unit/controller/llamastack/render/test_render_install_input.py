# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What pods install from: the files, and under which name they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from api.external_apis import API_OF_SECTION
from configs.external import entries
from controller.llamastack.render import install_input
from hack.root import ROOT
from tests.support.config_specs import spec_of
from tests.support.installing import (
    OPTIONS,
    TWO,
    content_of,
    inputs,
    named,
    provider,
    rendered,
    with_merge_image,
)
from tests.support.rendering import VLLM

INSIDE = ROOT / "configs" / "external" / "inside"
Json = dict[str, Any]

OVERRIDE: Json = {"overrideConfig": {"configMapName": "mine"}}


def files(external: Json | None, **spec: Any) -> dict[str, str]:
    return install_input.files(inputs(external, **spec))


# --- the files ------------------------------------------------------------------------------------


def test_each_provider_has_a_file_with_all_that_the_resource_says_of_it() -> None:
    config = {"url": "http://v", "n": 1, "deep": {"a": [None, True]}}
    vector_io = [provider("b"), provider("c", config=config)]
    found = files({"vectorIo": vector_io, "safety": [provider("one")]})

    assert sorted(name for name in found if name[0].isdigit()) == [
        "00-one.json",
        "01-b.json",
        "02-c.json",
    ]
    assert json.loads(found["02-c.json"]) == {
        "providerId": "c",
        "api": "vector_io",
        "section": "vectorIo",
        "index": 1,
        "image": "registry.example/c:1",
        "initContainerName": "install-provider-c",
        "config": config,
    }
    assert "config" not in json.loads(found["01-b.json"])


def test_absent_config_is_not_an_empty_one() -> None:
    found = files({"inference": [provider("a", config={}), provider("b")]})

    assert json.loads(found["00-a.json"])["config"] == {}
    assert "config" not in json.loads(found["01-b.json"])


def test_api_is_what_the_base_calls_it() -> None:
    found = files({"agents": [provider("a")]})

    assert json.loads(found["00-a.json"])["api"] == "responses"


def test_api_in_a_base_of_unknown_era_is_that_of_provider_images() -> None:
    found = inputs({"agents": [provider("a")]}, **OVERRIDE)
    unknown = replace(found, generated=replace(found.generated, era=None))

    assert json.loads(install_input.files(unknown)["00-a.json"])["api"] == "agents"


@pytest.mark.parametrize(("spec", "source"), [({}, "generated"), (OVERRIDE, "override")])
def test_base_is_said_to_be_the_operators_or_the_users(spec: Json, source: str) -> None:
    assert json.loads(files(TWO, **spec)["base.json"])["source"] == source


def test_programs_are_those_of_the_repository() -> None:
    found = files(TWO)

    for name in ("install.py", "preflight.py"):
        assert found[name] == (INSIDE / name).read_text("utf-8")


def test_merge_reads_what_is_written_here() -> None:
    external = {section: [provider(section.lower(), config={"a": 1})] for section in API_OF_SECTION}
    found = inputs(TWO)
    every = replace(
        found,
        spec=spec_of({"externalProviders": external}),
        generated=replace(found.generated, era="0.4"),
    )

    read = entries.read({k: v.encode() for k, v in install_input.files(every).items()})

    assert [entry.provider.provider_id for entry in read.entries] == [
        section.lower() for section in API_OF_SECTION
    ]


def test_ten_providers_of_nine_sections_keep_their_order_by_name() -> None:
    external = {
        section: [provider(f"{section.lower()}-{n}") for n in range(10)]
        for section in API_OF_SECTION
    }
    found = inputs(TWO)
    every = replace(
        found,
        spec=spec_of({"externalProviders": external}),
        generated=replace(found.generated, era="0.4"),
    )

    names = [name for name in install_input.files(every) if name[0].isdigit()]

    assert names == sorted(names)
    assert (len(names), names[-1]) == (90, "89-posttraining-9.json")


def test_there_are_none_without_external_providers() -> None:
    assert files(None) == files({}) == files({"inference": []}) == {}


# --- the ConfigMap --------------------------------------------------------------------------------


def test_config_map_has_the_configuration_beside_the_files() -> None:
    found = inputs(TWO)
    data, digest = content_of(found)

    assert data == {"config.yaml": found.generated.config_yaml, **install_input.files(found)}
    assert len(digest) == 64
    assert digest != found.generated.config_hash


def test_config_map_beside_the_users_own_has_the_files_alone() -> None:
    found = inputs(TWO, **OVERRIDE)

    assert content_of(found)[0] == install_input.files(found)


def test_without_external_providers_it_is_the_configuration_under_its_own_hash() -> None:
    found = inputs(None, providers=VLLM)
    text = found.generated.config_yaml
    assert text is not None

    assert content_of(found) == (
        {"config.yaml": text},
        hashlib.sha256(text.encode()).hexdigest(),
    )
    assert content_of(inputs(None)) == ({}, "")
    assert content_of(inputs(None, **OVERRIDE)) == ({}, "")


FIRST = {"inference": [provider("a", config={"k": 1}), provider("b")]}


@pytest.mark.parametrize(
    ("external", "spec"),
    [
        pytest.param(
            {"inference": [provider("a", config={"k": 1}, image="r.example/a:2"), provider("b")]},
            {},
            id="image",
        ),
        pytest.param(
            {"inference": [provider("a", config={"k": 2}), provider("b")]}, {}, id="config"
        ),
        pytest.param({"inference": [provider("a"), provider("b")]}, {}, id="no-config"),
        pytest.param({"inference": FIRST["inference"][::-1]}, {}, id="order"),
        pytest.param({"inference": [*FIRST["inference"], provider("c")]}, {}, id="one-more"),
        pytest.param({"inference": FIRST["inference"][:1]}, {}, id="one-less"),
        pytest.param({"vectorIo": FIRST["inference"]}, {}, id="section"),
        pytest.param(FIRST, {"disabled": ["eval"]}, id="config.yaml"),
        pytest.param(FIRST, OVERRIDE, id="override"),
    ],
)
def test_other_input_is_another_config_map_and_rolls_the_pods(external: Json, spec: Json) -> None:
    before, after = inputs(FIRST), inputs(external, **spec)

    assert named(before).installs_name != named(after).installs_name
    assert rendered(before)["spec"]["template"] != rendered(after)["spec"]["template"]


@pytest.mark.parametrize(
    "external",
    [
        pytest.param(
            {"inference": [provider("a", config={"x": {"c": 1, "b": 2}, "k": 1}), provider("b")]},
            id="keys-of-config",
        ),
        pytest.param(
            {
                "safety": [],
                "inference": [provider("a", config={"k": 1, "x": {"b": 2, "c": 1}}), provider("b")],
                "install": {},
            },
            id="empty-fields",
        ),
    ],
)
def test_equal_resource_leads_to_the_same_config_map(external: Json) -> None:
    config = {"k": 1, "x": {"b": 2, "c": 1}}
    same = {"inference": [provider("a", config=config), provider("b")]}

    assert content_of(inputs(external)) == content_of(inputs(same))
    assert rendered(inputs(external)) == rendered(inputs(same))


@pytest.mark.parametrize("change", ["merge-image", "size", "memory", "preflight"])
def test_what_is_no_input_leaves_the_name_alone(change: str) -> None:
    before = inputs(TWO)
    after = {
        "merge-image": with_merge_image(before, "registry.example/operator:2"),
        "size": replace(before, options=replace(OPTIONS, install_size="9Gi")),
        "memory": replace(before, options=replace(OPTIONS, install_memory="9Gi")),
        "preflight": replace(before, options=replace(OPTIONS, preflight=False)),
    }[change]

    assert content_of(before) == content_of(after)
    assert rendered(before) != rendered(after)


def test_digest_is_of_names_and_contents() -> None:
    one = install_input.digest({"a": "1", "b": "2"})

    assert one == install_input.digest({"b": "2", "a": "1"})
    assert one != install_input.digest({"a": "2", "b": "1"})
    assert one != install_input.digest({"a": "1"})
