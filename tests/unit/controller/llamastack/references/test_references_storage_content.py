# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the Secret of connection strings holds, and whether it holds it already."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from api.v1alpha2 import SecretKeySelector
from configs.connection import KV_PARTS, SQL_PARTS, StorageSecret, StorageValue, variable
from configs.distributions import Distributions
from controller.llamastack.objects.kinds import FIELD_MANAGER, STORAGE_SOURCES
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.references.storage_content import (
    Content,
    derive,
    held_keys,
    in_place,
    keep_held,
    state_of,
    without_values,
)
from informers.errors import Forbidden, Invalid

URL = "postgresql://user:p%40ss@db.example:6543/data"
KV_PATH = "spec.storage.kv.connectionString.secretKeyRef"
SQL_PATH = "spec.storage.sql.connectionString.secretKeyRef"


def wanted(*, sql: SecretKeySelector | None = None) -> StorageSecret:
    kv = SecretKeySelector(name="pg", key="url")
    sql = sql or kv
    values = [StorageValue(variable("KV", p), kv, p, "KV", KV_PATH) for p in KV_PARTS]
    values += [StorageValue(variable("SQL", p), sql, p, "SQL", SQL_PATH) for p in SQL_PARTS]
    return StorageSecret("demo-storage-env", tuple(values))


def secret(**data: str | bytes) -> dict[str, Any]:
    encoded = {
        key: base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
        for key, value in data.items()
    }
    return {"metadata": {"name": "pg", "uid": "u", "resourceVersion": "1"}, "data": encoded}


def entry(manager: str, *keys: str, operation: str = "Apply") -> dict[str, Any]:
    fields: dict[str, Any] = {"f:data": {".": {}, **{f"f:{key}": {} for key in keys}}, "f:type": {}}
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def live(state: str, *entries: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        "name": "demo-storage-env",
        "annotations": {STORAGE_SOURCES: state},
        "managedFields": list(entries),
    }
    return {"metadata": metadata, "data": {"LLSD_STORAGE_KV_HOST": "aGlkZGVu"}}


ALL = tuple(value.key for value in wanted().values)


# --- the state -------------------------------------------------------------------------------


def test_state_follows_versions_uids_keys_and_what_becomes_of_them() -> None:
    base = state_of(wanted(), {"pg": ("u", "1")})
    other_key = SecretKeySelector(name="pg", key="other")
    only_kv = StorageSecret("x", wanted().values[: len(KV_PARTS)])

    assert state_of(wanted(), {"pg": ("u", "1")}) == base
    others = {
        state_of(wanted(), {"pg": ("u", "2")}),
        state_of(wanted(), {"pg": ("v", "1")}),
        state_of(wanted(sql=other_key), {"pg": ("u", "1")}),
        state_of(only_kv, {"pg": ("u", "1")}),
    }
    assert base not in others
    assert len(others) == 4


# --- is it there? ----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["Apply", "Update"])
def test_secret_that_nobody_touched_is_in_place(operation: str) -> None:
    cached = keep_held(live("s", entry(FIELD_MANAGER, *ALL, operation=operation)))

    assert in_place(cached, wanted(), "s")
    assert not in_place(cached, wanted(), "t")


def test_key_that_somebody_else_wrote_is_not_in_place() -> None:
    cached = keep_held(
        live("s", entry(FIELD_MANAGER, *ALL[1:]), entry("kubectl-edit", ALL[0], operation="Update"))
    )

    assert not in_place(cached, wanted(), "s")


def test_key_that_is_shared_or_added_by_others_is_their_business() -> None:
    cached = keep_held(live("s", entry(FIELD_MANAGER, *ALL), entry("me", ALL[0], "MORE")))

    assert in_place(cached, wanted(), "s")
    assert "MORE" not in held_keys(cached)


