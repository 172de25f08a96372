# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the server keeps its state. The disk for files is ``workload.storage``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.model import ApiModel, NonEmpty, rule, rules
from api.v1alpha2 import messages
from api.v1alpha2.secrets import SecretKeySelector, SecretSource


class KeyValueStorage(ApiModel):
    """The key-value store: registry, prompts, metadata of files and vector stores."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.type) || self.type != 'redis' || has(self.endpoint)",
                f"spec.storage.kv.endpoint: {messages.REDIS_ENDPOINT}",
                field_path=".endpoint",
                reason="FieldValueRequired",
            ),
            rule(
                "!has(self.type) || self.type != 'postgres' || has(self.connectionString)",
                f"spec.storage.kv.connectionString: {messages.POSTGRES_CONNECTION}",
                field_path=".connectionString",
                reason="FieldValueRequired",
            ),
        )
    )

    type: Literal["sqlite", "redis", "postgres"] = "sqlite"
    """Kind of store; sqlite if absent. Only redis and postgres can be shared by replicas."""

    endpoint: NonEmpty | None = None
    """Address of redis, e.g. redis://redis:6379."""

    password_source: Annotated[SecretSource | None, Field(alias="password")] = None
    """Password of redis, kept in a Secret. The server prints it when it starts: no release has a
    field for it."""

    connection_string_source: Annotated[SecretSource | None, Field(alias="connectionString")] = None
    """URL of postgres, kept in a Secret, e.g. postgresql://user:password@host:5432/db."""

    @property
    def password(self) -> SecretKeySelector | None:
        """Where the password is kept."""
        return self.password_source.secret_key_ref if self.password_source else None

    @property
    def connection_string(self) -> SecretKeySelector | None:
        """Where the connection string is kept."""
        source = self.connection_string_source
        return source.secret_key_ref if source else None


class SqlStorage(ApiModel):
    """The SQL store: conversations, responses, inference logs."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.type) || self.type != 'postgres' || has(self.connectionString)",
                f"spec.storage.sql.connectionString: {messages.POSTGRES_CONNECTION}",
                field_path=".connectionString",
                reason="FieldValueRequired",
            ),
        )
    )

    type: Literal["sqlite", "postgres"] = "sqlite"
    """Kind of store; sqlite if absent. Only postgres can be shared by replicas."""

    connection_string_source: Annotated[SecretSource | None, Field(alias="connectionString")] = None
    """URL of postgres, kept in a Secret, e.g. postgresql://user:password@host:5432/db."""

    @property
    def connection_string(self) -> SecretKeySelector | None:
        """Where the connection string is kept."""
        source = self.connection_string_source
        return source.secret_key_ref if source else None


class Storage(ApiModel):
    """The stores of the server. Each one that is absent stays as the distribution has it (R-D7)."""

    kv: KeyValueStorage | None = None
    """The key-value store."""

    sql: SqlStorage | None = None
    """The SQL store."""
