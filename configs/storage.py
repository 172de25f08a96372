# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Storage: backends, the server's own stores, and who shares what (R-D16a, R-D16b).

``storage.kv`` (FR-050) and ``storage.sql`` (FR-051) replace one family of backends each; the other
stays as the base has it (FR-052). The backends ``kv_default`` and ``sql_default`` and all stores of
the era are always written out: the server's defaults for absent ones point at names that may not
exist. A third backend keeps the log of completions apart (``defaults.INFERENCE_BACKEND`` says why).

SQLite is a file on the volume, nobody else's. Redis and PostgreSQL may be shared by many servers,
which would then share their registry and their conversations: each resource gets namespaces and
table names of its own there, made from namespace and name. That is not enough for PostgreSQL: the
server ignores the names for conversations and files (found in 0.7.3), hence the warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from api.v1alpha2 import SecretKeySelector, Spec, messages
from api.v1alpha2.storage import KeyValueStorage, SqlStorage
from configs import connection, defaults, references
from configs.connection import Family, Part, StorageSecret, StorageValue
from configs.draft import Config, Draft
from configs.eras import Era
from configs.errors import Findings
from configs.secrets import Environment, reference

_KV_STORES: Final[Mapping[str, str]] = {
    "metadata": "registry", "prompts": "prompts", "connectors": "connectors"
}  # fmt: skip
"""Key-value store of the server → its namespace."""

_SQL_STORES: Final[Mapping[str, str]] = {
    "inference": "inference_store", "conversations": "openai_conversations"
}  # fmt: skip
"""SQL store of the server → its table."""

_REDIS_PORT: Final = 6379


def apply(spec: Spec, draft: Draft, *, cr_name: str, namespace: str) -> StorageSecret | None:
    """Writes the ``storage`` section.

    Args:
        spec: of the resource.
        draft: the config; changed, references of providers to replaced backends included.
            Receives the variables of connection strings.
        cr_name: name of the resource.
        namespace: of the resource.

    Returns:
        The Secret that the operator must fill for this config; None if it needs none.
    """
    wanted = spec.storage
    values = _Values(cr_name, draft.environment)
    backends = draft.data["storage"]["backends"]
    if wanted and wanted.kv:
        backend = _key_value(wanted.kv, draft, values)
        _replace(draft, "kv_", defaults.KV_BACKEND, backend, f"{namespace}/{cr_name}/")
    if wanted and wanted.sql:
        backend = _sql(wanted.sql, draft, values)
        owner = hashlib.sha256(f"{namespace}/{cr_name}".encode()).hexdigest()[:8]
        _replace(draft, "sql_", defaults.SQL_BACKEND, backend, f"llsd_{owner}_")
        _separate_inference(draft)
    if defaults.KV_BACKEND not in backends:
        backends[defaults.KV_BACKEND] = _sqlite(draft, "kv_sqlite", "kvstore.db")
    if defaults.SQL_BACKEND not in backends:
        backends[defaults.SQL_BACKEND] = _sqlite(draft, "sql_sqlite", "sql_store.db")
        _separate_inference(draft)
    return values.secret()


def add_stores(draft: Draft) -> None:
    """Writes out the stores that the config leaves to the server's defaults."""
    stores = draft.data["storage"]["stores"]
    for name, own in _stores(draft.era):
        stores.setdefault(name, own)


def separate_registry(draft: Draft, suffix: str) -> None:
    """Puts the registry where no other registry of this resource is or was (R-D16c).

    Args:
        draft: the config, with its stores.
        suffix: of names of this registry; see ``registry_key``.
    """
    section = draft.data["storage"]
    store = section["stores"]["metadata"]
    store["namespace"] = f"{store.get('namespace', _KV_STORES['metadata'])}{suffix}"
    backend = section["backends"].get(str(store.get("backend")))
    if backend is not None and backend.get("type") == "kv_sqlite":
        file = _beside(str(backend.get("db_path", "")), f"{defaults.REGISTRY_FILE}{suffix}.db")
        section["backends"][defaults.REGISTRY_BACKEND] = {**backend, "db_path": file}
        store["backend"] = defaults.REGISTRY_BACKEND


