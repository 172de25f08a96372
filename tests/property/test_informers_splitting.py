# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""However the network cuts a stream, the lines are the same (A15, A16)."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from informers.lines import LineSplitter


@given(data=st.binary(max_size=200).map(lambda b: b.replace(b"x", b"\n")), cuts=st.data())
def test_lines_do_not_depend_on_the_cuts(data: bytes, cuts: st.DataObject) -> None:
    splitter = LineSplitter()
    got: list[bytes] = []
    at = 0
    while at < len(data):
        size = cuts.draw(st.integers(1, len(data) - at))
        got += splitter.feed(data[at : at + size])
        at += size
    *lines, rest = data.split(b"\n")

    assert got == [each for each in lines if each]
    assert splitter.eof() == len(rest)


def test_many_small_chunks_of_one_line_cost_linear_time() -> None:
    def seconds(size: int) -> float:
        splitter = LineSplitter()
        chunk = b"z" * 16
        began = time.process_time()
        for _ in range(size // len(chunk)):
            splitter.feed(chunk)
        return time.process_time() - began

    small, large = (min(seconds(size) for _ in range(3)) for size in (100_000, 1_600_000))

    assert large < 16 * small * 4  # quadratic would be 256 times as much
