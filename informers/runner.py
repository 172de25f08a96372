# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Drives the reflector: awaits, deadlines, and nothing that needs a decision.

Each await on the network is bounded by itself. A deadline is never put around a ``yield`` or a
whole stream (PEP 789): it surrounds the single ``read()``. Failures of the transport, expected
or not, become inputs of the reflector; only a bug of the machinery ends the task.

Decoding is CPU work on the event loop that also renews the lease, so the runner yields at least
every slice of it (A20). The slice is measured in real time, whatever clock rules the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from time import perf_counter

import structlog

from informers.errors import ApiError, DeadlineExceeded, ProtocolError, TransportError
from informers.lines import LineSplitter
from informers.options import ReflectorOptions
from informers.ports import ByteStream, ListerWatcher
from informers.reflector import Reflector
from informers.reflector_messages import (
    Action,
    Delta,
    Failed,
    Input,
    Line,
    ListPage,
    OpenWatch,
    PageArrived,
    Silent,
    Started,
    StreamEnded,
    Wait,
    WaitOver,
    WatchOpened,
)

log = structlog.get_logger(__name__)

_CLOSE_DEADLINE_S = 5.0
"""For giving a connection back; it is of no further use to us."""

_NOTHING = ("", False)


class Runner:
    """Keeps one reflector going.

    Args:
        source: what to list and watch.
        reflector: decides.
        accept: takes a delta and returns when its consequences have been delivered.
        name: of the informer, for logs.
        clock: monotonic seconds.
        tuning: deadlines and the slice.
    """

    def __init__(
        self,
        source: ListerWatcher,
        reflector: Reflector,
        accept: Callable[[Delta], Awaitable[None]],
        *,
        name: str,
        clock: Callable[[], float],
        tuning: ReflectorOptions,
    ) -> None:
        self._source = source
        self._reflector = reflector
        self._accept = accept
        self._name = name
        self._clock = clock
        self._tuning = tuning
        self._slice_began = 0.0
        self._told = _NOTHING  # what was logged last

    async def run(self) -> None:
        """Until cancelled."""
        action = await self._step(Started())
        while True:
            match action:
                case ListPage():
                    action = await self._step(await self._list(action))
                case OpenWatch():
                    action = await self._watch(action)
                case Wait():
                    self._log_wait(action)
                    await asyncio.sleep(action.seconds)
                    action = await self._step(WaitOver())
                case None:
                    raise RuntimeError("the reflector asked for nothing without an open stream")

    async def _step(self, message: Input) -> Action | None:
        action: Action | None = None
        for output in self._reflector.step(message, self._clock()):
            if isinstance(output, (ListPage, OpenWatch, Wait)):
                action = output
            else:
                await self._accept(output)
                self._log_recovery()
        return action

    async def _list(self, action: ListPage) -> PageArrived | Failed:
        try:
            async with asyncio.timeout(self._tuning.list_deadline_s):
                page = await self._source.list_page(
                    resource_version=action.resource_version,
                    limit=action.limit,
                    continue_token=action.continue_token,
                )
        except Exception as error:  # noqa: BLE001 -- every failure of an attempt is an input
            return Failed(self._classified(error))
        return PageArrived(page)

    async def _watch(self, action: OpenWatch) -> Action | None:
        stack = AsyncExitStack()
        try:
            opened = await self._open(stack, action)
            if isinstance(opened, Failed):
                return await self._step(opened)
            following = await self._step(WatchOpened())
            splitter = LineSplitter()
            while following is None:
                following = await self._read(opened, splitter)
            return following
        finally:
            await self._close(stack)

    async def _open(self, stack: AsyncExitStack, action: OpenWatch) -> ByteStream | Failed:
        try:
            async with asyncio.timeout(self._tuning.open_deadline_s):
                return await stack.enter_async_context(
                    self._source.watch(
                        resource_version=action.resource_version,
                        timeout_seconds=action.timeout_seconds,
                        initial_events=action.initial_events,
                    )
                )
        except Exception as error:  # noqa: BLE001 -- every failure of an attempt is an input
            return Failed(self._classified(error))

    async def _read(self, stream: ByteStream, splitter: LineSplitter) -> Action | None:
        remaining = self._reflector.read_deadline() - self._clock()
        try:
            async with asyncio.timeout(max(remaining, 0.0)):
                chunk = await stream.read()
            lines = splitter.feed(chunk)
        except (TimeoutError, DeadlineExceeded):
            return await self._step(Silent())
        except Exception as error:  # noqa: BLE001 -- every failure of an attempt is an input
            return await self._step(Failed(self._classified(error)))
        if not chunk:
            return await self._step(StreamEnded(splitter.eof()))
        for line in lines:
            following = await self._step(Line(line))
            if following is not None:
                return following  # the stream is of no use any more, nor is the rest
            await self._breathe()
        return None

    async def _breathe(self) -> None:
        if perf_counter() - self._slice_began > self._tuning.slice_s:
            await asyncio.sleep(0)
            self._slice_began = perf_counter()

    async def _close(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(_CLOSE_DEADLINE_S):
                await stack.aclose()
        except Exception as error:  # noqa: BLE001 -- what follows is decided already
            log.debug("Could not close a watch in order", informer=self._name, error=repr(error))

    def _classified(self, error: Exception) -> ApiError:
        if isinstance(error, ApiError):
            return error
        if isinstance(error, TimeoutError):
            return DeadlineExceeded("no answer in time")
        if isinstance(error, OSError):
            return TransportError(str(error) or type(error).__name__)
        log.error("The transport failed in an unknown way", informer=self._name, exc_info=error)
        return ProtocolError(f"{type(error).__name__} in the transport")

    def _log_wait(self, wait: Wait) -> None:
        """Once per change: a missing right or a dead server is said once, not every 30 s (A13)."""
        reason, routine = self._told
        if wait.reason == reason and (wait.routine or not routine):
            return  # a list that is tried at once after a failure, and fails likewise, is no news
        self._told = (wait.reason, wait.routine)
        say, event = (log.info, "Relisting") if wait.routine else (log.warning, "Watch failed")
        when = {"retry_in_s": round(wait.seconds, 1)} if wait.seconds else {}
        say(
            event,
            informer=self._name,
            resource=str(self._source.resource),
            reason=wait.reason,
            **when,
        )

    def _log_recovery(self) -> None:
        if self._told != _NOTHING:
            self._told = _NOTHING
            log.info(
                "Followed the API server again",
                informer=self._name,
                resource=str(self._source.resource),
            )