def _beside(path: str, name: str) -> str:
    """The path of a file in the folder of another one."""
    folder, slash, last = path.rpartition("/")
    # The last slash may be inside of a reference, which ends behind it.
    return f"{path}.{name}" if "}" in last else f"{folder}{slash}{name}"


def _stores(era: Era) -> Iterator[tuple[str, Config]]:
    for name, key in _KV_STORES.items():
        if era == "ogx" and name != "metadata":
            yield name, defaults.sql_reference(key)
        elif name != "connectors" or era != "0.4":
            yield name, defaults.kv_reference(key)
    for name, key in _SQL_STORES.items():
        yield name, defaults.sql_reference(key)


# --- backends ------------------------------------------------------------------------------------


class _Values:
    """The variables of connection strings, and the Secret that holds them."""

    def __init__(self, cr_name: str, environment: Environment) -> None:
        self._name = connection.secret_name(cr_name)
        self._environment = environment
        self._values: dict[str, StorageValue] = {}

    def take(
        self,
        family: Family,
        part: Part,
        source: SecretKeySelector,
        path: str,
        *,
        redis: bool = False,
        pasted: bool = True,
    ) -> str:
        """Adds a value; returns the reference for the config."""
        key = connection.variable(family, part)
        self._values[key] = StorageValue(key, source, part, family, path, redis, pasted)
        own = SecretKeySelector(name=self._name, key=key)
        # The source is not what arrives; `connection.derive` judges what does.
        text = self._environment.secret(key, own, path, is_text=False)
        return reference(key, "") if part in connection.OPTIONAL_PARTS and not redis else text

    def secret(self) -> StorageSecret | None:
        """The Secret; None if nothing was taken."""
        values = tuple(self._values[key] for key in sorted(self._values))
        return StorageSecret(self._name, values) if values else None


def _key_value(kv: KeyValueStorage, draft: Draft, values: _Values) -> Config:
    if kv.type == "sqlite":
        return _sqlite(draft, "kv_sqlite", "kvstore.db")
    if kv.type == "redis":
        return _redis(kv, draft.findings, values)
    path = "spec.storage.kv.connectionString"
    if kv.connection_string is None:
        draft.findings.error(path, messages.POSTGRES_CONNECTION)
        return {}
    take = _taker(values, "KV", kv.connection_string, path)
    return {
        "type": "kv_postgres",
        **{part: take(part) for part in connection.KV_PARTS},
        "table_name": "llamastack_kvstore",
    }


def _sql(sql: SqlStorage, draft: Draft, values: _Values) -> Config:
    if sql.type == "sqlite":
        return _sqlite(draft, "sql_sqlite", "sql_store.db")
    path = "spec.storage.sql.connectionString"
    if sql.connection_string is None:
        draft.findings.error(path, messages.POSTGRES_CONNECTION)
        return {}
    draft.findings.warn(
        path,
        "must name a database that no other server uses, because the server keeps conversations "
        "and files in tables of fixed names",
    )
    if draft.era in {"0.4", "0.5-0.6"}:
        # https://github.com/ogx-ai/ogx/pull/5130, which came with 0.6
        draft.findings.warn(
            "spec.storage.sql.type",
            "is not reliable on servers before 0.6: now and then a request that uses PostgreSQL "
            "never gets an answer",
        )
    pasted = draft.era != "ogx"
    take = _taker(values, "SQL", sql.connection_string, path, pasted=pasted)
    parts = connection.SQL_PARTS if pasted else connection.KV_PARTS
    keys = {part: part.removesuffix("_encoded") for part in parts}
    return {"type": "sql_postgres", **{key: take(part) for part, key in keys.items()}}