def test_keys_held_in_part_by_creation_and_in_part_by_apply_count_together() -> None:
    created = entry(FIELD_MANAGER, *ALL[:3], operation="Update")

    assert in_place(keep_held(live("s", created, entry(FIELD_MANAGER, *ALL[3:]))), wanted(), "s")


def test_cached_secret_has_no_data_and_no_managed_fields() -> None:
    cached = keep_held(live("s", entry(FIELD_MANAGER, *ALL)))

    assert "data" not in cached
    assert "managedFields" not in cached["metadata"]
    assert keep_held(dict(cached)) == cached  # a transform may see an object twice


# --- from the sources ------------------------------------------------------------------------


def test_content_is_never_shown() -> None:
    content = derive(wanted(), {"pg": secret(url=URL)}, "state")

    assert isinstance(content, Content)
    assert base64.b64decode(content.data["LLSD_STORAGE_KV_PASSWORD"]) == b"p@ss"
    assert repr(content) == "Content(state='state')"


def test_every_field_with_a_bad_value_is_named_with_what_to_do() -> None:
    sql = SecretKeySelector(name="other", key="dsn")
    sources = {"pg": secret(url="mysql://u@h/d"), "other": secret(dsn=b"\xff\xfe")}

    errors = derive(wanted(sql=sql), sources, "s")

    assert isinstance(errors, tuple)
    assert [(e.path, e.message) for e in errors] == [
        (
            KV_PATH,
            'The value of key "url" in Secret "pg" cannot be used: must begin with postgresql://. '
            f"Write it as postgresql://user:password@host/database. Referenced by: {KV_PATH}",
        ),
        (
            SQL_PATH,
            'The value of key "dsn" in Secret "other" cannot be used: is not text in UTF-8. '
            f"Write it as postgresql://user:password@host/database. Referenced by: {SQL_PATH}",
        ),
    ]


# --- references to the Secret itself -----------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"storage": {"sql": "demo-storage-env"}}, SQL_PATH),
        ({"env": "demo-storage-env"}, "spec.workload.overrides.env[0].valueFrom.secretKeyRef"),
    ],
)
def test_secret_is_not_made_from_itself(spec: dict[str, Any], path: str) -> None:
    storage = spec.get("storage", {}).get("sql", "pg")
    source = {"secretKeyRef": {"name": spec.get("env", "mine"), "key": "k"}}
    env = [{"name": "A", "valueFrom": source}]
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {
            "distribution": {"name": "starter"},
            "storage": {
                "sql": {
                    "type": "postgres",
                    "connectionString": {"secretKeyRef": {"name": storage, "key": "url"}},
                }
            },
            "workload": {"overrides": {"env": env}},
        },
    }

    plan = make_plan(obj, Distributions.load())

    assert [error.path for error in plan.errors] == [path]
    assert plan.generated is None


# --- errors ----------------------------------------------------------------------------------

CONTENT = Content("s", {"K": base64.b64encode(b"xqzjkvwq").decode()})


@pytest.mark.parametrize("quoted", ["xqzjkvwq", "a qzjk b", CONTENT.data["K"], "eHF6"])
def test_answer_that_repeats_a_value_is_left_out(quoted: str) -> None:
    error = Invalid(f"policy: {quoted} is bad", code=422, reason="Invalid", retry_after=3.0)

    shown = without_values(error, "demo-storage-env", CONTENT)

    assert isinstance(shown, Invalid)
    assert quoted not in str(shown)
    assert (shown.code, shown.reason, shown.retry_after) == (422, "Invalid", 3.0)


def test_answer_that_repeats_a_value_in_its_causes_is_left_out() -> None:
    error = Invalid("bad", code=422, causes=(("FieldValueInvalid", "data", "xqzj"),))

    assert without_values(error, "demo-storage-env", CONTENT).causes == ()


def test_other_answers_are_kept_because_they_say_what_to_do() -> None:
    error = Forbidden("exceeded quota: q, requested: count/secrets=1", code=403)

    assert without_values(error, "demo-storage-env", CONTENT) is error
