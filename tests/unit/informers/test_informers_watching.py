# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How the reflector follows changes, one rule a test.

Versions and bookmarks (A6, A7, A8), ends and failures (A9, A10, A12, A13), bytes (A15, A16, A17).
"""

from __future__ import annotations

from typing import Any

import pytest

from informers.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    Gone,
    LineTooLong,
    NotFound,
    ProtocolError,
    ServerError,
    StatusError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from informers.lines import LineSplitter
from informers.ports import Page
from informers.reflector_messages import (
    Apply,
    Delete,
    Failed,
    Input,
    Line,
    ListPage,
    OpenWatch,
    Output,
    PageArrived,
    Replace,
    SeenUpTo,
    Silent,
    Started,
    StreamEnded,
    Wait,
    WaitOver,
    WatchOpened,
)
from tests.support.fakecluster import line, too_large
from tests.support.reflecting import (
    PAGED,
    STREAMED,
    Driven,
    at_once,
    config_map,
    gone_event,
    key,
    opens,
    page,
    synced,
    waits,
    watching,
)

# --- versions from the future (A6) ---------------------------------------------------------


def test_too_large_version_leads_to_the_present_even_if_it_is_older() -> None:
    driven = watching(version=5000)
    driven.only(gone_event())
    driven.give(WaitOver())

    at_once(driven.fail(too_large(5000, 40)))
    assert driven.give(WaitOver()) == (ListPage(None, 500),)
    replaced, opened = driven.give(page(config_map("a", 30), version=40))
    assert replaced == Replace({key("a"): config_map("a", 30)}, "40", history_lost=True)
    assert isinstance(opened, OpenWatch)
    assert opened.resource_version == "40"


def test_silent_watches_lead_to_a_list_in_the_end() -> None:
    driven = synced()
    silent = 0
    while True:
        driven.give(WatchOpened())
        driven.now = driven.reflector.read_deadline()
        output = driven.only(Silent())
        silent += 1
        if isinstance(output, ListPage):
            break
        assert isinstance(output, OpenWatch)
        assert output.resource_version == "100"

    assert output == ListPage("100", 500)
    assert silent in {2, 3}


@pytest.mark.parametrize("end", [StreamEnded(), Failed(TransportError("reset"))])
def test_silence_counts_however_the_watch_ends(end: Input) -> None:
    driven = synced()
    actions: list[Output] = []
    for _ in range(3):
        driven.give(WatchOpened())
        driven.now += 400.0
        action = driven.only(end)
        actions.append(driven.only(WaitOver()) if isinstance(action, Wait) else action)

    assert [type(action) for action in actions] == [OpenWatch, OpenWatch, ListPage]


def test_a_single_bookmark_breaks_the_silence() -> None:
    driven = synced()
    for _ in range(20):
        driven.give(WatchOpened())
        driven.now += 299.0
        driven.line("BOOKMARK", {"metadata": {"resourceVersion": "100"}})
        assert isinstance(driven.only(StreamEnded()), OpenWatch)


# --- bookkeeping (A7, A8) ------------------------------------------------------------------


def test_bookmarks_move_only_the_position() -> None:
    driven = watching()

    outputs = driven.line("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": "150"}})

    assert outputs == (SeenUpTo("150"),)
    assert opens(driven.only(StreamEnded())).resource_version == "150"


def test_repeated_events_are_dropped() -> None:
    driven = watching()
    assert driven.line("ADDED", config_map("a", 101))
    assert driven.line("DELETED", config_map("a", 102))

    assert driven.line("ADDED", config_map("a", 101)) == ()
    assert driven.line("DELETED", config_map("a", 102)) == ()
    assert driven.reflector.position == "102"


def test_versions_that_cannot_be_compared_are_passed_on_as_they_are() -> None:
    driven = Driven(PAGED)
    driven.give(Started())
    driven.give(PageArrived(Page((), "v-7f")))
    driven.give(WatchOpened())
    obj = config_map("a", 1)
    obj["metadata"]["resourceVersion"] = "v-0a"

    assert driven.line("ADDED", obj) == (Apply(key("a"), obj, "v-0a"),)
    assert opens(driven.only(StreamEnded())).resource_version == "v-0a"


def test_deletion_carries_the_final_state() -> None:
    driven = watching()
    driven.line("ADDED", config_map("a", 101))

    assert driven.line("DELETED", config_map("a", 105, data={"k": "last"})) == (
        Delete(key("a"), config_map("a", 105, data={"k": "last"}), "105"),
    )


def test_skipped_objects_still_move_the_position() -> None:
    driven = watching()
    nameless = {"kind": "ConfigMap", "metadata": {"resourceVersion": "103"}}

    assert driven.line("ADDED", nameless) == (SeenUpTo("103"),)
    assert driven.give(Line(b"<html>")) == ()
    assert driven.line("RENAMED", config_map("a", 104)) == ()
    assert driven.line("ADDED", config_map("b", 105)) == (
        Apply(key("b"), config_map("b", 105), "105"),
    )


# --- the end of a watch (A9, A10) ----------------------------------------------------------


def test_watches_get_random_time_outs_and_a_deadline_just_after() -> None:
    driven = synced()
    asked = []
    for _ in range(100):
        driven.give(WatchOpened())
        driven.now += 2
        driven.line("BOOKMARK", {"metadata": {"resourceVersion": "100"}})
        asked.append(opens(driven.only(StreamEnded())).timeout_seconds)
    driven.give(WatchOpened())

    assert min(asked) >= 300
    assert max(asked) <= 600
    assert len(set(asked)) > 50
    assert driven.reflector.read_deadline() == driven.now + asked[-1] + 5


def test_orderly_end_resumes_without_a_list() -> None:
    driven = watching()
    driven.now += 400
    driven.line("ADDED", config_map("a", 130))

    opened = opens(driven.only(StreamEnded()))
    assert opened.resource_version == "130"


def test_watch_that_ends_at_once_waits_longer_each_time() -> None:
    driven = synced()
    delays = []
    for _ in range(6):
        driven.give(WatchOpened())
        driven.now += 0.01
        delays.append(waits(driven.only(StreamEnded())).seconds)
        driven.now += delays[-1]
        assert isinstance(driven.only(WaitOver()), OpenWatch)

    assert [2**i * 0.8 <= delay < 2**i * 1.6 for i, delay in enumerate(delays[:5])] == [True] * 5


def test_bookmark_does_not_excuse_a_watch_that_ends_at_once() -> None:
    driven = watching()
    driven.line("BOOKMARK", {"metadata": {"resourceVersion": "100"}})

    waits(driven.only(StreamEnded()))


def test_short_watch_with_an_event_goes_on_at_once() -> None:
    driven = watching()
    driven.line("ADDED", config_map("a", 101))

    assert isinstance(driven.only(StreamEnded()), OpenWatch)


# --- failures (A12, A13) -------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        TransportError("connection refused"),
        ProtocolError("HTML"),
        TooManyRequests("slow down", code=429),
        ServerError("etcd is away", code=503),
        Forbidden("no", code=403),
    ],
)
def test_watch_that_cannot_be_opened_is_tried_again_at_the_same_version(error: ApiError) -> None:
    driven = synced()
    for _ in range(30):
        driven.now += waits(driven.fail(error)).seconds
        opened = opens(driven.only(WaitOver()))
        assert (opened.resource_version, opened.initial_events) == ("100", False)


def test_stream_that_breaks_after_progress_is_reopened_at_once() -> None:
    driven = watching()
    driven.line("ADDED", config_map("a", 101))

    opened = opens(driven.fail(TransportError("reset")))
    assert opened.resource_version == "101"


def test_stream_that_breaks_without_progress_waits() -> None:
    waits(watching().fail(TransportError("reset")))


@pytest.mark.parametrize("state", [synced, watching])
def test_retry_after_is_honoured(state: Any) -> None:
    slow = TooManyRequests("slow down", code=429, retry_after=7.0)

    assert waits(state().fail(slow)).seconds == 7.0


def test_retry_after_in_an_error_event_is_honoured() -> None:
    status = {"kind": "Status", "code": 429, "details": {"retryAfterSeconds": 7}}
    (output,) = watching().line("ERROR", status)

    assert waits(output).seconds == 7.0


def test_internal_errors_in_the_stream_are_endured_for_a_minute_and_then_listed() -> None:
    driven = synced()
    status = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "oops"}
    began = driven.now
    while True:
        driven.give(WatchOpened())
        (output,) = driven.line("ERROR", status)
        tried_at = driven.now
        driven.now += waits(output).seconds
        action = driven.only(WaitOver())
        if isinstance(action, ListPage):
            break
        assert isinstance(action, OpenWatch)
        assert tried_at - began < 60

    assert tried_at - began >= 60


def test_an_event_ends_the_minute_of_internal_errors() -> None:
    driven = synced()
    status = {"kind": "Status", "code": 500, "reason": "InternalError"}
    for version in range(101, 111):
        driven.give(WatchOpened())
        driven.line("ADDED", config_map("a", version))
        (output,) = driven.line("ERROR", status)
        waits(output)
        driven.now += 50
        assert isinstance(driven.only(WaitOver()), OpenWatch)


@pytest.mark.parametrize("error", [BadRequest("?", code=400), NotFound("?", code=404)])
def test_watch_that_makes_no_sense_to_the_server_leads_to_a_list(error: StatusError) -> None:
    driven = synced()

    waits(driven.fail(error))
    assert driven.give(WaitOver()) == (ListPage("100", 500),)


def test_unauthorized_is_tried_again_once_at_once() -> None:
    driven = synced()
    denied = Unauthorized("token expired", code=401)

    at_once(driven.fail(denied))
    assert isinstance(driven.only(WaitOver()), OpenWatch)
    waits(driven.fail(denied))
    driven.give(WaitOver())
    driven.give(WatchOpened())
    driven.line("ADDED", config_map("a", 101))
    at_once(driven.fail(denied))  # it worked in between


def test_failed_first_list_is_tried_again_for_ever() -> None:
    driven = Driven(PAGED)
    driven.give(Started())
    for _ in range(50):
        wait = waits(driven.fail(Forbidden("configmaps is forbidden", code=403)))
        assert wait.reason == "Forbidden: configmaps is forbidden"
        driven.now += wait.seconds
        assert driven.give(WaitOver()) == (ListPage(None, 500),)


# --- bytes (A15, A16) ----------------------------------------------------------------------


def test_cut_at_every_byte_of_a_stream_loses_and_repeats_nothing() -> None:
    events = [("ADDED", config_map("a", 101)), ("MODIFIED", config_map("a", 102, data={"é": "ü"}))]
    lines = [line(*each) for each in events]
    stream = b"".join(lines)
    expected = [Apply(key("a"), obj, obj["metadata"]["resourceVersion"]) for _, obj in events]

    for cut in range(len(stream) + 1):
        driven = watching()
        first, opened = _deltas_until_the_end(driven, stream[:cut])
        version = int(opened.resource_version or 0)
        driven.give(WatchOpened())
        rest = b"".join(lines[version - 100 :])
        second, _ = _deltas_until_the_end(driven, rest)

        assert first + second == expected, cut


def _deltas_until_the_end(driven: Driven, data: bytes) -> tuple[list[Output], OpenWatch]:
    splitter = LineSplitter()
    deltas: list[Output] = []
    for each in splitter.feed(data):
        deltas += driven.give(Line(each))
    (action,) = driven.give(StreamEnded(splitter.eof()))
    if isinstance(action, Wait):
        (action,) = driven.give(WaitOver())
    assert isinstance(action, OpenWatch)
    return deltas, action


def test_too_long_line_leads_to_a_paged_list() -> None:
    driven = watching(STREAMED)

    wait = waits(driven.fail(LineTooLong("a watch event of prod/big is longer than 8 bytes")))

    assert "prod/big" in wait.reason
    assert driven.give(WaitOver()) == (ListPage("100", 500),)


def test_too_long_line_in_a_streaming_list_leads_to_a_paged_one() -> None:
    driven = Driven(STREAMED)
    driven.give(Started())
    driven.give(WatchOpened())

    at_once(driven.fail(LineTooLong("?")))
    assert driven.give(WaitOver()) == (ListPage(None, 500),)


# --- misuse and restart --------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        WaitOver(),
        Silent(),
        StreamEnded(),
        Line(b"{}"),
        WatchOpened(),
        page(version=1),
        Failed(Gone("?", code=410)),
    ],
)
def test_message_that_answers_nothing_is_a_programming_error(message: Input) -> None:
    driven = Driven(PAGED)

    with pytest.raises(RuntimeError, match="does not fit the state Idle"):
        driven.give(message)
    with pytest.raises(RuntimeError, match="a read does not fit"):
        driven.reflector.read_deadline()


def test_second_start_goes_on_from_the_position() -> None:
    driven = watching()
    driven.line("ADDED", config_map("a", 123))

    opened = opens(driven.only(Started()))
    assert opened.resource_version == "123"
