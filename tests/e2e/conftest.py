# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What tests on a real node share: one control plane, one node, images, a namespace for each test.

Programs and images are obtained before the first test, since a test has a time-out and a first
build takes minutes. Where there can be no node (no root, no Linux, a container without privileges)
the tests are skipped with the line that says what is missing; ``make e2e`` asks first, and fails.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from configs.distributions import Distributions
from hack.cluster import flags
from hack.cluster.cert_manager.programs import CertManager
from hack.cluster.cert_manager.programs import obtain as obtain_cert_manager
from hack.cluster.cert_manager.running import running
from hack.cluster.errors import BinariesUnavailableError, ClusterError
from hack.cluster.node import programs, requirements
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.process import Program
from hack.images import operator, probe, published, server
from tests.support.database import Database, offered
from tests.support.incluster import InCluster
from tests.support.world import World

_IMAGES: Mapping[str, Callable[[], Path]] = {
    "operator_image": operator.image,
    "server_image": server.image,
    "published_provider": published.image,
}
_NAMES = {
    "operator_image": operator.NAME,
    "server_image": server.NAME,
    "published_provider": published.NAME,
}


@dataclass
class _Obtained:
    """Programs and images, or why there are none."""

    programs: Mapping[str, Path] = field(default_factory=dict)
    images: dict[str, Path] = field(default_factory=dict)
    cert_manager: CertManager | BinariesUnavailableError | None = None
    failure: str = ""
    skip: str = ""


_obtained = pytest.StashKey[_Obtained]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Obtain what the selected tests need, before any time-out runs."""
    if session.config.option.collectonly:
        return
    names: set[str] = set()
    for item in session.items:
        names.update(getattr(item, "fixturenames", ()))
    if "node" in names:
        session.config.stash[_obtained] = _obtain(session.config, names)


def _obtain(config: pytest.Config, names: set[str]) -> _Obtained:
    capture = config.pluginmanager.getplugin("capturemanager")
    shown = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    if missing := requirements.problem():
        return _Obtained(skip=missing)
    with shown:
        try:
            found = _Obtained(programs.obtain())
            requirements.check(found.programs)
            found.images = {name: _IMAGES[name]() for name in sorted(names & _IMAGES.keys())}
            if "cert_manager" in names:
                found.cert_manager = _obtain_cert_manager()
        except requirements.NodeUnavailableError as error:
            return _Obtained(skip=str(error))
        except ClusterError as error:
            return _Obtained(failure=str(error))
    return found


def _obtain_cert_manager() -> CertManager | BinariesUnavailableError:
    try:
        return obtain_cert_manager()
    except BinariesUnavailableError as error:
        return error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what the cluster says: afterwards it is gone."""
    report = yield
    if report.when == "call" and report.failed:
        arguments: Mapping[str, object] = getattr(item, "funcargs", {})
        for found in arguments.values():
            if isinstance(found, World | Namespace | InCluster):
                with contextlib.suppress(ClusterError, AssertionError, OSError):
                    report.sections.append((type(found).__name__, _told(found)))
    return report


def _told(found: World | Namespace | InCluster) -> str:
    if isinstance(found, World):
        return json.dumps([(o["spec"], o.get("status")) for o in found.all("llsd")], indent=1)
    return found.explain()


@pytest.fixture(scope="session")
def node_plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    """The control plane that the node belongs to; with the scheduler, without simulated nodes."""
    try:
        options = PlaneOptions(scheduler=True, apiserver_flags=flags.POD_ROUTING)
        with ControlPlane(binaries, options) as plane:
            yield plane
    except ClusterError as error:
        pytest.fail(f"No control plane: {error}", pytrace=False)


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config, node_plane: ControlPlane) -> Iterator[Node]:
    """A real node with the image ``probe.NAME``."""
    obtained = pytestconfig.stash[_obtained]
    if obtained.skip:
        pytest.skip(obtained.skip)
    if obtained.failure:
        pytest.fail(f"No node: {obtained.failure}", pytrace=False)
    try:
        with Node(node_plane, obtained.programs) as node:
            program, archive = obtained.programs["pause"], node.directory / "probe.tar"
            node.load(probe.image(probe.NAME, program, archive))
            yield node
    except ClusterError as error:
        pytest.fail(f"No node: {error}", pytrace=False)


@pytest.fixture(scope="session")
def server_image(pytestconfig: pytest.Config, node: Node) -> str:
    """The name of an image with the real llama-stack, which the node has.

    It is also what the node takes for the image of the distribution ``starter``.
    """
    node.load(pytestconfig.stash[_obtained].images["server_image"])
    node.tag(server.NAME, Distributions.load().images["starter"])
    return _NAMES["server_image"]


@pytest.fixture(scope="session")
def operator_image(pytestconfig: pytest.Config, node: Node) -> str:
    """The name of the operator's image, which the node has."""
    node.load(pytestconfig.stash[_obtained].images["operator_image"])
    return _NAMES["operator_image"]


@pytest.fixture(scope="session")
def published_provider(pytestconfig: pytest.Config, node: Node) -> str:
    """The name of an image with a provider that others wrote, which the node has."""
    node.load(pytestconfig.stash[_obtained].images["published_provider"])
    return _NAMES["published_provider"]


@pytest.fixture(scope="session")
def operator_in_cluster(node: Node, operator_image: str) -> InCluster:
    """The operator, installed once and running with two replicas."""
    assert operator_image in node.image_names()
    found = InCluster(node)
    try:
        found.install()
    except ClusterError as error:
        pytest.fail(f"The operator does not run: {error}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def database(node: Node) -> Iterator[Database]:
    """PostgreSQL, for servers to keep their state in."""
    with offered(node) as found:
        yield found


@pytest.fixture
def cert_manager(pytestconfig: pytest.Config, node: Node) -> Iterator[Program]:
    """cert-manager, at work in the cluster of the node."""
    found = pytestconfig.stash[_obtained].cert_manager
    if not isinstance(found, CertManager):
        pytest.skip(f"There is no cert-manager: {found}")
    with running(node.plane, found) as program:
        yield program


@pytest.fixture
def world(operator_in_cluster: InCluster, restricted: Namespace, server_image: str) -> World:
    """A new namespace in which the operator works with images of real servers."""
    del server_image
    return World(operator_in_cluster.plane, restricted.name)


@pytest.fixture
def restricted(node: Node) -> Iterator[Namespace]:
    """A new namespace that enforces Pod Security ``restricted``, deleted afterwards."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    client = node.plane.client
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.create(
        "/api/v1/namespaces",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        },
    )
    yield Namespace(client, name)
    with contextlib.suppress(ClusterError):
        client.delete(f"/api/v1/namespaces/{name}")
