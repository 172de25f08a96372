# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Rules of the store that a single example shows best (B1, B2, B7, B10, B13, ``keep``)."""

from __future__ import annotations

from typing import Any

import pytest

from informers.ports import Object, ObjectKey
from informers.store import Added, Deleted, Store, Updated


def key(name: str) -> ObjectKey:
    return ObjectKey("default", name)


def obj(name: str, version: int, uid: str = "1", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(version), "uid": uid}
    return {"metadata": metadata, **fields}


def store_of(*objects: dict[str, Any], version: int = 100, **options: Any) -> Store:
    store = Store(**options)
    store.replace({key(o["metadata"]["name"]): o for o in objects}, str(version))
    return store


def only_a(obj: Object) -> bool:
    return bool(obj["metadata"]["name"] == "a")


# --- (B1, B2) ------------------------------------------------------------------------------


def test_list_is_reported_as_a_difference_with_deletes_first() -> None:
    a, b, c = obj("a", 1), obj("b", 2), obj("c", 3)
    store = store_of(a, b)
    b2 = obj("b", 120)

    changes = store.replace({key("b"): b2, key("c"): c}, "130")

    assert changes == [Deleted(a, final_state_unknown=True), Updated(b, b2), Added(c)]
    assert dict(store.items()) == {key("b"): b2, key("c"): c}
    assert store.seen_up_to == "130"


def test_unchanged_object_is_no_change_and_its_old_copy_stays() -> None:
    old = obj("a", 1)
    store = store_of(old)

    assert store.replace({key("a"): obj("a", 1)}, "130") == []
    assert store.get(key("a")) is old


def test_recreated_object_is_an_update_with_another_uid() -> None:
    store = store_of(obj("a", 1, uid="1"))
    again = obj("a", 120, uid="2")

    assert store.replace({key("a"): again}, "130") == [Updated(obj("a", 1, uid="1"), again)]


def test_deletion_reports_the_final_state() -> None:
    store = store_of(obj("a", 1))

    assert store.delete(key("a"), obj("a", 105, n=2), "105") == Deleted(obj("a", 105, n=2))
    assert store.get(key("a")) is None


def test_object_that_a_transform_hides_is_deleted_with_its_last_state() -> None:
    store = store_of(obj("a", 1))

    assert store.delete(key("a"), None, "105") == Deleted(obj("a", 1))
    assert store.delete(key("a"), None, "106") is None


def test_deletion_of_an_unknown_object_is_no_change() -> None:
    assert store_of().delete(key("a"), obj("a", 105), "105") is None


def test_lost_history_replaces_even_newer_objects() -> None:
    store = store_of(obj("a", 5000), obj("b", 5001), version=5002)

    changes = store.replace({key("a"): obj("a", 30)}, "40", history_lost=True)

    assert changes == [
        Deleted(obj("b", 5001), final_state_unknown=True),
        Updated(obj("a", 5000), obj("a", 30)),
    ]


# --- (B7, B11, B13) ------------------------------------------------------------------------


def test_unknown_index_is_a_programming_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        store_of().by_index("colour", "red")


