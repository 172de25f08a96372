# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What all tests share: control planes, real servers, and how Hypothesis draws its examples.

A control plane is started once for each test process (under xdist: for each worker), when a test
asks for it first, and every test gets a namespace of its own in it. The programs are obtained
before the first test runs, because that may take minutes and a test may not. The same goes for the
servers that a config is proven with (``bed``), and for Redis, PostgreSQL and a registry.

Without programs the tests fail, with the line that says what to install: a test that is skipped
on every machine guards nothing. ``LLAMASTACK_OPERATOR_TESTS=offline`` skips them on purpose.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

from hack.cluster.binaries import obtain
from hack.cluster.errors import ClusterError
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.servers.bed import Bed
from hack.servers.chroot import NoPythonError
from hack.servers.errors import BedError
from hack.servers.installing import install
from hack.servers.registry import Registry
from hack.servers.services import Postgres, Redis

OFFLINE = os.environ.get("LLAMASTACK_OPERATOR_TESTS") == "offline"

_NEEDS_BINARIES = frozenset({"binaries", "control_plane", "kwok_plane"})
_NEEDS_SERVERS = frozenset({"bed", "redis", "postgres", "registry"})

# The same examples each time: a failure is somebody's change, not somebody's luck. Looking for new
# ones is a job of its own: `pytest --hypothesis-profile=explore`.
settings.register_profile("default", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("default")


_LONGEST = (
    "test_registry_key_boots",
    "test_every_edit",
    "test_operator_killed",
    "test_operator_process",
    "test_upgrade_from_go",
    "test_provider_of_others",
    "test_storage_secret_boots",
    "test_samples_boot",
    "test_bases_boot",
    "test_every_edit_v1alpha1",
    "test_quickstart",
    "test_migration",
    "test_external_eras",
)
"""Files that take a minute or more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: else one process ends minutes after the other."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@dataclass
class _Programs:
    """What the ladder gave: programs, or the reason why there are none."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    failure: str = ""


@dataclass
class _Servers:
    """What the installation gave: a bed, or the reason why there is none."""

    bed: Bed | None = None
    failure: str = ""
    skip: str = ""


# The virtual-time plug-in asks for the current loop in synchronous tests, too; without this the
# default policy would make one that nobody closes.
asyncio.set_event_loop(None)

_programs = pytest.StashKey[_Programs]()
_servers = pytest.StashKey[_Servers]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Obtain the programs before any test's time-out runs, if a selected test needs them."""
    if OFFLINE or session.config.option.collectonly:
        return
    names: set[str] = set()
    for item in session.items:
        names.update(getattr(item, "fixturenames", ()))
    if names & _NEEDS_BINARIES:
        session.config.stash[_programs] = _obtain(session.config)
    if names & _NEEDS_SERVERS:
        session.config.stash[_servers] = _installed(session.config)


def _shown(config: pytest.Config) -> contextlib.AbstractContextManager[None]:
    """Progress has to be seen while it happens."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()


def _obtain(config: pytest.Config) -> _Programs:
    with _shown(config):
        try:
            return _Programs(obtain())
        except ClusterError as error:
            return _Programs(failure=str(error))


def _installed(config: pytest.Config) -> _Servers:
    with _shown(config):
        try:
            return _Servers(install())
        except NoPythonError as error:  # the operator itself runs on an older Python: no defect
            return _Servers(skip=str(error))
        except BedError as error:
            return _Servers(failure=str(error))


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Mapping[str, Path]:
    """The programs of the control plane by name."""
    if OFFLINE:
        pytest.skip("LLAMASTACK_OPERATOR_TESTS=offline: no control plane")
    programs = pytestconfig.stash.get(_programs, None) or _obtain(pytestconfig)
    if programs.failure:
        pytest.fail(f"No control plane: {programs.failure}", pytrace=False)
    return programs.paths


def _running(binaries: Mapping[str, Path], options: PlaneOptions) -> Iterator[ControlPlane]:
    plane = ControlPlane(binaries, options)
    try:
        plane.up()
    except ClusterError as error:
        pytest.fail(f"No control plane: {error}", pytrace=False)
    yield plane
    plane.down()


@pytest.fixture(scope="session")
def control_plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    """etcd, API server and controllers; no nodes, so Pods stay pending."""
    yield from _running(binaries, PlaneOptions())


@pytest.fixture(scope="session")
def kwok_plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    """Also the scheduler and two simulated nodes: Pods become Ready at once."""
    yield from _running(binaries, PlaneOptions(scheduler=True, nodes=2))


def _namespace(plane: ControlPlane) -> Iterator[str]:
    plane.start_apiserver()  # an earlier test may have failed while it was away
    name = f"test-{uuid.uuid4().hex[:10]}"
    plane.client.create(
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
    )
    yield name
    # Without waiting: emptying a namespace takes seconds, and nobody looks at it again.
    with contextlib.suppress(ClusterError):
        plane.client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A new namespace in ``control_plane``, deleted afterwards."""
    yield from _namespace(control_plane)


@pytest.fixture
def kwok_namespace(kwok_plane: ControlPlane) -> Iterator[str]:
    """A new namespace in ``kwok_plane``, deleted afterwards."""
    yield from _namespace(kwok_plane)


@pytest.fixture(scope="session")
def bed(pytestconfig: pytest.Config) -> Bed:
    """The installed servers and programs."""
    if OFFLINE:
        pytest.skip("LLAMASTACK_OPERATOR_TESTS=offline: no servers")
    servers = pytestconfig.stash.get(_servers, None) or _installed(pytestconfig)
    if servers.skip:
        pytest.skip(f"No servers: {servers.skip}")
    if servers.bed is None:
        pytest.fail(f"No servers: {servers.failure}", pytrace=False)
    return servers.bed


@pytest.fixture(scope="session")
def redis(bed: Bed) -> Iterator[Redis]:
    """A Redis without a password; its data is everybody's."""
    with Redis(bed) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(bed: Bed) -> Iterator[Postgres]:
    """A PostgreSQL; make a database of your own in it."""
    with Postgres(bed) as server:
        yield server


@pytest.fixture(scope="session")
def registry(bed: Bed) -> Iterator[Registry]:
    """A container registry that lets everybody in."""
    with Registry(bed) as server:
        yield server
