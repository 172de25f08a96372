# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever happens on the way, the store ends where the cluster is, and tells no lies.

A state machine changes a modelled cluster and cuts, breaks and delays the stream at every byte;
a reflector, a store and handlers follow it (A2, A4, A5, A7, B1, B2, B3, B6, B7).
"""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from informers import resource_version as rv
from informers.errors import ServerError, TooManyRequests, TransportError
from informers.options import ReflectorOptions
from informers.ports import Object, ObjectKey
from tests.support.fakecluster import FakeCluster
from tests.support.following import Follower, View

names = st.sampled_from(["a", "b", "c", "d", "e"])
colours = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3)
sizes = st.integers(0, 600)


def by_colour(obj: Object) -> Iterable[str]:
    colours = obj.get("colours", [])
    if "green" in colours and "blue" in colours:
        raise ValueError("an index function that fails for some objects")
    return [str(colour) for colour in colours]


class Following(RuleBasedStateMachine):
    @initialize(
        streaming=st.booleans(),
        refuses=st.booleans(),
        as_event=st.booleans(),
        page=st.integers(1, 3),
    )
    def begin(self, *, streaming: bool, refuses: bool, as_event: bool, page: int) -> None:
        self.cluster = FakeCluster(streaming=not refuses, expired_as_event=as_event)
        self.index_failures: list[ObjectKey] = []
        self.follower = Follower(
            self.cluster,
            tuning=ReflectorOptions(streaming_list=streaming, page_size=page),
            indexers={"colour": by_colour, "all": lambda obj: ["x"]},
            on_error=lambda name, key, error: self.index_failures.append(key),
        )
        self.views = [View()]
        self.joined_with: list[set[ObjectKey]] = [set()]
        self.registrations = [self.follower.join(self.views[0])]
        self.truth: dict[ObjectKey, list[str]] = {}
        self.seen_up_to = ""

    def _remember(self, obj: Object) -> None:
        key = self.cluster.key(obj["metadata"]["name"])
        self.truth.setdefault(key, []).append(obj["metadata"]["resourceVersion"])

    # --- what happens in the cluster -------------------------------------------------------

    @rule(name=names, colours=colours)
    def write(self, name: str, colours: list[str]) -> None:
        write = self.cluster.update if self._exists(name) else self.cluster.create
        self._remember(write(name, colours=colours))

    @rule(name=names)
    def delete(self, name: str) -> None:
        if self._exists(name):
            self._remember(self.cluster.delete(name))

    @rule(name=names, colours=colours)
    def recreate(self, name: str, colours: list[str]) -> None:
        self.delete(name)
        self._remember(self.cluster.create(name, colours=colours))

    @rule()
    def bookmark(self) -> None:
        self.cluster.elsewhere()
        self.cluster.bookmark()

    @rule()
    def compact(self) -> None:
        self.cluster.elsewhere()
        self.cluster.compact()

    @rule(
        data=st.sampled_from([b"<html>\n", b'{"type":"ADDED","object":{"kind":"Table"}}\n', b"\n"])
    )
    def garbage(self, data: bytes) -> None:
        self.cluster.inject(data)

    @rule(index=st.integers(0, 1000))
    def repeat(self, index: int) -> None:
        """Something on the way sends an old event once more."""
        if self.cluster.history:
            self.cluster.inject(self.cluster.history[index % len(self.cluster.history)].data)

    def _exists(self, name: str) -> bool:
        return self.cluster.key(name) in self.cluster.objects

    # --- what happens on the way -----------------------------------------------------------

    @rule(size=sizes)
    def advance(self, size: int) -> None:
        self.follower.advance(size)

    @rule(size=sizes)
    def cut(self, size: int) -> None:
        self.follower.cut(size)

    @rule(size=sizes)
    def reset(self, size: int) -> None:
        self.follower.reset(size)

    @rule(
        error=st.sampled_from(
            [
                TransportError("refused"),
                TooManyRequests("slow down", code=429, retry_after=2),
                ServerError("oops", code=500),
            ]
        )
    )
    def fail(self, error: TransportError | ServerError) -> None:
        self.follower.fail(error)

    @precondition(lambda self: len(self.views) < 4)
    @rule()
    def join_late(self) -> None:
        self.views.append(View())
        self.joined_with.append(set(self.follower.store.keys()))
        self.registrations.append(self.follower.join(self.views[-1]))
        self.follower.dispatcher.drain(10.0)

    @rule()
    def catch_up(self) -> None:
        self.follower.catch_up()
        assert dict(self.follower.store.items()) == self.cluster.state()

    # --- what must hold --------------------------------------------------------------------

    @invariant()
    def views_agree_with_the_store(self) -> None:
        for view in self.views:
            assert view.objects == dict(self.follower.store.items())

    @invariant()
    def states_of_an_object_are_a_subsequence_of_the_true_ones(self) -> None:
        for view in self.views:
            for key, versions in view.versions.items():
                true = iter(self.truth[key])
                assert all(version in true for version in versions), (versions, self.truth[key])

    @invariant()
    def late_handlers_got_everything_first(self) -> None:
        for view, there, registration in zip(
            self.views, self.joined_with, self.registrations, strict=True
        ):
            assert there <= set(view.initial)
            assert [what for what, _ in view.log[: len(there)]] == ["add"] * len(there)
            assert registration.has_synced() == self.follower.synced

    @invariant()
    def indices_are_what_a_recomputation_gives(self) -> None:
        store = self.follower.store
        for colour in ("red", "green", "blue"):
            expected = set()
            for key, obj in store.items():
                try:
                    if colour in by_colour(obj):
                        expected.add(key)
                except ValueError:
                    assert key in self.index_failures
            found = [
                self.cluster.key(obj["metadata"]["name"])
                for obj in store.by_index("colour", colour)
            ]
            assert sorted(found) == sorted(expected)
        assert len(store.by_index("all", "x")) == len(store)

    @invariant()
    def the_position_never_goes_back(self) -> None:
        seen = self.follower.store.seen_up_to
        assert not rv.older(seen, self.seen_up_to)
        self.seen_up_to = seen

    def teardown(self) -> None:
        if hasattr(self, "follower"):
            self.catch_up()
            self.views_agree_with_the_store()


Following.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestFollowing = Following.TestCase
