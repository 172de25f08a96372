# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every kind of key-value and SQL store together, in every era."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from configs import connection, references, yaml_reader
from configs.eras import ERAS, Era
from tests.support.bases import generate_on
from tests.support.config_specs import NAMESPACE, config, errors, secret

URL = "postgresql://hush-user:hush%40word@hush-host:6543/hush-db"
KV: dict[str, dict[str, Any] | None] = {
    "none": None,
    "kv_sqlite": {"type": "sqlite"},
    "kv_redis": {"type": "redis", "endpoint": "redis://redis:6380", "password": secret("r", "pw")},
    "kv_postgres": {"type": "postgres", "connectionString": secret("pg", "url")},
}
SQL: dict[str, dict[str, Any] | None] = {
    "none": None,
    "sql_sqlite": {},
    "sql_postgres": {"type": "postgres", "connectionString": secret("pg", "url")},
}


@pytest.mark.parametrize(("era", "hangs"), [(era, era < "0.7") for era in ERAS])
def test_servers_whose_requests_may_hang_on_postgres_are_warned_of(era: Era, hangs: bool) -> None:
    found = generate_on(era, storage={"sql": SQL["sql_postgres"]})

    warned = [w for w in found.warnings if w.path == "spec.storage.sql.type"]
    assert bool(warned) == hangs


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("kv", "sql"), list(itertools.product(KV, SQL)))
def test_all_stores_are_explicit_on_the_right_backend_and_no_secret_shows(
    era: Era, kv: str, sql: str
) -> None:
    wanted = {key: value for key, value in (("kv", KV[kv]), ("sql", SQL[sql])) if value is not None}

    found = generate_on(era, storage=wanted, providers={"files": {"provider": "localfs"}})
    data = yaml_reader.load(str(found.config_yaml))

    backends, stores = data["storage"]["backends"], data["storage"]["stores"]
    assert backends["kv_default"]["type"] == (kv if kv != "none" else "kv_sqlite")
    assert backends["sql_default"]["type"] == (sql if sql != "none" else "sql_sqlite")
    expected = {"metadata", "inference", "conversations", "prompts", "connectors"}
    assert stores.keys() == expected - ({"connectors"} if era == "0.4" else set())
    for store in stores.values():
        family = backends[store["backend"]]["type"][:2]
        assert ("namespace" in store) == (family == "kv")
        assert ("table_name" in store) == (family == "sq")
    assert stores["metadata"]["namespace"].startswith(f"{NAMESPACE}/demo/") == (
        kv in {"kv_redis", "kv_postgres"}
    )
    assert stores["inference"]["table_name"].startswith("llsd_") == (sql == "sql_postgres")
    files = data["providers"]["files"][0]["config"]["metadata_store"]
    assert files["table_name"].startswith("llsd_") == (sql == "sql_postgres")
    needed = {name for _, text in references.marked(data) for name in references.required(text)}
    assert needed <= {item.name for item in found.env}
    _secrets_stay_out(found)


def _secrets_stay_out(found: Any) -> None:
    if found.storage_secret is None:
        return
    sources = {(item.name, item.key): URL for item in found.storage_secret.sources}
    content = connection.derive(found.storage_secret, sources)
    assert set(content) == {item.name for item in found.env}
    assert {value for key, value in content.items() if key.endswith("_PORT")} <= {"6543"}
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("redis://r:0", "not the address"),
        ("redis://${env.REDIS}:6379", "not an environment reference"),
        ("${env.REDIS}", "not an environment reference"),
        ("redis://r/0#x", "options"),
        ("redis://r?ssl=true", "options"),
        ("unix:///run/redis", "not the address"),
        ("::1", "not the address"),
    ],
)
def test_what_redis_cannot_be_given_is_refused_at_its_field(endpoint: str, words: str) -> None:
    found = errors(storage={"kv": {"type": "redis", "endpoint": endpoint}})

    assert list(found) == ["spec.storage.kv.endpoint"]
    assert words in found["spec.storage.kv.endpoint"]
    assert "redis://redis:6379" in found["spec.storage.kv.endpoint"]


@pytest.mark.parametrize("endpoint", ["redis:6380", "REDIS://redis:6380/", "redis://redis:6380/0"])
def test_forms_of_a_redis_address(endpoint: str) -> None:
    found = config(storage={"kv": {"type": "redis", "endpoint": endpoint}})

    assert found["storage"]["backends"]["kv_default"] == {
        "type": "kv_redis",
        "host": "redis",
        "port": 6380,
    }
