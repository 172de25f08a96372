# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The numbers of list and watch, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from informers.backoff import INITIAL_S


@dataclass(frozen=True, slots=True)
class ReflectorOptions:
    """Numbers of the protocol; the defaults are meant for production.

    Attributes:
        watch_timeout_s: bounds of the random server-side time-out, in seconds, so that watches
            do not all end together (A9).
        idle_margin_s: the server closes at its time-out; later than that the socket is dead.
        initial_quiet_s: a streaming list without a new object for so long will not be completed
            by this server, which may not even know streaming lists: fall back to pages.
        broken_initial_limit: so many streaming lists that were accepted and then broke in a row
            mean the same.
        short_watch_s: a watch that ends sooner without an event is a failure (A10).
        silence_limit_s: so much time in watches without a single event or bookmark means that
            the server may not know our version, and a list has to find out (A6).
        internal_error_limit_s: how long a watch is retried that answers with errors of its own
            in the stream, before a list is tried (A12; client-go has the same rule).
        backoff_s: first delay after a failure (A11).
        streaming_list: whether to try streaming lists at all.
        page_size: objects a page (A4).
        list_deadline_s: for one page, answer included.
        open_deadline_s: until the server accepts a watch.
        slice_s: work between two yields to the event loop (A20): a lease must be renewed while
            ten thousand objects arrive.
    """

    watch_timeout_s: tuple[int, int] = (300, 600)
    idle_margin_s: float = 5.0
    initial_quiet_s: float = 10.0
    broken_initial_limit: int = 3
    short_watch_s: float = 1.0
    silence_limit_s: float = 900.0
    internal_error_limit_s: float = 60.0
    backoff_s: float = INITIAL_S
    streaming_list: bool = True
    page_size: int = 500
    list_deadline_s: float = 60.0
    open_deadline_s: float = 30.0
    slice_s: float = 0.010
