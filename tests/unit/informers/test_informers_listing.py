# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How the reflector gets the whole state, one rule a test (A1, A2, A3, A4, A5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from informers.errors import (
    BadRequest,
    Invalid,
    NotFound,
    StatusError,
    TransportError,
)
from informers.ports import Page
from informers.reflector_messages import (
    Apply,
    Failed,
    Input,
    ListPage,
    OpenWatch,
    PageArrived,
    Replace,
    Silent,
    Started,
    StreamEnded,
    WaitOver,
    WatchOpened,
)
from tests.support.fakecluster import expired
from tests.support.reflecting import (
    PAGED,
    STREAMED,
    Driven,
    at_once,
    config_map,
    end_of_initial,
    gone_event,
    key,
    opens,
    page,
    synced,
    waits,
    watching,
)

# --- never back in time (A1) ---------------------------------------------------------------


def test_first_list_asks_for_the_present_and_later_ones_for_not_older_than_seen() -> None:
    driven = Driven(PAGED)
    assert driven.give(Started()) == (ListPage(None, 500),)
    replaced, opened = driven.give(page(config_map("a", 90), version=100))
    assert isinstance(replaced, Replace)
    assert (replaced.resource_version, set(replaced.items)) == ("100", {key("a")})
    assert isinstance(opened, OpenWatch)
    assert (opened.resource_version, opened.initial_events) == ("100", False)

    driven.give(WatchOpened())
    driven.line("ADDED", config_map("b", 117))
    at_once(driven.fail(expired()))

    assert driven.give(WaitOver()) == (ListPage("117", 500),)


def test_list_older_than_what_was_seen_is_refused() -> None:
    driven = watching()
    driven.line("ADDED", config_map("b", 117))
    driven.fail(expired())
    driven.give(WaitOver())

    waits(driven.only(page(version=99)))  # nothing for the store
    assert driven.give(WaitOver()) == (ListPage("117", 500),)


def test_streaming_list_older_than_what_was_seen_is_refused() -> None:
    driven = watching(STREAMED)
    driven.line("ADDED", config_map("b", 117))
    driven.fail(expired())
    assert opens(driven.only(WaitOver())).resource_version == "117"
    driven.give(WatchOpened())

    (output,) = driven.line("BOOKMARK", end_of_initial(99))

    waits(output)


# --- streaming lists (A2) ------------------------------------------------------------------


def test_streaming_list_is_taken_over_at_its_bookmark_and_its_connection_goes_on() -> None:
    driven = Driven(STREAMED)
    opened = opens(driven.only(Started()))
    assert (opened.resource_version, opened.initial_events) == (None, True)
    assert driven.give(WatchOpened()) == ()
    for obj in (config_map("a", 221), config_map("b", 213), config_map("c", 150)):
        assert driven.line("ADDED", obj) == ()

    (replaced,) = driven.line("BOOKMARK", end_of_initial(300))

    assert isinstance(replaced, Replace)
    assert replaced.resource_version == driven.reflector.position == "300"
    assert set(replaced.items) == {key("a"), key("b"), key("c")}
    assert driven.line("ADDED", config_map("d", 301)) == (
        Apply(key("d"), config_map("d", 301), "301"),
    )


def test_changes_during_a_streaming_list_belong_to_it() -> None:
    driven = Driven(STREAMED)
    driven.give(Started())
    driven.give(WatchOpened())
    driven.line("ADDED", config_map("a", 5))
    driven.line("ADDED", config_map("b", 3))
    driven.line("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": "6"}})
    driven.line("MODIFIED", config_map("a", 7, data={"x": "new"}))
    driven.line("DELETED", config_map("b", 8))

    (replaced,) = driven.line("BOOKMARK", end_of_initial(8))

    assert isinstance(replaced, Replace)
    assert replaced.items == {key("a"): config_map("a", 7, data={"x": "new"})}


@pytest.mark.parametrize("cut", [StreamEnded(), StreamEnded(7), Failed(TransportError("reset"))])
def test_streaming_list_cut_before_its_bookmark_changes_nothing_and_starts_clean(
    cut: Input,
) -> None:
    driven = Driven(STREAMED)
    driven.give(Started())
    driven.give(WatchOpened())
    driven.line("ADDED", config_map("ghost", 5))

    waits(driven.only(cut))
    assert driven.reflector.position == ""
    retried = driven.only(WaitOver())
    assert isinstance(retried, OpenWatch)
    assert (retried.resource_version, retried.initial_events) == (None, True)
    driven.give(WatchOpened())
    (replaced,) = driven.line("BOOKMARK", end_of_initial(9))
    assert replaced == Replace({}, "9")