def _taker(
    values: _Values, family: Family, source: SecretKeySelector, path: str, *, pasted: bool = True
) -> Callable[[Part], str]:
    where = f"{path}.secretKeyRef"
    return lambda part: values.take(family, part, source, where, pasted=pasted)


def _sqlite(draft: Draft, kind: str, file: str) -> Config:
    return {"type": kind, "db_path": f"{defaults.data_reference(draft.distribution)}/{file}"}


def _redis(kv: KeyValueStorage, findings: Findings, values: _Values) -> Config:
    """Host and port are all that the server's redis backend has, in any release."""
    path = "spec.storage.kv.endpoint"
    if kv.endpoint is None:
        findings.error(path, messages.REDIS_ENDPOINT)
        return {}
    address = kv.endpoint if "://" in kv.endpoint else f"redis://{kv.endpoint}"
    try:
        url = urlsplit(address)
        host, port = url.hostname, _REDIS_PORT if url.port is None else url.port
    except ValueError:
        host, port, url = None, 0, SplitResult("redis", "", "", "", "")
    if problem := _redis_problem(url, host if port else None):
        findings.error(path, problem, "for example redis://redis:6379")
        return {}
    shown = f"[{host}]" if host and ":" in host else host
    if kv.password:
        where = "spec.storage.kv.password.secretKeyRef"
        # The server pastes the host into a URL: a password in front of it does arrive.
        password = values.take("KV", "password_encoded", kv.password, where, redis=True)
        return {"type": "kv_redis", "host": f":{password}@{shown}", "port": port}
    return {"type": "kv_redis", "host": shown, "port": port}


def _redis_problem(url: SplitResult, host: str | None) -> str:
    """What is wrong with an address; ``host`` is None if it has none that can be used."""
    if references.MARK in url.netloc:
        return "must be an address, not an environment reference"
    if url.scheme == "rediss":
        return "asks for TLS, which the server's redis backend cannot do"
    if url.scheme != "redis" or not host:
        return "is not the address of a redis"
    if url.username or url.password:
        return "must not contain a user or password: keep the password in a Secret"
    if url.path.strip("/") not in {"", "0"} or url.query or url.fragment:
        return "names a database or options, which the server's redis backend cannot do"
    return ""


# --- replacing -----------------------------------------------------------------------------------


def _replace(draft: Draft, prefix: str, name: str, backend: Config, owner: str) -> None:
    """Puts one backend in the place of a family, and everything that used the family on it."""
    if not backend:
        return
    backends = draft.data["storage"]["backends"]
    gone = {key for key, old in backends.items() if str(old.get("type", "")).startswith(prefix)}
    gone.add(name)
    for key in gone:
        backends.pop(key, None)
    backends[name] = backend
    add_stores(draft)
    shared = not str(backend["type"]).endswith("sqlite")
    for user in _users(draft.data, gone):
        user["backend"] = name
        for key in ("namespace", "table_name"):
            if shared and key in user:
                user[key] = f"{owner}{user[key]}"


def _separate_inference(draft: Draft) -> None:
    """Gives the log of completions a backend of its own, beside the one for everything else."""
    add_stores(draft)
    section = draft.data["storage"]
    backend = section["backends"].get(defaults.SQL_BACKEND)
    if not backend:
        return
    if backend["type"] == "sql_sqlite":
        backend = _sqlite(draft, "sql_sqlite", "inference_store.db")
    section["backends"][defaults.INFERENCE_BACKEND] = dict(backend)
    section["stores"]["inference"]["backend"] = defaults.INFERENCE_BACKEND


def _users(data: Config, backends: set[str]) -> Iterator[Config]:
    """Every reference to one of the backends: of stores, and anywhere in providers' configs."""
    stack: list[Any] = [data["storage"]["stores"], data["providers"]]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if isinstance(node.get("backend"), str) and node["backend"] in backends:
                yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
