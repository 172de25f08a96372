# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Storage backends, who shares what, and connection strings."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2 import SecretKeySelector
from configs import connection, engine
from configs.connection import ConnectionStringError, StorageSecret, StorageValue, split
from tests.support.config_specs import (
    DISTRIBUTIONS,
    NAMESPACE,
    config,
    errors,
    generate,
    secret,
    spec_of,
    warnings,
)

POSTGRES = {"type": "postgres", "connectionString": secret("pg", "url")}
FOLDER = "${env.SQLITE_STORE_DIR:=/.llama/distributions/starter}"


def storage(**wanted: Any) -> dict[str, Any]:
    """The storage section for a spec."""
    found: dict[str, Any] = config(storage=wanted)["storage"]
    return found


def test_absent_storage_leaves_the_base_and_all_stores_are_explicit() -> None:
    found = config(disabled=["safety"])["storage"]

    assert found["backends"] == {
        "kv_default": {"type": "kv_sqlite", "db_path": f"{FOLDER}/kvstore.db"},
        "kv_registry": {"type": "kv_sqlite", "db_path": f"{FOLDER}/registry.db"},
        "sql_default": {"type": "sql_sqlite", "db_path": f"{FOLDER}/sql_store.db"},
        "sql_inference": {"type": "sql_sqlite", "db_path": f"{FOLDER}/inference_store.db"},
    }
    assert found["stores"] == {
        "metadata": {"backend": "kv_registry", "namespace": "registry"},
        "prompts": {"backend": "kv_default", "namespace": "prompts"},
        "connectors": {"backend": "kv_default", "namespace": "connectors"},
        "inference": {"backend": "sql_inference", "table_name": "inference_store"},
        "conversations": {"backend": "sql_default", "table_name": "openai_conversations"},
    }


def test_the_type_defaults_to_sqlite() -> None:
    assert storage(kv={}, sql={}) == config(disabled=["safety"])["storage"]


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [("redis://redis:6380", "redis", 6380), ("redis", "redis", 6379), ("redis:6380", "redis", 6380),
     ("redis://redis/0", "redis", 6379), ("redis://[::1]:1", "[::1]", 1)],
)  # fmt: skip
def test_redis_is_split_into_host_and_port(endpoint: str, host: str, port: int) -> None:
    found = storage(kv={"type": "redis", "endpoint": endpoint})

    assert found["backends"]["kv_default"] == {"type": "kv_redis", "host": host, "port": port}
    assert found["backends"]["sql_default"]["type"] == "sql_sqlite"


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [("rediss://r", "TLS"), ("redis://:pw@r", "password"), ("redis://r/3", "database"),
     ("http://r", "not the address"), ("redis://r:x", "not the address"), ("redis://", "not the")],
)  # fmt: skip
def test_what_redis_cannot_do_is_refused(endpoint: str, words: str) -> None:
    found = errors(storage={"kv": {"type": "redis", "endpoint": endpoint}})

    assert words in found["spec.storage.kv.endpoint"]
    assert "pw" not in str(found).replace("password", "")


def test_a_redis_password_goes_before_the_host_by_way_of_an_own_secret() -> None:
    wanted = {"kv": {"type": "redis", "endpoint": "redis", "password": secret("r", "pw")}}

    found = generate(storage=wanted)

    key = "LLSD_STORAGE_KV_PASSWORD_ENCODED"
    assert storage(**wanted)["backends"]["kv_default"]["host"] == f":${{env.{key}}}@redis"
    assert found.storage_secret is not None
    assert found.storage_secret.name == "demo-storage-env"
    assert [(item.name, item.key) for item in found.storage_secret.sources] == [("r", "pw")]
    assert connection.derive(found.storage_secret, {("r", "pw"): "p@ss/w:rd%"}) == {
        key: "p%40ss%2Fw%3Ard%25"
    }


def test_postgres_is_passed_in_parts_raw_for_kv_and_encoded_for_sql() -> None:
    found = generate(storage={"kv": POSTGRES, "sql": POSTGRES})
    backends = storage(kv=POSTGRES, sql=POSTGRES)["backends"]

    assert backends["kv_default"] == {
        "type": "kv_postgres",
        "host": "${env.LLSD_STORAGE_KV_HOST}",
        "port": "${env.LLSD_STORAGE_KV_PORT}",
        "db": "${env.LLSD_STORAGE_KV_DB}",
        "user": "${env.LLSD_STORAGE_KV_USER}",
        "password": "${env.LLSD_STORAGE_KV_PASSWORD:=}",
        "ssl_mode": "${env.LLSD_STORAGE_KV_SSL_MODE:=}",
        "table_name": "llamastack_kvstore",
    }
    assert backends["sql_default"] == {
        "type": "sql_postgres",
        "host": "${env.LLSD_STORAGE_SQL_HOST}",
        "port": "${env.LLSD_STORAGE_SQL_PORT}",
        "db": "${env.LLSD_STORAGE_SQL_DB}",
        "user": "${env.LLSD_STORAGE_SQL_USER_ENCODED}",
        "password": "${env.LLSD_STORAGE_SQL_PASSWORD_ENCODED:=}",
    }
    assert backends["sql_inference"] == backends["sql_default"]
    assert found.storage_secret is not None
    content = connection.derive(
        found.storage_secret, {("pg", "url"): "postgresql://me:p%40ss@db:6543/x"}
    )
    assert content["LLSD_STORAGE_KV_PASSWORD"] == "p@ss"
    assert content["LLSD_STORAGE_SQL_PASSWORD_ENCODED"] == "p%40ss"
    assert content["LLSD_STORAGE_SQL_PORT"] == "6543"
    assert set(content) == {item.name for item in found.env}