def test_streaming_lists_that_keep_breaking_are_given_up() -> None:
    driven = Driven(STREAMED)
    driven.give(Started())
    for _ in range(2):
        driven.give(WatchOpened())
        waits(driven.fail(TransportError("reset")))
        assert isinstance(driven.only(WaitOver()), OpenWatch)
    driven.give(WatchOpened())

    at_once(driven.fail(TransportError("reset")))
    assert driven.give(WaitOver()) == (ListPage(None, 500),)


def test_streaming_list_that_stalls_is_given_up() -> None:
    driven = Driven(STREAMED)
    driven.give(Started())
    driven.give(WatchOpened())
    driven.now += 9
    driven.line("ADDED", config_map("a", 5))
    assert driven.reflector.read_deadline() == driven.now + 10

    at_once(driven.only(Silent()))
    assert driven.give(WaitOver()) == (ListPage(None, 500),)


def test_a_busy_stream_without_new_objects_still_counts_as_stalled() -> None:
    driven = Driven(STREAMED)
    driven.give(Started())
    driven.give(WatchOpened())
    began = driven.now
    for version in range(5, 9):
        driven.now += 2
        driven.line("MODIFIED", config_map("a", version))

    assert driven.reflector.read_deadline() == began + 10


# --- fallback (A3) -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusal", [BadRequest("?", code=400), NotFound("?", code=404), Invalid("?", code=422)]
)
def test_refused_streaming_list_becomes_a_paged_one_for_good(refusal: StatusError) -> None:
    driven = Driven(STREAMED)
    driven.give(Started())

    at_once(driven.fail(refusal))
    assert driven.give(WaitOver()) == (ListPage(None, 500),)
    driven.give(page(version=100))
    driven.give(WatchOpened())
    driven.line("ADDED", config_map("a", 101))
    at_once(driven.fail(expired()))
    assert driven.give(WaitOver()) == (ListPage("101", 500),)


def test_missing_kind_does_not_decide_about_streaming_lists() -> None:
    driven = Driven(STREAMED)
    driven.give(Started())
    driven.fail(NotFound("no CRD", code=404))
    assert driven.give(WaitOver()) == (ListPage(None, 500),)

    waits(driven.fail(NotFound("no CRD", code=404)))
    assert isinstance(driven.only(WaitOver()), OpenWatch)


# --- pages (A4) ----------------------------------------------------------------------------


def test_pages_make_one_list_with_the_version_of_the_first() -> None:
    driven = Driven(replace(PAGED, page_size=2))
    assert driven.give(Started()) == (ListPage(None, 2),)
    assert driven.give(page(config_map("a", 1), config_map("b", 2), version=9, more="t")) == (
        ListPage(None, 2, "t"),
    )

    replaced, opened = driven.give(page(config_map("c", 3), version=12))

    assert isinstance(replaced, Replace)
    assert (replaced.resource_version, set(replaced.items)) == ("9", {key("a"), key("b"), key("c")})
    assert isinstance(opened, OpenWatch)
    assert opened.resource_version == "9"


def test_token_that_expires_between_pages_leads_to_one_full_list_and_no_mix() -> None:
    driven = Driven(replace(PAGED, page_size=2))
    driven.give(Started())
    driven.give(page(config_map("ghost", 1), config_map("b", 2), version=9, more="t"))

    assert driven.give(Failed(expired())) == (ListPage(None, None),)
    replaced, _ = driven.give(page(config_map("b", 2), version=20))
    assert replaced == Replace({key("b"): config_map("b", 2)}, "20")


def test_list_without_a_version_is_an_error_and_changes_nothing() -> None:
    driven = Driven(PAGED)
    driven.give(Started())

    waits(driven.only(PageArrived(Page((), ""))))


def test_malformed_items_are_left_out_of_a_list() -> None:
    driven = Driven(PAGED)
    driven.give(Started())

    replaced, _ = driven.give(page({"spec": {}}, config_map("a", 1), version=5))

    assert isinstance(replaced, Replace)
    assert set(replaced.items) == {key("a")}


# --- 410 (A5) ------------------------------------------------------------------------------


def test_both_shapes_of_410_lead_to_a_list_not_older_than_seen() -> None:
    as_status = synced()
    as_event = watching()

    waits(as_status.fail(expired()))
    waits(as_event.only(gone_event()))
    for driven in (as_status, as_event):
        assert driven.give(WaitOver()) == (ListPage("100", 500),)


def test_410_after_progress_is_answered_at_once_and_otherwise_with_patience() -> None:
    driven = watching()
    driven.line("ADDED", config_map("a", 101))
    at_once(driven.only(gone_event()))
    driven.give(WaitOver())
    driven.give(page(version=200))

    waits(driven.fail(expired()))  # the list did not help: no hot loop


def test_list_whose_bound_is_expired_is_asked_for_the_present() -> None:
    driven = watching()
    driven.only(gone_event())
    driven.give(WaitOver())

    at_once(driven.fail(expired()))
    assert driven.give(WaitOver()) == (ListPage(None, 500),)
    waits(driven.fail(expired()))  # nothing left to give up
