# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``run``: the operator itself."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import TYPE_CHECKING

import structlog
import uvloop

from informers.errors import ApiError
from llamastack_operator.cli.errors import UsageError
from llamastack_operator.election.elector import LeadershipLost
from llamastack_operator.informer_set import NotSynced
from llamastack_operator.kube.config import KubeConfigError
from llamastack_operator.kube.preflight import NotFit
from llamastack_operator.manager import Manager
from llamastack_operator.observability import logging
from llamastack_operator.observability.bind import BindError
from llamastack_operator.observability.watchdog import LoopStalled
from llamastack_operator.settings import Settings, SettingsError, add_arguments, from_args

if TYPE_CHECKING:
    import argparse

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

log = structlog.get_logger(__name__)

DESCRIPTION = """\
Run the operator until SIGTERM or SIGINT; a second signal ends it at once. Exit status 0 after a
clean stop, 1 if it could not start or go on. Each flag can be given as an environment variable.
"""
EPILOG = """\
examples:
  python -m llamastack_operator --kubeconfig ~/.kube/config
  python -m llamastack_operator run --namespace team-a --namespace team-b
  LLAMASTACK_OPERATOR_LOG_FORMAT=json python -m llamastack_operator run --leader-elect

exit status: 0 stopped as asked, 1 it could not start or go on, 2 a flag or variable makes no sense
"""

EXPECTED = (
    KubeConfigError,
    NotFit,
    NotSynced,
    BindError,
    LeadershipLost,
    LoopStalled,
    ApiError,
)
"""Failures that have an explanation and need no traceback."""

GC_THRESHOLDS = (50_000, 20, 1000)
"""Allocations between two collections of the youngest generation, and collections of one generation
between two of the next. With the defaults the collector runs through each large list many times:
half the cost of decoding it, and pauses of 0.1 s."""


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        UsageError: a flag or variable makes no sense.
    """
    try:
        settings = from_args(arguments, os.environ)
    except SettingsError as error:
        raise UsageError(str(error)) from error
    logging.configure(level=settings.log_level, fmt=settings.log_format)
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main(settings))
    except BaseExceptionGroup as group:
        return _explain(group)
    except EXPECTED as error:
        return _explain(BaseExceptionGroup("", [error]))
    return 0


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop, number)
    await Manager(settings).run(stop)


def _on_signal(stop: asyncio.Event, number: signal.Signals) -> None:
    if stop.is_set():
        log.warning("Stopped at once on the second signal", signal=number.name)
        os._exit(128 + number)
    log.info("Received a signal, stopping", signal=number.name)
    stop.set()


def _explain(group: BaseExceptionGroup[BaseException]) -> int:
    """One line for what has an explanation; the trace of everything else."""
    expected, unexpected = group.split(EXPECTED)
    for error in _leaves(expected):
        log.error("Stopped", error=str(error))
    if unexpected is not None:
        log.error("Stopped by a bug", exc_info=unexpected)
    return 1


def _leaves(group: BaseExceptionGroup[BaseException] | None) -> list[BaseException]:
    if group is None:
        return []
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
