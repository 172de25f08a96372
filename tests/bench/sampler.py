# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Notes where a module spends CPU time: ``python -m tests.bench.sampler FILE MODULE …``.

A timer that counts the process's own CPU time (``ITIMER_PROF``) raises a signal every few
milliseconds, and its handler writes down the stack: waiting costs nothing and is not seen, and
functions do not become slower by being many, as under cProfile (which also loses its place when
coroutines are cancelled inside a loop that is not written in Python). FILE gets folded stacks,
one a line with its count, as flame graph tools read them.

Python runs the handler between two of its own instructions. Time in C is therefore found at the
line that called it; time inside the event loop itself (sockets, TLS), where no Python line is
responsible, is found at the very beginning of the callback that follows and is put down to
``(event loop)``.
"""

from __future__ import annotations

import atexit
import collections
import functools
import runpy
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from hack.root import ROOT

INTERVAL_S = 0.004  # what the kernel's clock resolves
LOOP = "(event loop)"
_DEEPEST = 200
_OURS = "./"
_PROLOGUE = 8  # bytes of code in which no line of the function has run yet


class Sampler:
    """Counts stacks; the innermost frame last, followed by its line."""

    def __init__(self) -> None:
        self.stacks: collections.Counter[str] = collections.Counter()

    def start(self) -> None:
        """Begin; there is no end but the process's."""
        signal.signal(signal.SIGPROF, self._on_signal)
        signal.siginterrupt(signal.SIGPROF, False)  # system calls go on
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        """No more samples."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        leaf = f":{frame.f_lineno}"
        names: list[str] = []
        current: FrameType | None = frame
        while current is not None and len(names) < _DEEPEST:
            names.append(_label(current))
            current = current.f_back
        if _is_entry(frame):
            names[0], leaf = LOOP, ""
        stack = ";".join(reversed(names))
        self.stacks[f"{stack};{leaf}" if leaf else stack] += 1

    def write(self, path: Path) -> None:
        """All stacks with their counts."""
        lines = (f"{stack} {count}\n" for stack, count in self.stacks.most_common())
        path.write_text("".join(lines), encoding="utf-8")


def _label(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname} ({_place(code.co_filename)})"


@functools.cache
def _place(file: str) -> str:
    """Our own files from the root of the repository, others by their last two parts."""
    path = Path(file)
    if path.is_relative_to(ROOT) and not path.is_relative_to(sys.prefix):
        return f"{_OURS}{path.relative_to(ROOT)}"
    return "/".join(path.parts[-2:])


def _is_entry(frame: FrameType) -> bool:
    """Whether the event loop has just called this function."""
    caller = frame.f_back
    return (
        frame.f_lasti <= _PROLOGUE
        and caller is not None
        and caller.f_code.co_filename.endswith("asyncio/runners.py")
    )


def top(lines: Iterable[str], count: int) -> str:
    """Where the time went: by itself, and of our own code with all that it called.

    Args:
        lines: folded stacks.
        count: functions to show of each kind.
    """
    own: collections.Counter[str] = collections.Counter()
    within: collections.Counter[str] = collections.Counter()
    places: collections.defaultdict[str, collections.Counter[str]]
    places = collections.defaultdict(collections.Counter)
    for line in lines:
        stack, _, number = line.rstrip("\n").rpartition(" ")
        found = int(number)
        frames = stack.split(";")
        place = frames.pop() if frames[-1].startswith(":") else ""
        own[frames[-1]] += found
        places[frames[-1]][place] += found
        within.update(dict.fromkeys(frames, found))
    total = sum(own.values())
    if not total:
        return "no samples"
    shown = [f"{total * INTERVAL_S:.2f} s of CPU time", "    own  within  function, its line"]
    for name, samples in own.most_common(count):
        line_number = places[name].most_common(1)[0][0]
        shown.append(f"{samples / total:7.1%} {within[name] / total:7.1%}  {name}{line_number}")
    shown.append("our own functions, with what they called")
    ours = collections.Counter({name: n for name, n in within.items() if f"({_OURS}" in name})
    for name, samples in ours.most_common(count):
        shown.append(f"{own[name] / total:7.1%} {samples / total:7.1%}  {name}")
    return "\n".join(shown)


def main() -> None:
    """Run the module that the command line names as if it were the program."""
    path, module = Path(sys.argv[1]), sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    sampler = Sampler()

    def finish() -> None:
        sampler.stop()
        sampler.write(path)

    atexit.register(finish)
    sampler.start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
