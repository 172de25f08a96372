# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Wall-clock times as the Kubernetes API spells them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, with its time zone. The default of everything that takes a wall clock."""
    return datetime.now(UTC)


def micro_time(moment: datetime) -> str:
    """A moment as Go's ``metav1.MicroTime``: UTC, ``Z``, six decimals always (E11).

    Raises:
        ValueError: the moment has no time zone, so what it means depends on the machine.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
