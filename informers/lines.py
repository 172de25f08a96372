# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Byte chunks of a watch become lines.

A watch is one JSON document a line, cut by the network wherever it likes. The splitter is
sans-I/O and linear: what is left of a chunk after its last newline is searched once and then
only added to, so a line that arrives in many small chunks does not cost O(n²). HTTP libraries
limit lines themselves, at 512 KiB to 4 MiB, while a Secret may reach etcd's 1.5 MiB and more in
base64; hence an own splitter with an explicit maximum (A16).

A stream that ends in mid-line has lost its last event (A15): the rest is reported and never
handed out as a line, even if it happens to be valid JSON.
"""

from __future__ import annotations

import re

from informers.errors import LineTooLong

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Five times etcd's default request limit; a longer line is not a Kubernetes object."""

_HINT_WINDOW = 64 * 1024
"""Bytes of an over-long line that are searched for its key; bounds the cost."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')
_METADATA_DEPTH = 3  # {"type": …, "object": {"metadata": {HERE}}}


class LineSplitter:
    """Cuts a byte stream at newlines.

    Args:
        max_line_bytes: longest line that is accepted, without its newline.
    """

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without newlines; empty lines are left out.

        Raises:
            LineTooLong: a line exceeds the maximum; the message names the object if it can.
                Nothing of the chunk is handed out: the caller has to list anyway.
        """
        pieces = chunk.split(b"\n")
        self._rest += pieces[0]
        if len(pieces) == 1:
            self._check(self._rest)
            return []
        lines = [bytes(self._rest), *pieces[1:-1]]
        self._rest = bytearray(pieces[-1])
        for line in lines:
            self._check(line)
        self._check(self._rest)
        return [line for line in lines if line]

    def eof(self) -> int:
        """The stream is over. How many bytes of an unfinished line were dropped."""
        dropped = len(self._rest)
        self._rest.clear()
        return dropped

    def _check(self, line: bytes | bytearray) -> None:
        if len(line) <= self._max:
            return
        key = key_hint(bytes(line[:_HINT_WINDOW]))
        of = f" of {key}" if key else ""
        raise LineTooLong(f"a watch event{of} is longer than {self._max} bytes")


def key_hint(prefix: bytes) -> str:
    """The namespace and name of the object that a watch event begins with, as far as visible.

    Args:
        prefix: the first bytes of a line, usually not valid JSON because it is cut.

    Returns:
        ``namespace/name``, ``name``, or an empty string.
    """
    path: list[bytes] = []
    found: dict[bytes, str] = {}
    last_string = key = b""
    for match in _TOKEN.finditer(prefix):
        token = match.group()
        if token in {b"{", b"["}:
            path.append(key)
            key = b""
        elif token in {b"}", b"]"}:
            if _in_metadata(path):
                break
            if path:
                path.pop()
            key = b""
        elif token == b":":
            key = last_string
        elif token == b",":
            key = b""
        else:
            last_string = token[1:-1]
            if key in {b"name", b"namespace"} and _in_metadata(path):
                found[key] = last_string.decode("utf-8", "replace")
    name = found.get(b"name", "")
    namespace = found.get(b"namespace", "")
    return f"{namespace}/{name}" if name and namespace else name


def _in_metadata(path: list[bytes]) -> bool:
    return len(path) == _METADATA_DEPTH and path[1:] == [b"object", b"metadata"]
