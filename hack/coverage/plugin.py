# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Measures the coverage of a run of the tests, if ``LLAMASTACK_OPERATOR_COVERAGE=1`` is set."""

from __future__ import annotations

import os
from typing import Final

import pytest

WANTED: Final = "LLAMASTACK_OPERATOR_COVERAGE"
"""The environment variable that turns measuring on."""


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Start to measure: pytest calls this hook before it imports the next plugin.

    Later is too late: other plugins import parts of the product, and what ran while they were
    imported would count as never executed.
    """
    if os.environ.get(WANTED) == "1":
        # Most runs of the tests do without coverage.
        from hack.coverage.measurement import Measurement  # noqa: PLC0415

        pluginmanager.register(Measurement(), "measurement")
