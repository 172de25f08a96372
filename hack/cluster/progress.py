# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is going on, for somebody who waits minutes for it.

A step begins with a line on stderr that says what is being obtained and from where, and how long
that usually takes; while it lasts, a terminal sees the elapsed seconds tick in the line below, and
a log file gets a line every 15 s.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

_TERMINAL_EVERY_S = 1.0
_LOG_EVERY_S = 15.0
_CLEAR = "\r\x1b[2K"


class Progress:
    """Writes to a stream; a terminal's last line is rewritten, anything else is appended to.

    Args:
        stream: defaults to the standard error of the moment.
        every: seconds between two lines of one step; by default 1 on a terminal, otherwise 15.
        subject: what all this is about; each line begins with it.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        every: float | None = None,
        subject: str = "control plane",
    ) -> None:
        self._prefix = f"{subject}: "
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._every = every or (_TERMINAL_EVERY_S if self._terminal else _LOG_EVERY_S)

    def say(self, text: str) -> None:
        """One line."""
        self._write(f"{self._prefix}{text}\n")

    @contextlib.contextmanager
    def step(self, what: str, note: str = "", detail: Callable[[], str] = str) -> Iterator[None]:
        """Show ``what`` with the elapsed time until the block ends, and then how long it took.

        Args:
            what: what is being done; short, because it is repeated.
            note: what to add the first time.
            detail: what to add each time, such as how much is done; empty for nothing.
        """
        started = time.monotonic()
        ended = threading.Event()

        def line() -> str:
            more = detail()
            seconds = f"{time.monotonic() - started:.0f} s"
            return f"{self._prefix}{what} … {seconds}{', ' if more else ''}{more}"

        def tick() -> None:
            while not ended.wait(self._every):
                if self._terminal:
                    # A line that wraps cannot be rewritten.
                    columns = shutil.get_terminal_size().columns
                    self._write(f"{_CLEAR}{line()[: columns - 1]}")
                else:
                    self._write(f"{line()}\n")

        self.say(f"{what}{', ' if note else ''}{note}")
        ticker = threading.Thread(target=tick, name="control plane progress", daemon=True)
        ticker.start()
        clear = _CLEAR if self._terminal else ""
        try:
            yield
        except BaseException:
            self._end(ended, ticker, clear)
            raise
        self._end(ended, ticker, f"{clear}{line()}, done\n")

    def _end(self, ended: threading.Event, ticker: threading.Thread, last: str) -> None:
        ended.set()
        ticker.join()
        self._write(last)

    def _write(self, text: str) -> None:
        # Progress is never worth failing for: the reader may have closed the pipe.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
