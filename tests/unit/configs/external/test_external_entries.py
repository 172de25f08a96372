# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the merge gets to know of the resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.external_apis import MAX_PROVIDER_ID, PROVIDER_ID
from api.v1alpha2.external import ExternalProvider
from configs.external.entries import Entry, Input, InputError, is_input, read
from configs.external.failures import Provider


def raw(provider_id: str = "p", **other: Any) -> bytes:
    data = {
        "providerId": provider_id,
        "api": "vector_io",
        "section": "vectorIo",
        "index": 0,
        "image": "example.com/p:v1",
        "initContainerName": f"install-provider-{provider_id}",
        **other,
    }
    return json.dumps({key: value for key, value in data.items() if value is not ...}).encode()


def test_entries_come_in_the_order_of_their_numbers() -> None:
    found = read({"02-a.json": raw("a"), "00-z.json": raw("z"), "01-m.json": raw("m", index=1)})

    assert [entry.provider.provider_id for entry in found.entries] == ["z", "m", "a"]
    assert found.entries[1] == Entry(
        Provider("m", "example.com/p:v1", "install-provider-m"), "vector_io", "vectorIo", 1
    )
    assert found.entries[1].place == "vectorIo[1]"


@pytest.mark.parametrize(
    ("base", "source"),
    [
        (b'{"source": "override", "apis": ["inference"]}', "config-map"),
        (b'{"source": "generated", "apis": null}', "generated"),
        (b"{}", "generated"),
    ],
)
def test_base_is_generated_unless_it_is_the_users(base: bytes, source: str) -> None:
    assert read({"base.json": base}) == Input((), source)  # type: ignore[arg-type]
    assert read({}).base == "generated"


def test_config_is_there_only_if_the_resource_has_one_and_is_never_shown() -> None:
    found = read({"00-a.json": raw("a", config={"key": "hunter2"}), "01-b.json": raw("b")})

    assert [entry.config for entry in found.entries] == [{"key": "hunter2"}, None]
    assert "hunter2" not in repr(found)


def test_other_files_are_left_alone() -> None:
    others = ["install.py", "..data", "0-p.json", "000-p.json", "00-P.json", "00-p.json.bak"]

    assert read(dict.fromkeys(others, b"no JSON")) == Input((), "generated")
    assert not any(is_input(name) for name in others)
    assert is_input("00-p.json")
    assert is_input("base.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "00-p.json: not JSON (line 1)"),
        (b'{\n"a": hunter2}', "00-p.json: not JSON (line 2)"),
        (b"\xff", "00-p.json: not JSON"),
        (b"[" * 100_000, "00-p.json: not JSON"),
        (b"[]", "00-p.json: must be an object"),
        (raw(api=...), "00-p.json: api must be a string"),
        (raw(image=""), "00-p.json: image must be a string"),
        (raw(initContainerName=1), "00-p.json: initContainerName must be a string"),
        (raw("q"), "00-p.json: providerId is not the one of the file's name"),
        (raw(index="0"), "00-p.json: index must be an integer"),
        (raw(index=True), "00-p.json: index must be an integer"),
        (raw(config=["hunter2"]), "00-p.json: config must be an object"),
        (
            raw(section="vector_io"),
            "00-p.json: section is not one of inference, safety, agents, vectorIo, datasetIo, "
            "scoring, eval, toolRuntime, postTraining",
        ),
    ],
)
def test_what_is_wrong_is_said_without_the_content(content: bytes, problem: str) -> None:
    with pytest.raises(InputError) as raised:
        read({"00-p.json": content})

    assert str(raised.value) == problem


def test_id_that_is_too_long_for_a_name_is_refused() -> None:
    with pytest.raises(InputError, match="providerId is not"):
        read({f"00-{'p' * 64}.json": raw("p" * 64)})


def test_ids_are_those_of_the_resource() -> None:
    schema = ExternalProvider.model_json_schema()["properties"]["providerId"]
    assert schema["pattern"] == f"^{PROVIDER_ID}$"
    assert schema["maxLength"] == MAX_PROVIDER_ID
