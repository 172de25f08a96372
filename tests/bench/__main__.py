# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Measure the operator beside a bare client: ``python -m tests.bench``, which is ``make bench``.

The table goes to standard output, progress to standard error. Exit status: 0 when everything was
measured (with ``--strict``: and every bar was met), 1 otherwise, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hack.cluster.errors import ClusterError
from llamastack_operator.kube.config import KubeConfigError
from llamastack_operator.observability import logging
from tests.bench.baseline_client import RequestFailed
from tests.bench.memory import measure_growth
from tests.bench.report import Bar, table
from tests.bench.run import Options, measure
from tests.bench.sampler import top
from tests.bench.slow_servers import measure_crowd
from tests.bench.workload import EVERYTHING, SIMPLE

DESCRIPTION = """\
Start a control plane with simulated nodes and measure on it, one after the other: how long a
bare client takes for the writes that N resources need; the operator's cold start on N resources,
its requests (by the API server's audit log) and its memory; an idle period; new resources
while N exist; a restart with everything in place; and the bare client again.
"""
TOP = 25


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    logging.configure(level="warning")
    options = Options(
        n=given.n,
        workers=given.workers,
        idle=given.idle,
        new=given.new,
        profile=given.profile.absolute() if given.profile else None,
        keep=given.keep,
        subject=EVERYTHING if given.everything else SIMPLE,
    )
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        if given.crowd:
            print(measure_crowd(given.n, given.new, say).table())
            return 0
        if given.memory:
            growth = measure_growth(options, say)
            print(growth.table())
            return _status(growth.bars(), strict=given.strict)
        report = measure(options, say)
    except (ClusterError, KubeConfigError, RequestFailed, TimeoutError) as error:
        print(f"error: {str(error) or 'a stage did not end in time'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(table(report))
    if given.json:
        text = json.dumps(report.as_json(), indent=2, default=os.fspath)
        given.json.write_text(text + "\n", encoding="utf-8")
    if options.profile:
        print(f"\nwhere the operator spent its time ({options.profile}: folded stacks)")
        with options.profile.open(encoding="utf-8") as stacks:
            print(top(stacks, TOP))
    return _status(report.bars(), strict=given.strict)


def _status(bars: Sequence[Bar], *, strict: bool) -> int:
    return 1 if strict and not all(bar.ok for bar in bars) else 0


def _parser() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("-n", type=_positive, default=default.n, metavar="N", help="resources (%(default)s)")
    add("--workers", type=_positive, default=default.workers, help="at a time (%(default)s)")
    add("--idle", type=float, default=default.idle, metavar="S", help="seconds (%(default)s)")
    add("--new", type=_positive, default=default.new, metavar="N", help="added (%(default)s)")
    add("--everything", action="store_true", help="resources with a child of every kind")
    add(
        "--crowd",
        action="store_true",
        help="measure how long new resources wait while the servers of N others answer slowly, "
        "wrongly or never; nothing else",
    )
    add(
        "--memory",
        action="store_true",
        help="measure the memory for N resources without pods, and after a restart; nothing else",
    )
    add("--json", type=Path, metavar="FILE", help="write all numbers there, too")
    add("--strict", action="store_true", help="exit with 1 if a bar is missed")
    add("--keep", action="store_true", help="leave the control plane for a look, until Ctrl-C")
    add(
        "--profile",
        type=Path,
        metavar="FILE",
        help="profile the cold start into FILE and print what takes most time; nothing else",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