def test_on_a_shared_backend_everything_carries_the_name_of_its_owner() -> None:
    found = config(
        storage={"kv": {"type": "redis", "endpoint": "redis"}, "sql": POSTGRES},
        providers={"vectorIo": {"provider": "faiss"}},
    )

    stores = found["storage"]["stores"]
    assert stores["metadata"]["namespace"] == f"{NAMESPACE}/demo/registry"
    table = stores["conversations"]["table_name"]
    assert table.startswith("llsd_")
    assert table.endswith("_openai_conversations")
    assert len(table) < 64
    faiss = found["providers"]["vector_io"][0]["config"]["persistence"]
    assert faiss == {"backend": "kv_default", "namespace": f"{NAMESPACE}/demo/vector_io::faiss"}
    files = found["providers"]["files"][0]["config"]["metadata_store"]["table_name"]
    assert files.removesuffix("files_metadata") == table.removesuffix("openai_conversations")


def test_the_log_of_completions_has_a_backend_of_its_own() -> None:
    """On a shared one, the first chat and the first conversation race for their tables."""
    specs: list[dict[str, Any]] = [
        {"disabled": ["eval"]},
        {"storage": {"sql": {}}},
        {"storage": {"sql": POSTGRES}},
    ]
    for sections in specs:
        stores = config(**sections)["storage"]["stores"]

        assert stores["inference"]["backend"] == "sql_inference"
        assert stores["conversations"]["backend"] == "sql_default"


def test_postgres_needs_a_database_that_no_other_server_uses() -> None:
    found = warnings(storage={"sql": POSTGRES})

    assert "tables of fixed names" in found["spec.storage.sql.connectionString"]


def test_owners_of_similar_names_do_not_share_tables() -> None:
    spec = spec_of({"storage": {"sql": POSTGRES}})
    tables = set()
    for namespace, name in (("a", "b-c"), ("a-b", "c"), ("a", "b")):
        text = engine.generate(name, namespace, spec, distributions=DISTRIBUTIONS).config_yaml
        assert text is not None
        tables.add(text[text.index("llsd_") :].split()[0])

    assert len(tables) == 3


def test_references_to_a_replaced_backend_of_another_name_follow() -> None:
    found = config(
        storage={"kv": {"type": "redis", "endpoint": "redis"}},
        providers={
            "vectorIo": {
                "provider": "faiss",
                "settings": {"persistence": {"backend": "kv_default", "namespace": "mine"}},
            }
        },
    )

    assert found["providers"]["vector_io"][0]["config"]["persistence"]["namespace"] == (
        f"{NAMESPACE}/demo/mine"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("postgresql://u:p%40@h:1/d", ("h", "1", "d", "u", "p@")),
        ("postgres://u@h", ("h", "5432", "u", "u", "")),
        ("postgresql+asyncpg://u:p@[::1]/d", ("::1", "5432", "d", "u", "p")),
        ("postgresql:///d?host=h&user=u", ("h", "5432", "d", "u", "")),
        ("host=h user=u password='p w\\'d' dbname=d port=7", ("h", "7", "d", "u", "p w'd")),
        (" postgresql://u:p@h/d\n", ("h", "5432", "d", "u", "p")),
    ],
)
def test_connection_strings_are_split(text: str, parts: tuple[str, ...]) -> None:
    found = split(text, family="KV")

    assert (found["host"], found["port"], found["db"], found["user"], found["password"]) == parts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://u:hush@h/d", "postgresql://"),
        ("hush", "key=value"),
        ("postgresql://u:hush@/d", "host and a user"),
        ("postgresql://h/hush", "host and a user"),
        ("postgresql://u:hush@a,b/d", "one host"),
        ("postgresql://u:hush@h:x/d", "not a URL"),
        ("postgresql://u:hush@h/d?options=x", "options"),
        ("host=/run user=u password=hush", "one host"),
        ("host=h user=u port=hush", "port"),
        ("postgresql://u:hush@h/d?sslmode=require", "encryption"),
    ],
)
def test_other_connection_strings_are_refused_without_being_shown(text: str, words: str) -> None:
    with pytest.raises(ConnectionStringError, match=words) as caught:
        split(text, family="SQL")

    assert "hush" not in str(caught.value)


def test_what_the_sql_store_pastes_into_a_url_is_encoded() -> None:
    found = split("postgresql://u%2Fv:p%40ss%2Fw:rd%25@[::1]/d", family="SQL")

    assert found["user_encoded"] == "u%2Fv"
    assert found["password_encoded"] == "p%40ss%2Fw%3Ard%25"
    assert found["password"] == "p@ss/w:rd%"
    assert found["host"] == "[::1]"


def test_encryption_is_passed_on_to_the_store_that_can() -> None:
    assert split("postgresql://u@h?sslmode=require", family="KV")["ssl_mode"] == "require"


def test_a_wrong_connection_string_is_reported_at_its_field() -> None:
    source = SecretKeySelector(name="s", key="k")
    wanted = StorageSecret("x", (StorageValue("A", source, "host", "SQL", "spec.storage.sql"),))

    with pytest.raises(ConnectionStringError, match=r"^spec\.storage\.sql: ") as caught:
        connection.derive(wanted, {("s", "k"): "hush"})

    assert "hush" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_store_without_its_address_is_refused() -> None:
    found = errors(storage={"kv": {"type": "redis"}, "sql": {"type": "postgres"}})

    assert set(found) == {"spec.storage.kv.endpoint", "spec.storage.sql.connectionString"}
