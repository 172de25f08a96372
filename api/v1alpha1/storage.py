# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Storage, which has two meanings in this version: a volume, and a store for the state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.model import ApiModel, Quantity, rule, rules
from api.v1alpha2 import messages
from api.v1alpha2.secrets import SecretSource


class Storage(ApiModel):
    """A volume for the server's files, and the store of its state (R-D8).

    An empty object asks for a volume with the defaults. With type or connectionString there is one
    only if size or mountPath is given, too.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.type) || self.type != 'postgres' || has(self.connectionString)",
                f"spec.server.storage.connectionString: {messages.POSTGRES_CONNECTION}",
                field_path=".connectionString",
                reason="FieldValueRequired",
            )
        )
    )

    size: Quantity | None = None
    """Size of the volume; 10Gi if absent. Can grow, never shrink."""

    mount_path: str | None = None
    """Where the volume appears in the container; /.llama if absent or empty."""

    type: Literal["sqlite", "postgres"] | None = None
    """Kind of store, for the key-value and the SQL store alike; that of the distribution if absent.
    Only postgres can be shared by replicas."""

    connection_string_source: Annotated[SecretSource | None, Field(alias="connectionString")] = None
    """URL of postgres, kept in a Secret, e.g. postgresql://user:password@host:5432/db."""
