# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Shows steps with the seconds that have passed: plain lines, and on a terminal a little more.

A terminal gets colours (unless ``NO_COLOR`` is set) and, below the steps, one line that ticks, so
that waiting does not look like hanging. Anything else gets the same lines without them.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import TextIO

from hack.quickstart.road import Mood, Step

_COLOURS = {Mood.GOOD: "32", Mood.WAITING: "33", Mood.BAD: "31", Mood.PLAIN: ""}
_CLEAR = "\r\x1b[2K"
_WIDTH_OF_KIND = 18
_WIDTH_OF_VALUE = 12


class Screen:
    """Writes to a stream.

    Args:
        stream: where to.
        clock: monotonic seconds.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._zero = clock()
        self.live = stream.isatty()
        self._colours = self.live and not os.environ.get("NO_COLOR")
        self._ticking = False

    def start_clock(self) -> None:
        """Seconds count from now."""
        self._zero = self._clock()

    def elapsed_s(self) -> float:
        """Seconds so far."""
        return self._clock() - self._zero

    def say(self, text: str = "") -> None:
        """A line, or several."""
        self._write(f"{self._wiped()}{text}\n")

    def title(self, text: str) -> None:
        """A line that begins a part."""
        self.say(f"\n{self._in('1', text)}")

    def show(self, step: Step) -> None:
        """A step, with the time."""
        value = self._in(_COLOURS[step.mood], f"{step.value:{_WIDTH_OF_VALUE}}")
        line = f"{self.elapsed_s():7.1f} s  {step.what:{_WIDTH_OF_KIND}} {value} {step.detail}"
        self.say(line.rstrip())

    def tick(self, text: str) -> None:
        """The line that ticks; nothing where it cannot be rewritten."""
        if self.live:
            self._write(f"{_CLEAR}{self.elapsed_s():7.1f} s  {text}")
            self._ticking = True

    def _wiped(self) -> str:
        ticking, self._ticking = self._ticking, False
        return _CLEAR if ticking else ""

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour else text

    def _write(self, text: str) -> None:
        # Showing is never worth failing for: the reader may have closed the pipe.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
