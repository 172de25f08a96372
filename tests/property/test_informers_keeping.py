# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A store of objects of interest never holds a ghost, nor an old state, nor a stranger.

Interest comes and goes, live reads are offered late, and the stream is cut and compacted
meanwhile; what the store holds once it has caught up must be true (B2, B10, ``keep``).
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from informers.options import ReflectorOptions
from informers.ports import Object, ObjectKey, key_of
from tests.support.fakecluster import FakeCluster
from tests.support.following import Follower

names = st.sampled_from(["a", "b"])
sizes = st.integers(0, 600)


class Deletes:
    """A handler that remembers which objects it was told are gone, and which arrived."""

    def __init__(self) -> None:
        self.gone: list[tuple[ObjectKey, str]] = []
        self.arrived: list[str] = []

    def on_add(self, obj: Object, *, initial: bool) -> None:
        self.arrived.append(obj["metadata"]["resourceVersion"])

    def on_update(self, old: Object, new: Object) -> None:
        self.arrived.append(new["metadata"]["resourceVersion"])

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        self.gone.append((key_of(obj), obj["metadata"]["uid"]))


class Keeping(RuleBasedStateMachine):
    @initialize(streaming=st.booleans(), interest=st.sets(names))
    def begin(self, *, streaming: bool, interest: set[str]) -> None:
        self.cluster = FakeCluster()
        self.interest = interest
        self.handler = Deletes()
        self.follower = Follower(
            self.cluster,
            tuning=ReflectorOptions(streaming_list=streaming, page_size=2),
            keep=lambda obj: obj["metadata"]["name"] in self.interest,
        )
        self.follower.join(self.handler)
        self.reads: list[tuple[int, dict[str, Any] | None]] = []

    # --- the cluster -----------------------------------------------------------------------

    @rule(name=names)
    def write(self, name: str) -> None:
        if self.cluster.key(name) in self.cluster.objects:
            self.cluster.update(name)
        else:
            self.cluster.create(name)

    @rule(name=names)
    def delete(self, name: str) -> None:
        if self.cluster.key(name) in self.cluster.objects:
            self.cluster.delete(name)

    @rule()
    def compact(self) -> None:
        self.cluster.elsewhere()
        self.cluster.compact()

    # --- the way ---------------------------------------------------------------------------

    @rule(size=sizes)
    def advance(self, size: int) -> None:
        self.follower.advance(size)

    @rule(size=sizes)
    def reset(self, size: int) -> None:
        self.follower.reset(size)

    # --- interest --------------------------------------------------------------------------

    @rule(interest=st.sets(names))
    def change_interest(self, interest: set[str]) -> None:
        self.interest = interest
        self.follower.store.refilter()

    @rule(name=names)
    def begin_live_read(self, name: str) -> None:
        ticket = self.follower.store.ticket()
        self.reads.append((ticket, self.cluster.state().get(self.cluster.key(name))))

    @rule(index=st.integers(0, 100))
    def offer_what_was_read(self, index: int) -> None:
        if not self.reads:
            return
        ticket, obj = self.reads.pop(index % len(self.reads))
        if obj is not None and self.follower.synced:
            held = self.follower.store.offer(obj, ticket=ticket)
            assert held == (key_of(obj) in self.follower.store)

    @rule(name=names)
    def offer_right_away(self, name: str) -> None:
        obj = self.cluster.state().get(self.cluster.key(name))
        if obj is not None and self.follower.synced:
            store = self.follower.store
            held = store.offer(obj, ticket=store.ticket())
            assert held == (name in self.interest)

    @rule()
    def catch_up(self) -> None:
        self.follower.catch_up()
        truth = self.cluster.state()
        for key, obj in self.follower.store.items():
            assert obj == truth.get(key), "a ghost or an old state"

    # --- what must hold --------------------------------------------------------------------

    @invariant()
    def no_strangers(self) -> None:
        assert {key.name for key, _ in self.follower.store.items()} <= self.interest

    @invariant()
    def nobody_is_told_twice_that_an_object_is_gone(self) -> None:
        assert len(self.handler.gone) == len(set(self.handler.gone))

    def teardown(self) -> None:
        if not hasattr(self, "follower"):
            return
        self.catch_up()
        # From now on every write to an object of interest is held, every other one is told.
        for name in ("a", "b"):
            self.write(name)
        self.catch_up()
        held = {key.name for key, _ in self.follower.store.items()}
        assert held == self.interest
        told = {obj["metadata"]["resourceVersion"] for obj in self.cluster.state().values()}
        assert told <= set(self.handler.arrived)


Keeping.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestKeeping = Keeping.TestCase
