# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What most tests of the running operator share; a file that needs it otherwise has its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, install


@pytest.fixture(scope="module")
def kubeconfig(kwok_plane: ControlPlane) -> Path:
    """Of the operator's ServiceAccount, with the rights of ``deploy/rbac``."""
    return install(kwok_plane)


@pytest.fixture(scope="module")
def operator_flags() -> tuple[str, ...]:
    """More flags of ``operator``; a file may have some."""
    return ()


@pytest.fixture(scope="module")
def operator(kubeconfig: Path, operator_flags: tuple[str, ...]) -> Iterator[OperatorProcess]:
    """The operator at work, telling of each reconcile; it has to end well, too."""
    with OperatorProcess(kubeconfig, "--log-level=debug", *operator_flags) as process:
        process.wait_ready()
        process.wait_logged("Started workers")
        yield process
        assert process.terminate() == 0


@pytest.fixture
def world(operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    """A namespace of its own, with the Secret that resources refer to."""
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    return made
