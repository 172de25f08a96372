# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Rows that have to wait, because the controller refuses their fields until it can do them."""

from __future__ import annotations

from controller.llamastack.planning.unsupported import unsupported
from tests.support.config_specs import spec_of
from tests.support.edits.row import Json, Row


def refused(spec: Json) -> list[str]:
    """The fields of a spec that the controller refuses, as ``unsupported`` names them."""
    return [error.path for error in unsupported(spec_of(spec))]


def pending(row: Row) -> list[str]:
    """Likewise for all specs of a row."""
    return sorted({path for spec in row.steps for path in refused(spec)})
