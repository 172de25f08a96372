# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is going on, for somebody who waits minutes for it.

A step is one line on stderr that says what is being obtained and from where; while it lasts, a
terminal sees the elapsed seconds tick in that line, and a log file gets a line every 15 s.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

_PREFIX = "control plane: "
_TERMINAL_EVERY_S = 1.0
_LOG_EVERY_S = 15.0
_CLEAR = "\r\x1b[2K"


class Progress:
    """Writes to a stream; a terminal's last line is rewritten, anything else is appended to.

    Args:
        stream: defaults to the standard error of the moment.
        every: seconds between two lines of one step; by default 1 on a terminal, otherwise 15.
    """

    def __init__(self, stream: TextIO | None = None, *, every: float | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._every = every or (_TERMINAL_EVERY_S if self._terminal else _LOG_EVERY_S)

    def say(self, text: str) -> None:
        """One line."""
        self._write(f"{_PREFIX}{text}\n")

    @contextlib.contextmanager
    def step(self, text: str, detail: Callable[[], str] = str) -> Iterator[None]:
        """Show ``text`` with the elapsed time until the block ends, and then how long it took.

        Args:
            text: what is being done.
            detail: what to add each time, such as how much is done; empty for nothing.
        """
        started = time.monotonic()
        ended = threading.Event()

        def line() -> str:
            more = detail()
            seconds = f"{time.monotonic() - started:.0f} s"
            return f"{_PREFIX}{text} … {seconds}{', ' if more else ''}{more}"

        def tick() -> None:
            while not ended.wait(self._every):
                self._write(f"{_CLEAR}{line()}" if self._terminal else f"{line()}\n")

        if self._terminal:
            self._write(f"{_PREFIX}{text} …")
        else:
            self.say(text)
        ticker = threading.Thread(target=tick, name="control plane progress", daemon=True)
        ticker.start()
        try:
            yield
        except BaseException:
            self._end(ended, ticker, "\n" if self._terminal else "")
            raise
        self._end(ended, ticker, f"{_CLEAR if self._terminal else ''}{line()}, done\n")

    def _end(self, ended: threading.Event, ticker: threading.Thread, last: str) -> None:
        ended.set()
        ticker.join()
        self._write(last)

    def _write(self, text: str) -> None:
        # Progress is never worth failing for: the reader may have closed the pipe.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
