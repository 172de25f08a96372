# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The rules by which the catalogue is made: pure, so every case is a few plain facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack.catalogue import maker, rules
from hack.catalogue.__main__ import settle
from hack.catalogue.rules import Json, Undecided

URL = ["HttpUrl", "None"]
TEXT = ["None", "str"]
SECRET = ["None", "SecretStr"]


def facts(fields: dict[str, list[str]], *required: str, **further: Any) -> Json:
    """What a dump says of a provider with these keys, by their types."""
    return {
        "fields": {k: {"types": types, "required": k in required} for k, types in fields.items()},
        "names": [],
        "unknown": "ignored",
        "needs": [],
        "deprecated": None,
        "refused": None,
        **further,
    }


def entry(
    fields: dict[str, list[str]], *required: str, name: str = "remote::x", api: str = "inference"
) -> Json:
    """The entry of a provider with these keys."""
    return rules.entry(api, name, facts(fields, *required), ())


def dump(version: str, **apis: Json) -> Json:
    """The dump of a release."""
    return {"package": "llama-stack", "version": version, "apis": apis}


@pytest.mark.parametrize(
    ("fields", "endpoint"),
    [
        ({"base_url": URL, "model_to_url": ["dict"]}, "base_url"),
        ({"anthropic_base_url": URL, "base_url": URL}, "base_url"),
        ({"url": TEXT, "host": TEXT, "port": ["int"]}, "url"),
        ({"uri": ["str"]}, "uri"),
        ({"weaviate_cluster_url": TEXT, "region": TEXT}, "weaviate_cluster_url"),
        ({"somewhere": URL}, "somewhere"),
        ({"region_name": TEXT, "endpoint_name": ["str"]}, None),
    ],
)
def test_the_endpoint_is_the_key_that_is_an_address(
    fields: dict[str, list[str]], endpoint: str | None
) -> None:
    assert entry(fields)["endpoint"] == endpoint


def test_what_runs_inside_the_server_has_no_endpoint() -> None:
    assert entry({"base_url": URL}, name="inline::x")["endpoint"] is None


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ({"api_key": SECRET, "access_token": SECRET}, "api_key"),
        ({"api_token": SECRET, "max_tokens": ["int"]}, "api_token"),
        ({"token": TEXT}, "token"),
        ({"user": ["str"], "password": ["str"], "ewallet_password": ["str"]}, "password"),
        ({"weaviate_api_key": TEXT}, "weaviate_api_key"),
        ({"aws_bearer_token": SECRET, "aws_secret_access_key": SECRET}, "aws_bearer_token"),
        ({"auth_credential": SECRET, "key_prefix": TEXT}, None),
    ],
)
def test_the_secret_is_the_key_that_is_a_single_credential(
    fields: dict[str, list[str]], secret: str | None
) -> None:
    assert entry(fields)["secret"] == secret


@pytest.mark.parametrize(
    "fields",
    [
        {"first_url": URL, "second_url": URL},
        {"credential": SECRET},
        {"a_api_key": SECRET, "b_api_key": SECRET},
        {"access_key_id": SECRET, "secret_access_key": SECRET},
    ],
)
def test_where_the_rules_see_no_clear_answer_they_refuse(fields: dict[str, list[str]]) -> None:
    with pytest.raises(Undecided, match=r"^remote::x: which key is the .*: add to JUDGED$"):
        entry(fields)


def test_what_was_judged_wins_over_the_rules() -> None:
    pgvector = entry({"host": TEXT, "url": TEXT}, name="remote::pgvector", api="vector_io")
    oci = entry({"api_key": SECRET}, name="remote::oci")

    assert pgvector["endpoint"] == "host"
    assert oci["secret"] is None
    assert oci["keys"] == ["api_key"]


@pytest.mark.parametrize("name", ["remote::pgvector", "remote::oci"])
def test_a_judgement_about_a_key_that_is_gone_is_refused(name: str) -> None:
    with pytest.raises(Undecided, match="which JUDGED calls its endpoint"):
        entry({"url": URL}, name=name, api="vector_io")


