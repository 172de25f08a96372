# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Values of Secrets that read as numbers (R-D16): where they do harm, and where they do not.

The rule is the server's own substitution (core/stack.py): what a whole string comes to after a
variable was put in becomes null, a boolean or a number if it can.
"""

from __future__ import annotations

from typing import Any

import pytest

from configs.connection import ConnectionStringError, StorageSecret, derive, split
from configs.distributions import Distributions
from configs.secrets import EnvFromSecret, is_unusable
from controller.llamastack.planning.plan import make_plan
from tests.support.config_specs import generate, secret

POSTGRES = {"type": "postgres", "connectionString": secret("pg", "url")}


def stored(value: str, **storage: Any) -> dict[str, str]:
    """What the operator keeps for the pod when every source has this value."""
    wanted = generate(storage=storage).storage_secret
    assert isinstance(wanted, StorageSecret)
    return derive(wanted, {(item.name, item.key): value for item in wanted.sources})


def test_paths_of_values_that_must_not_be_numbers() -> None:
    plan = make_plan(
        {
            "apiVersion": "llamastack.io/v1alpha2",
            "kind": "LlamaStackDistribution",
            "metadata": {"name": "demo", "namespace": "n"},
            "spec": {
                "distribution": {"name": "starter"},
                "providers": {
                    "vectorIo": {
                        "provider": "pgvector",
                        "apiKey": secret("pg", "password"),
                        "secretRefs": {"host": secret("pg", "host"), "port": secret("pg", "port")},
                    },
                    "telemetry": {"provider": "otel", "secretRefs": {"headers": secret("otel")}},
                },
            },
        },
        Distributions.load(),
    )

    path = "spec.providers.vectorIo"
    assert plan.converted == {
        f"{path}.apiKey.secretKeyRef",
        f"{path}.secretRefs.host.secretKeyRef",
    }


@pytest.mark.parametrize("password", ["123", "1e5", "-7", "true", "nan", "1_000", "٣"])
def test_a_password_that_is_a_number_reaches_the_sql_store_encoded(password: str) -> None:
    found = stored(f"postgresql://me:{password}@h/d", sql=POSTGRES)

    encoded = found["LLSD_STORAGE_SQL_PASSWORD_ENCODED"]
    assert not is_unusable(encoded)
    assert split(f"postgresql://me:{encoded}@h/d", family="SQL")["password"] == password


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("postgresql://me:123@h/d", "password"),
        ("postgresql://me:p@h/2024", "db"),
        ("postgresql://007:p@h/d", "user"),
        ("postgresql://me:~p@h/d", "password"),
    ],
)
def test_what_the_kv_store_cannot_get_as_text_is_refused_unseen(value: str, part: str) -> None:
    with pytest.raises(ConnectionStringError, match=f"the {part} reads as a number") as caught:
        stored(value, kv=POSTGRES)

    assert str(caught.value).startswith("spec.storage.kv.connectionString")
    assert not any(text in str(caught.value) for text in ("123", "2024", "007", "~p"))


def test_a_redis_password_of_digits_is_part_of_a_longer_text() -> None:
    redis = {"type": "redis", "endpoint": "redis", "password": secret("r")}

    assert stored("123", kv=redis) == {"LLSD_STORAGE_KV_PASSWORD_ENCODED": "123"}
    with pytest.raises(ConnectionStringError, match="is empty"):
        stored("", kv=redis)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("postgresql://u:hush@a:1,b:2/d", "one host"),
        ("postgresql://u:hush@a,b/d", "one host"),
        ("host=a,b user=u password=hush", "one host"),
        ("postgresql://u:hush#x@h/d", "%23"),
        ("postgresql://u:hush/x@h/d", "%2F"),
        ("postgresql://u:hush@h/d#x", "#"),
        ("postgresql://u:hush@h/a%3Fb", "name of the database"),
        ("service=hush", "service"),
    ],
)
def test_connection_strings_that_cannot_be_passed_on_say_why(value: str, words: str) -> None:
    with pytest.raises(ConnectionStringError, match=words) as caught:
        split(value, family="SQL")

    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["", "123", "12e45", "true", "False", "Infinity", "nan", "-1", " 7 ", "1_000", "~/key"]
)
def test_secret_values_that_the_server_would_convert_are_told(value: str) -> None:
    assert is_unusable(value)


@pytest.mark.parametrize("value", ["sk-123", "0x1f", "yes", "null", "a1", "12:30", "none"])
def test_other_secret_values_are_usable(value: str) -> None:
    assert not is_unusable(value)


def test_only_what_the_server_needs_as_text_is_said_to_be_text() -> None:
    found = generate(
        providers={
            "vectorIo": {
                "provider": "pgvector",
                "secretRefs": {"host": secret("h"), "port": secret("p"), "password": secret("w")},
            },
            "telemetry": {"provider": "otel", "secretRefs": {"headers": secret("x")}},
        },
        storage={"kv": {"type": "redis", "endpoint": "redis", "password": secret("r")}},
    )

    texts = {item.name: item.is_text for item in found.env if isinstance(item, EnvFromSecret)}
    assert texts == {
        "LLSD_PGVECTOR_HOST": True,
        "LLSD_PGVECTOR_PASSWORD": True,
        "LLSD_PGVECTOR_PORT": False,
        "LLSD_STORAGE_KV_PASSWORD_ENCODED": False,
        "OTEL_EXPORTER_OTLP_HEADERS": False,
    }
