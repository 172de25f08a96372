# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Delivery in slices: in order, complete, and never for long (A20, B3, B6)."""

from __future__ import annotations

from time import perf_counter

from informers.dispatch import Dispatcher, Registration
from informers.metrics import NO_METRICS, Gauges
from informers.ports import Object
from informers.store import Added, Deleted


class Slow:
    """A handler that takes two milliseconds for everything."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_add(self, obj: Object, *, initial: bool) -> None:
        self._take(obj)

    def on_update(self, old: Object, new: Object) -> None:
        self._take(new)

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        self._take(obj)

    def _take(self, obj: Object) -> None:
        self.names.append(obj["metadata"]["name"])
        until = perf_counter() + 0.002
        while perf_counter() < until:
            pass


def obj(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}}


def dispatcher() -> Dispatcher:
    zero = Gauges(store_size=int, store_rv_age_s=float, last_event_age_s=float)
    return Dispatcher("test", NO_METRICS.informer("test", zero))


def test_delivery_stops_when_its_slice_is_over_and_goes_on_in_order() -> None:
    dispatch = dispatcher()
    handlers = [Slow(), Slow()]
    for handler in handlers:
        dispatch.add(Registration(handler, resync=False))
    names = [f"n{number}" for number in range(12)]
    dispatch.enqueue([Added(obj(name)) for name in names])

    slices = 0
    while not dispatch.drain(0.005):
        slices += 1
        told = sum(len(handler.names) for handler in handlers)
        assert told <= 4 * slices, "at most one call too many a slice"

    assert slices >= 5
    assert [handler.names for handler in handlers] == [names, names]


def test_end_of_the_initial_part_comes_after_it_and_before_the_rest() -> None:
    dispatch = dispatcher()
    handler = Slow()
    registration = Registration(handler, resync=False)
    dispatch.add(registration)
    dispatch.enqueue([Added(obj("a")), Added(obj("b"))], initial=True)
    dispatch.end_initial()
    dispatch.enqueue([Deleted(obj("c"))])

    while not registration.has_synced():
        assert handler.names != ["a", "b", "c"]
        dispatch.drain(0.0)

    assert handler.names == ["a", "b"]
    assert dispatch.drain(1.0)
    assert handler.names == ["a", "b", "c"]


def test_handler_that_joins_late_repeats_nothing_that_is_under_way() -> None:
    dispatch = dispatcher()
    early, late = Slow(), Slow()
    dispatch.add(Registration(early, resync=False))
    dispatch.enqueue([Added(obj("a")), Added(obj("b"))])
    dispatch.drain(0.0)  # "a" only
    registration = Registration(late, resync=False)
    dispatch.add(registration)
    dispatch.enqueue_initial(registration, [obj("a"), obj("b")])
    dispatch.enqueue([Added(obj("c"))])

    assert dispatch.drain(1.0)
    assert early.names == late.names == ["a", "b", "c"]
