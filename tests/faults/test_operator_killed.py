# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator is killed after each of its writes, when a resource comes, changes and goes.

One operator serves a resource for each number of writes, each in a namespace of its own. A proxy
lets that many writes through and then nothing more, so the operator stands in the middle of all of
them at once when it is killed. Every resource comes twice: the last write was answered, or it was
carried out and nobody got the answer. What the next operator makes of it is what there is after a
calm day: every child, none twice, no pod rolled for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controller.llamastack.objects.kinds import (
    CA_BUNDLE_SOURCES,
    CONFIG_MAP,
    CONFIG_MAPS_SEEN,
    DEPLOYMENT,
    SECRETS_HASH,
    STORAGE_SOURCES,
)
from hack.cluster.plane import ControlPlane
from tests.support.edits.arena import CHILDREN, Arena
from tests.support.edits.full import EVERY_FEATURE, FULL, IN_SYSTEM
from tests.support.edits.normal import differences
from tests.support.edits.row import MINIMAL, Json, merged, secret
from tests.support.faultkinds import Answer, Reset, Rule
from tests.support.faultproxy import FaultProxy
from tests.support.operator_process import OperatorProcess
from tests.support.world import eventually, install

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(400)]

ALL = merged(
    FULL,
    {
        "networking": {"tls": {"caBundle": {"configMapName": "ca"}}},
        "storage": {"sql": {"type": "postgres", "connectionString": secret("databases", "url")}},
    },
)
"""Also the children that are made of what others wrote: a Secret and a bundle of certificates."""

MOST = len(CHILDREN) + 3
"""Writes of a reconcile at most: each kind of child, the bundle, the status, field ownership."""

OTHER = merged(
    MINIMAL,
    {
        "disabled": ["eval"],
        "networking": {"port": 9000},
        "workload": {"replicas": 1, "overrides": {"env": [{"name": "A", "value": "1"}]}},
    },
)
"""Another configuration, another port, and most of the children are not wanted any more."""

WRITES = "create|update|patch|delete"
OF_VERSIONS = (SECRETS_HASH, CONFIG_MAPS_SEEN, CA_BUNDLE_SOURCES, STORAGE_SOURCES)
"""Annotations that are made of versions of what users wrote."""
DEADLINE_S = 90.0


NAME = "demo"


class Cut:
    """A resource whose operator is stopped after some writes.

    Args:
        plane: where it is.
        namespace: its own.
        number: of writes.
        answered: whether the last one is answered.
    """

    def __init__(self, plane: ControlPlane, namespace: str, number: int, *, answered: bool) -> None:
        self.arena = Arena(plane, namespace)
        self.namespace = namespace
        self._number, self._answered = number, answered
        self._rules: list[Rule] = []

    def begin(self, proxy: FaultProxy) -> None:
        """From now on so many writes pass."""
        # Events are written beside the reconcile, in no order.
        path = rf"/namespaces/{self.namespace}/(?!events)"
        passing = self._number - (not self._answered)
        self._rules = []
        if not self._answered:
            self._rules.append(proxy.add(Reset(), verb=WRITES, path=path, skip=passing))
        away = Answer(503)
        self._rules.append(proxy.add(away, verb=WRITES, path=path, times=None, skip=passing))

    @property
    def stopped(self) -> bool:
        """Whether there was more to write."""
        return any(rule.hits for rule in self._rules)

    def stands(self) -> bool:
        """Whether the operator got as far with this resource as it gets."""
        return self.stopped or not self.arena.settle([NAME], 0.0)


