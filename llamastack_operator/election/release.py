# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Giving the Lease up, so that the next leader need not wait for its end (E8); without I/O.

A crash costs the others the whole lease; a clean stop must not. The released record names no
holder and lasts one second, as client-go's ``release`` writes it. Like every write it is a
compare-and-swap: if a renewal whose answer was lost moved the version on, read and swap again. A
Lease that somebody else holds already is left alone. The caller bounds the whole.
"""

from __future__ import annotations

from dataclasses import replace

from llamastack_operator.election.core import Action, Get, Lease, Record, Stop, Update, Wait

RELEASED_DURATION_S = 1  # the API server wants a number above 0
RETRY_WAIT = Wait(0.1, 0.3)  # after a failed request; the process is about to end, so be quick

RELEASED = Stop("released")
NOT_HELD = Stop("not held")


class Release:
    """One attempt to free the Lease, until it is free or not ours.

    Args:
        identity: ours.
        lease: as last seen.
        maybe_held: whether a write of ours was, or may have been, carried out.
    """

    def __init__(self, identity: str, lease: Lease | None, *, maybe_held: bool) -> None:
        self._identity = identity
        self._lease = lease
        self._maybe_held = maybe_held

    def start(self, stamp: str) -> Action:
        """The first action: swap what we hold, without reading it again."""
        if not self._maybe_held:
            return NOT_HELD
        if self._lease is None or self._lease.record.holder != self._identity:
            return Get()
        return _free(self._lease, stamp)

    def read(self, lease: Lease | None, stamp: str) -> Action:
        """The Lease was read."""
        if lease is None or lease.record.holder != self._identity:
            return NOT_HELD
        return _free(lease, stamp)

    def written(self) -> Action:
        """The swap succeeded."""
        return RELEASED

    def conflicted(self) -> Action:
        """Somebody wrote in between: look who holds it."""
        return Get()

    def failed(self) -> Action:
        """No answer, or a refusal; the Lease is read again after the wait."""
        return RETRY_WAIT


def _free(lease: Lease, stamp: str) -> Update:
    record: Record = replace(
        lease.record, holder="", duration_s=RELEASED_DURATION_S, renew_time=stamp
    )
    return Update(record, lease.resource_version)