def test_required_is_what_the_class_demands_and_what_does_not_work_without() -> None:
    assert entry({"base_url": URL, "project": ["str"]}, "project", name="remote::vllm")[
        "required"
    ] == ["base_url", "project"]
    with pytest.raises(Undecided, match="see REQUIRED"):
        entry({"url": URL}, name="remote::vllm")


def test_a_demanded_key_may_be_null_unless_it_is_the_endpoint() -> None:
    made = entry({"url": TEXT, "token": TEXT, "user": ["str"]}, "url", "token", "user")

    assert (made["required"], made["null"]) == (["token", "url", "user"], ["token"])


def test_needs_are_the_apis_that_have_providers() -> None:
    made = rules.entry("x", "inline::x", facts({}, needs=["models", "files"]), ["files", "x"])

    assert made["needs"] == ["files"]


def test_releases_of_an_era_become_one_entry_that_says_what_some_of_them_lack() -> None:
    old = dump("0.5.4", files={"inline::a": facts({"k": TEXT, "gone": TEXT})}, x={})
    new = dump(
        "0.6.1",
        files={
            "inline::a": facts({"k": TEXT, "api_key": SECRET}, "k", needs=["x"]),
            "inline::b": facts({}),
        },
        x={"inline::c": facts({}, unknown="kept", deprecated="Use d.")},
    )

    found = maker.catalogue({"0.5-0.6": [old, new]})

    assert found == {
        "0.5-0.6": {
            "files": {
                "inline::a": {
                    "secret": "api_key",
                    "required": ["k"],
                    "null": ["k"],
                    "needs": ["x"],
                    "keys": ["api_key", "gone", "k"],
                    "only": {"api_key": ["0.6.1"], "gone": ["0.5.4"]},
                },
                "inline::b": {"releases": ["0.6.1"]},
            },
            "x": {
                "inline::c": {"unknown": "kept", "deprecated": "Use d.", "releases": ["0.6.1"]},
            },
        }
    }


def test_a_type_that_the_server_refuses_is_left_out() -> None:
    found = maker.catalogue({"0.7": [dump("0.7.3", x={"inline::a": facts({}, refused="no")})]})

    assert found == {"0.7": {}}


def test_further_names_of_a_key_are_keys_too() -> None:
    made = rules.entry("x", "inline::x", facts({"a": TEXT}, names=["b"]), ())

    assert made["keys"] == ["a", "b"]


def test_what_is_undecided_names_the_release() -> None:
    puzzle = dump("0.8.0", x={"remote::x": facts({"credential": SECRET})})

    with pytest.raises(Undecided, match=r"^llama-stack 0\.8\.0: remote::x: which key"):
        maker.catalogue({"0.7": [puzzle]})


def test_the_text_is_json_with_a_type_a_line_and_a_change_is_the_lines_of_a_type() -> None:
    old = {"0.7": {"x": {"inline::a": {"keys": ["a"]}, "inline::b": {}}, "y": {"inline::c": {}}}}
    new = json.loads(maker.render(old))
    new["0.7"]["x"]["inline::a"]["keys"] = ["b"]

    assert json.loads(maker.render(old)) == old
    assert sum("inline::" in line for line in maker.render(old).splitlines()) == 3
    assert maker.changes(old, new)[2:] == [
        '-0.7 x inline::a {"keys": ["a"]}',
        '+0.7 x inline::a {"keys": ["b"]}',
    ]
    assert maker.changes(old, old) == []


def test_check_shows_what_differs_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "catalogue.json"
    old = maker.render({"0.7": {"x": {"inline::a": {"keys": ["a"]}}}})
    path.write_text(old, "utf-8")
    new = {"0.7": {"x": {"inline::a": {"keys": ["b"]}}}}

    assert settle(new, path, check=True) == 1

    shown = capsys.readouterr()
    assert '+0.7 x inline::a {"keys": ["b"]}' in shown.out.splitlines()
    assert shown.err == "error: catalogue.json is out of date: run `make catalogue`\n"
    assert path.read_text("utf-8") == old
    assert settle(new, path, check=False) == 0
    assert path.read_text("utf-8") == maker.render(new)
    assert settle(new, path, check=True) == 0
