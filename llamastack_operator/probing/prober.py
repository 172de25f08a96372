# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Answers at once from the schedule, asks servers in the background.

The shell around ``schedule``: it has the clock, the dice and the tasks. At most so many servers are
asked at a time, each with a deadline; a server that hangs costs one place for that long, and no
worker of the controller ever waits for any of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from controller.llamastack.server.probe_port import ServerReport
from llamastack_operator.probing.probe_client import NotAllowed
from llamastack_operator.probing.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from controller.llamastack.server.probe_port import Server
    from informers.ports import ObjectKey

log = structlog.get_logger(__name__)

MOST_AT_A_TIME: Final = 16


class ProbesServers(Protocol):
    """Asks one server; ``llamastack_operator.probing.probe_client.ProbeClient``."""

    async def ask(self, server: Server) -> ServerReport:
        """What it says of itself.

        Raises:
            NotAllowed: we may not ask.
        """
        ...


class Prober:
    """Implements ``controller.llamastack.server.probe_port.ServerProber``.

    Args:
        client: opened and closed by ``run``.
        wake: queues a key again.
        clock: monotonic seconds.
        dice: 0 to 1.
        most_at_a_time: servers.
    """

    def __init__(
        self,
        client: AbstractAsyncContextManager[ProbesServers],
        *,
        wake: Callable[[ObjectKey], None],
        clock: Callable[[], float],
        dice: Callable[[], float] = random.random,
        most_at_a_time: int = MOST_AT_A_TIME,
    ) -> None:
        self._client = client
        self._wake = wake
        self._clock = clock
        self._dice = dice
        self._places = most_at_a_time
        self._schedule = Schedule(most_repeats=max(1, most_at_a_time // 2))
        self._changed = asyncio.Event()
        self._off = False
        self._refused: set[str] = set()

    def switch_off(self) -> None:
        """Ask nobody, and say nothing of anybody."""
        self._off = True

    def look(self, server: Server, *, ready: bool, known: bool) -> ServerReport | None:
        """See ``controller.llamastack.server.probe_port.ServerProber.look``."""
        if self._off:
            return None
        self._changed.set()
        return self._schedule.look(server, ready=ready, known=known, now=self._clock())

    def awaited_s(self, uid: str) -> float:
        """See ``controller.llamastack.server.probe_port.ServerProber.awaited_s``."""
        return self._schedule.awaited_s(uid, now=self._clock())

    def forget(self, uid: str) -> None:
        """See ``controller.llamastack.server.probe_port.ServerProber.forget``."""
        self._schedule.forget(uid)

    async def run(self) -> None:
        """Ask servers until cancelled."""
        async with self._client as client, asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                while self._places and (server := self._schedule.take(self._clock())):
                    self._places -= 1
                    group.create_task(self._ask(client, server), name=f"probe {server.key}")
                await self._pause()

    async def _pause(self) -> None:
        """Until there may be somebody to ask."""
        due = self._schedule.next_due() if self._places else None
        wait_s = None if due is None else max(0.0, due - self._clock())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()

    async def _ask(self, client: ProbesServers, server: Server) -> None:
        try:
            report = await client.ask(server)
        except NotAllowed as error:
            if self._schedule.refused(server, now=self._clock()):
                self._wake(server.key)
            self._tell_once(server, error)
        except Exception as error:  # noqa: BLE001 -- a stranger's bytes must not end the process
            log.error(  # noqa: TRY400 -- a traceback may quote what a stranger sent
                "Failed to understand a server", error=type(error).__name__, **_fields(server)
            )
            self._answered(server, ServerReport(problem="could not be understood"))
        else:
            self._answered(server, report)
        finally:
            self._places += 1
            self._changed.set()

    def _answered(self, server: Server, report: ServerReport) -> None:
        if not self._schedule.answered(
            server, _one(report), now=self._clock(), spread=self._dice()
        ):
            return
        self._wake(server.key)
        if self._schedule.report_of(server.uid) == report:
            count = None if report.providers is None else len(report.providers)
            facts = {"version": report.version, "providers": count, "problem": report.problem}
            log.info("Asked a server", **{k: v for k, v in facts.items() if v}, **_fields(server))

    def _tell_once(self, server: Server, error: NotAllowed) -> None:
        namespace = server.key.namespace
        if namespace not in self._refused:
            self._refused.add(namespace)
            log.warning(
                "Was not allowed to ask servers; grant get of services/proxy to see their "
                "version and providers",
                namespace=namespace,
                error=str(error),
            )


@functools.lru_cache(maxsize=256)
def _one(report: ServerReport) -> ServerReport:
    """The same value for all servers that say the same, of which there are many."""
    return report


def _fields(server: Server) -> dict[str, str]:
    return {"namespace": server.key.namespace, "name": server.key.name}