class Scene:
    """All cuts, and a resource that nothing happens to.

    Args:
        plane: where they are.
        proxy: the operator's way there.
        kubeconfig: of the proxy.
        name: begins the names of the namespaces.
    """

    def __init__(self, plane: ControlPlane, proxy: FaultProxy, kubeconfig: Path, name: str) -> None:
        self._plane, self._proxy, self._kubeconfig = plane, proxy, kubeconfig
        self.calm = Arena(plane, f"{name}-calm")
        self.cuts = [Cut(plane, f"{name}-0", 0, answered=True)]
        for number in range(1, MOST + 1):
            self.cuts.append(Cut(plane, f"{name}-{number}", number, answered=True))
            self.cuts.append(Cut(plane, f"{name}-{number}-unanswered", number, answered=False))
        for arena in self.arenas:
            arena.prepare([ALL, OTHER])

    @property
    def arenas(self) -> list[Arena]:
        """Of all resources; the calm one comes last."""
        return [*(cut.arena for cut in self.cuts), self.calm]

    @contextlib.contextmanager
    def operator(self) -> Iterator[OperatorProcess]:
        """One at work; it has to be killed or terminated."""
        with OperatorProcess(self._kubeconfig, "--workers=64", env=IN_SYSTEM) as process:
            process.wait_logged("Started workers")
            yield process

    def cut(self) -> None:
        """From now on every resource but the calm one gets so many writes."""
        for cut in self.cuts:
            cut.begin(self._proxy)

    def kill_in_the_middle(self, operator: OperatorProcess) -> None:
        """Wait until the operator stands everywhere, kill it, and let all writes pass again."""
        waiting = list(self.cuts)

        def all_stand() -> bool:
            waiting[:] = [cut for cut in waiting if not cut.stands()]
            return not waiting

        eventually("the operator stands everywhere", all_stand, DEADLINE_S)
        assert operator.kill() == -signal.SIGKILL
        assert sum(cut.stopped for cut in self.cuts) > len(CHILDREN), "too little was cut"
        self._proxy.clear()

    def settle(self) -> None:
        """Wait until all children are what the specs ask for."""
        for arena in self.arenas:
            assert arena.settle([NAME], DEADLINE_S) == {}

    def check(self) -> None:
        """Every resource has what the calm one has, and pods were rolled as often.

        Some of what is not wanted any more goes when the last pod that reads it has gone.
        """
        wrong: dict[str, object] = {}

        def equal() -> bool:
            wanted, calm = _children(self.calm), self.facts(self.calm)
            wrong.clear()
            for cut in self.cuts:
                found = differences(_children(cut.arena), wanted)
                if found or self.facts(cut.arena) != calm:
                    wrong[cut.namespace] = found or (self.facts(cut.arena), calm)
            return not wrong

        with contextlib.suppress(AssertionError):
            eventually("all are as on a calm day", equal, DEADLINE_S)
        assert wrong == {}

    def facts(self, arena: Arena) -> Json:
        """What a comparison of children leaves out."""
        (deployment,) = arena.all(DEPLOYMENT)
        generated = [c for c in arena.all(CONFIG_MAP) if "-config-" in c["metadata"]["name"]]
        return {"rolls": deployment["metadata"]["generation"], "configs": len(generated)}

    def close(self) -> None:
        """Remove everything."""
        for arena in self.arenas:
            arena.close()


def _children(arena: Arena) -> dict[str, Json]:
    """Those of the resource; what users wrote has versions of its own in each namespace."""
    children = arena.children()[NAME]
    template = children["Deployment/NAME"]["spec"]["template"]
    for part in (template, *children.values()):
        annotations: Json = part["metadata"]["annotations"]
        for name in [name for name in annotations if name.endswith(OF_VERSIONS)]:
            del annotations[name]
    return children


@pytest.fixture(scope="module")
def kubeconfig(kwok_plane: ControlPlane) -> Iterator[Path]:
    made = install(kwok_plane)
    path = CONFIG_MAP.path(namespace=EVERY_FEATURE["metadata"]["namespace"])
    kwok_plane.client.create(path, EVERY_FEATURE)
    yield made
    kwok_plane.client.delete(f"{path}/{EVERY_FEATURE['metadata']['name']}")


@pytest.fixture
async def scene(
    kwok_plane: ControlPlane, kubeconfig: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Scene]:
    name = request.node.name.removeprefix("test_").partition("_")[0]
    async with FaultProxy.to_kubeconfig(kubeconfig) as proxy:
        path = proxy.write_kubeconfig(tmp_path / "config")
        made = await asyncio.to_thread(Scene, kwok_plane, proxy, path, name)
        yield made
        await asyncio.to_thread(made.close)


def gone(arena: Arena) -> bool:
    """Whether the resource and all its children are."""
    return not arena.left()


async def test_creation_that_is_cut_anywhere_ends_as_on_a_calm_day(scene: Scene) -> None:
    def play() -> None:
        scene.cut()
        with scene.operator() as operator:
            for arena in scene.arenas:
                arena.create({NAME: ALL})
            scene.kill_in_the_middle(operator)
        with scene.operator() as operator:
            scene.settle()
            scene.check()
            assert operator.terminate() == 0
        assert scene.facts(scene.calm) == {"rolls": 1, "configs": 1}

    await asyncio.to_thread(play)


async def test_edit_that_is_cut_anywhere_ends_as_on_a_calm_day(scene: Scene) -> None:
    def play() -> None:
        with scene.operator() as operator:
            for arena in scene.arenas:
                arena.create({NAME: ALL})
            scene.settle()
            scene.cut()
            for arena in scene.arenas:
                arena.edit({NAME: OTHER})
            scene.kill_in_the_middle(operator)
        with scene.operator() as operator:
            scene.settle()
            scene.check()
            assert operator.terminate() == 0

    await asyncio.to_thread(play)


async def test_deletion_in_the_middle_of_creation_leaves_nothing(scene: Scene) -> None:
    """The garbage collector takes what carries an owner reference, so everything has to."""

    def play() -> None:
        scene.cut()
        with scene.operator() as operator:
            for arena in scene.arenas:
                arena.create({NAME: ALL})
            for arena in scene.arenas[:1]:
                arena.delete(NAME)
            scene.kill_in_the_middle(operator)
        for arena in scene.arenas[1:]:
            arena.delete(NAME)
        with scene.operator() as operator:
            for arena in scene.arenas:
                eventually("nothing is left", functools.partial(gone, arena), DEADLINE_S)
            assert operator.terminate() == 0

    await asyncio.to_thread(play)
