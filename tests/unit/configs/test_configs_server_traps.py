# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the server would end with, or fail at later, although its schema is content."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2 import SecretKeySelector
from configs import connection, yaml_reader
from configs.connection import ConnectionStringError, StorageSecret, StorageValue
from configs.eras import Era
from configs.errors import ConfigError
from tests.support.bases import generate_on
from tests.support.config_specs import errors, secret

VLLM = {"provider": "vllm", "endpoint": "http://vllm:8000"}


def config_on(era: Era, **sections: Any) -> dict[str, Any]:
    """The config for a spec on the hand-made base of an era."""
    data: dict[str, Any] = yaml_reader.load(str(generate_on(era, **sections).config_yaml))
    return data


def vllm_on(era: Era, provider: dict[str, Any]) -> dict[str, Any]:
    """What the config of a vLLM is."""
    found = config_on(era, providers={"inference": provider}, resources={"models": ["m"]})
    config: dict[str, Any] = found["providers"]["inference"][0]["config"]
    return config


@pytest.mark.parametrize("era", ["0.4", "0.5-0.6"])
def test_a_vllm_without_a_key_gets_the_token_that_ends_the_check_of_its_models(era: Era) -> None:
    assert vllm_on(era, VLLM)["api_token"] == "fake"


@pytest.mark.parametrize("era", ["0.7", "ogx"])
def test_a_vllm_without_a_key_gets_no_token_where_nothing_is_checked(era: Era) -> None:
    assert "api_token" not in vllm_on(era, VLLM)


@pytest.mark.parametrize(
    "own",
    [
        {"apiKey": secret("s", "k")},
        {"secretRefs": {"api_token": secret("s", "k")}},
        {"settings": {"api_token": "mine"}},
    ],
)
def test_a_users_own_token_for_vllm_stays(own: dict[str, Any]) -> None:
    assert vllm_on("0.4", {**VLLM, **own})["api_token"] != "fake"


@pytest.mark.parametrize("era", ["0.4", "0.5-0.6", "0.7"])
def test_a_shield_of_the_code_scanner_has_the_only_name_that_the_provider_takes(era: Era) -> None:
    found = config_on(
        era, providers={"safety": {"provider": "code-scanner"}}, resources={"shields": ["mine"]}
    )

    assert found["registered_resources"]["shields"][-1] == {
        "shield_id": "mine",
        "provider_id": "code-scanner",
        "provider_shield_id": "code-scanner",
    }


def test_a_full_type_of_other_eras_is_refused_naming_them() -> None:
    found = errors(
        providers={
            "inference": {
                "provider": "remote::hf::serverless",
                "settings": {"huggingface_repo": "a/b"},
            },
            "agents": {"provider": "inline::meta-reference"},
        }
    )

    assert "servers 0.4 and 0.5-0.6 have it" in found["spec.providers.inference.provider"]
    assert "known: inline::builtin" in found["spec.providers.agents.provider"]


def test_a_type_that_ended_is_refused_saying_what_to_use() -> None:
    found = errors(providers={"inference": {"provider": "remote::tgi", "endpoint": "http://t"}})

    assert "use vllm or openai" in found["spec.providers.inference.provider"]


def test_a_key_that_not_all_releases_of_the_era_know_is_told_where_it_is_written() -> None:
    found = generate_on(
        "0.5-0.6",
        providers={
            "inference": {
                "provider": "vertexai",
                "apiKey": secret("s", "k"),
                "settings": {"project": "p"},
            }
        },
    )

    assert {item.path: item.message for item in found.warnings} == {
        "spec.providers.inference.apiKey": (
            "only 0.6.1 of servers 0.5-0.6 knows this; others ignore it"
        )
    }


# --- a PostgreSQL with sqlite in its connection string -------------------------------------------

_PARTS = {"host": "h", "user": "u", "password": "p", "dbname": "d"}


@pytest.mark.parametrize("part", ["host", "dbname"])
def test_sqlite_in_the_name_of_host_or_database_is_refused_for_the_sql_store(part: str) -> None:
    value = " ".join(f"{k}={v}" for k, v in {**_PARTS, part: "my-sqlite-1"}.items())

    with pytest.raises(ConnectionStringError, match="would take the database for one of SQLite"):
        connection.split(value, family="SQL")
    assert connection.split(value, family="KV")["port"] == "5432"


@pytest.mark.parametrize("part", ["user", "password"])
def test_sqlite_in_user_or_password_is_written_so_that_the_server_does_not_see_it(
    part: str,
) -> None:
    value = " ".join(f"{k}={v}" for k, v in {**_PARTS, part: "a-sqlite-sqlite"}.items())

    found = connection.split(value, family="SQL")

    assert found["password_encoded" if part == "password" else "user_encoded"] == (
        "a-%73qlite-%73qlite"
    )


def test_a_refused_connection_string_is_not_shown() -> None:
    source = SecretKeySelector(name="pg", key="url")
    value = StorageValue("K", source, "host", "SQL", "spec.storage.sql.connectionString")
    content = {("pg", "url"): "postgresql://user-x:word-y@sqlite-host/base-z"}

    with pytest.raises(ConnectionStringError) as caught:
        connection.derive(StorageSecret("s", (value,)), content)

    assert str(caught.value).startswith("spec.storage.sql.connectionString: ")
    assert not any(part in str(caught.value) for part in ("user-x", "word-y", "-host", "base-z"))


def test_a_type_that_ended_before_ogx_is_an_error_and_not_only_a_warning() -> None:
    with pytest.raises(ConfigError):
        generate_on("ogx", providers={"vectorIo": {"provider": "inline::sqlite_vec"}})


# --- credentials of gemini on ogx -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"settings": {"project": "p"}}, "secretRefs.access_token", "is required together with"),
        (
            {"secretRefs": {"access_token": secret("s", "k")}},
            "secretRefs.project",
            "is required together with",
        ),
        (
            {
                "apiKey": secret("s", "a"),
                "settings": {"project": "p"},
                "secretRefs": {"access_token": secret("s", "k")},
            },
            "apiKey",
            "cannot be given together with",
        ),
    ],
)
def test_credentials_that_gemini_does_not_start_with_are_refused(
    fields: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        generate_on("ogx", providers={"inference": {"provider": "gemini", **fields}})

    assert [error.path for error in caught.value.errors] == [f"spec.providers.inference.{field}"]
    assert said in caught.value.errors[0].message