def test_failing_index_function_does_not_lose_the_object() -> None:
    failures: list[str] = []
    store = Store(
        indexers={"size": lambda o: [str(10 // o["size"])], "all": lambda o: ["x"]},
        on_error=lambda name, k, error: failures.append(f"{name} {k} {error!r}"),
    )
    store.replace({key("a"): obj("a", 1, size=0), key("b"): obj("b", 2, size=5)}, "100")

    assert store.by_index("all", "x") == [obj("a", 1, size=0), obj("b", 2, size=5)]
    assert store.by_index("size", "2") == [obj("b", 2, size=5)]
    assert failures == ["size default/a ZeroDivisionError('integer division or modulo by zero')"]


def test_values_that_nobody_has_any_more_are_forgotten() -> None:
    store = Store(indexers={"n": lambda o: [str(o["n"])]})
    store.replace({}, "1")
    for version in range(2, 50):
        store.apply(key("a"), obj("a", version, n=version), str(version))

    assert store._indices.snapshot() == {"n": {"49": frozenset({key("a")})}}


def test_reached_follows_lists_events_deletions_and_bookmarks() -> None:
    store = Store()
    assert not store.reached("1")
    store.replace({}, "99")
    assert store.reached("99")
    assert not store.reached("100")
    store.apply(key("a"), obj("a", 100), "100")
    assert store.reached("100")
    store.delete(key("a"), obj("a", 101), "101")
    assert store.reached("101")
    store.see("1000")
    assert store.reached("999")
    store.see("")
    assert store.seen_up_to == "1000"


def test_versions_that_cannot_be_compared_are_reached_only_if_equal() -> None:
    store = Store()
    store.see("v1")

    assert store.reached("v1")
    assert not store.reached("v0")


# --- keep ----------------------------------------------------------------------------------


def test_only_objects_of_interest_are_held_but_all_are_told() -> None:
    store = Store(keep=only_a)
    assert store.replace({key("a"): obj("a", 1), key("b"): obj("b", 2)}, "100") == [
        Added(obj("a", 1)),
        Added(obj("b", 2), listed=True),
    ]
    assert store.apply(key("b"), obj("b", 101), "101") == Added(obj("b", 101))
    assert store.apply(key("b"), obj("b", 102), "102") == Added(obj("b", 102))
    assert store.delete(key("b"), obj("b", 103), "103") == Deleted(obj("b", 103))

    assert store.keys() == [key("a")]
    assert store.seen_up_to == "103"


def test_object_that_loses_interest_by_its_own_change_is_updated_and_dropped() -> None:
    store = Store(keep=lambda o: o.get("wanted", True))
    store.replace({key("a"): obj("a", 1)}, "100")
    unwanted = obj("a", 101, wanted=False)

    assert store.apply(key("a"), unwanted, "101") == Updated(obj("a", 1), unwanted)
    assert len(store) == 0


def test_refilter_drops_what_is_not_of_interest_any_more_and_tells_how_many() -> None:
    interest = {"a", "b", "c"}
    store = Store(
        keep=lambda o: o["metadata"]["name"] in interest, indexers={"all": lambda o: ["x"]}
    )
    store.replace({key(n): obj(n, 1) for n in "abcd"}, "100")
    assert len(store) == 3
    interest.remove("a")

    assert store.refilter() == 1
    assert sorted(store.keys()) == [key("b"), key("c")]
    assert len(store.by_index("all", "x")) == 2


def test_failing_predicate_keeps_its_object() -> None:
    failures: list[str] = []
    store = Store(
        keep=lambda o: bool(1 // o["n"]), on_error=lambda who, k, e: failures.append(f"{who} {k}")
    )
    store.replace({key("a"): obj("a", 1, n=0)}, "100")

    assert key("a") in store
    assert failures == ["keep default/a"]


# --- offers --------------------------------------------------------------------------------


def test_live_object_is_held_until_an_event_says_otherwise() -> None:
    store = Store(keep=only_a, indexers={"all": lambda o: ["x"]})
    store.replace({}, "100")

    assert store.offer(obj("a", 50), ticket=store.ticket())
    assert store.by_index("all", "x") == [obj("a", 50)]
    assert store.apply(key("a"), obj("a", 101), "101") == Updated(obj("a", 50), obj("a", 101))
    assert store.offer(obj("a", 50), ticket=store.ticket()), "the store has a newer one"
    assert store.get(key("a")) == obj("a", 101)


def test_live_object_without_interest_is_not_held() -> None:
    store = Store(keep=only_a)
    store.replace({}, "100")

    assert not store.offer(obj("b", 50), ticket=store.ticket())
    assert len(store) == 0


def test_live_object_that_was_deleted_meanwhile_is_refused() -> None:
    store = Store(keep=only_a)
    store.replace({}, "100")
    ticket = store.ticket()
    store.delete(key("a"), obj("a", 101), "101")

    assert not store.offer(obj("a", 50), ticket=ticket)


def test_live_object_that_changed_while_nobody_was_interested_is_refused() -> None:
    interest: set[str] = set()
    store = Store(keep=lambda o: o["metadata"]["name"] in interest)
    store.replace({}, "100")
    ticket = store.ticket()
    store.apply(key("a"), obj("a", 101), "101")
    interest.add("a")

    assert not store.offer(obj("a", 50), ticket=ticket)


def test_live_object_that_was_held_and_dropped_meanwhile_is_refused() -> None:
    interest = {"a"}
    store = Store(keep=lambda o: o["metadata"]["name"] in interest)
    store.replace({}, "100")
    ticket = store.ticket()
    store.apply(key("a"), obj("a", 101), "101")
    interest.clear()
    store.refilter()
    interest.add("a")

    assert not store.offer(obj("a", 50), ticket=ticket)


def test_deletions_of_others_do_not_matter_to_an_offer() -> None:
    store = Store(keep=only_a)
    store.replace({}, "100")
    ticket = store.ticket()
    store.delete(key("b"), obj("b", 101), "101")

    assert store.offer(obj("a", 50), ticket=ticket)


def test_live_object_from_before_a_list_is_refused() -> None:
    store = Store(keep=only_a)
    store.replace({}, "100")
    ticket = store.ticket()
    store.replace({}, "110")

    assert not store.offer(obj("a", 50), ticket=ticket)


def test_offer_is_refused_rather_than_believed_after_too_many_deletions() -> None:
    store = Store(keep=only_a)
    store.replace({}, "100")
    ticket = store.ticket()
    store.delete(key("a"), obj("a", 101), "101")
    for n in range(2000):
        store.delete(key(f"x{n}"), obj(f"x{n}", 200 + n), str(200 + n))

    assert not store.offer(obj("a", 50), ticket=ticket)
    assert len(store._passed) <= 1024


def test_stream_that_lags_behind_a_live_object_does_not_turn_it_back() -> None:
    store = Store(keep=only_a)
    store.replace({}, "100")
    assert store.offer(obj("a", 120, uid="2"), ticket=store.ticket())

    assert store.apply(key("a"), obj("a", 101, uid="1"), "101") is None
    assert store.delete(key("a"), obj("a", 102, uid="1"), "102") is None
    assert store.replace({}, "110") == []
    assert store.get(key("a")) == obj("a", 120, uid="2")
    assert store.replace({}, "130") == [Deleted(obj("a", 120, uid="2"), final_state_unknown=True)]
