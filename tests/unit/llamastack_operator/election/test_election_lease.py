# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Lease object: its times, and what foreign ones may look like."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from informers.errors import ProtocolError
from llamastack_operator.election.core import Record
from llamastack_operator.election.elector import new_identity
from llamastack_operator.election.lease import KubeLeaseStore, record_of, spec_of
from llamastack_operator.times import micro_time


def test_times_have_six_decimals_even_when_they_are_zero() -> None:
    assert micro_time(datetime(2026, 1, 31, 12, tzinfo=UTC)) == "2026-01-31T12:00:00.000000Z"


def test_times_are_utc_whatever_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 42, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    try:
        assert micro_time(moment) == "2026-01-31T06:30:00.000042Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        micro_time(datetime(2026, 1, 31))  # noqa: DTZ001 -- the very thing that is refused


def test_record_survives_the_way_through_the_object() -> None:
    record = Record("me", 15, "2026-01-31T12:00:00.000000Z", "2026-01-31T12:00:02.000000Z", 4)

    assert record_of({"spec": spec_of(record)}) == record


@pytest.mark.parametrize(
    "obj",
    [{}, {"spec": None}, {"spec": {}}, {"spec": {"holderIdentity": None, "renewTime": None}}],
)
def test_lease_without_content_is_one_that_nobody_holds(obj: dict[str, Any]) -> None:
    assert record_of(obj) == Record("", 0, "", "", 0)


@pytest.mark.parametrize("answer", [None, [], {}, {"metadata": {}}, {"metadata": None}, "html"])
async def test_answer_that_is_no_lease_is_a_protocol_error(answer: object) -> None:
    class Server:
        async def request(self, method: str, path: str, **_: Any) -> Any:
            return answer

    with pytest.raises(ProtocolError, match="not a Lease"):
        await KubeLeaseStore(Server(), "ns", "lease").get()


def test_identity_names_the_pod_and_is_new_for_each_process() -> None:
    one, two = new_identity("pod-0"), new_identity("pod-0")

    assert one.startswith("pod-0_")
    assert one != two
    assert len(new_identity().rpartition("_")[0]) > 0
