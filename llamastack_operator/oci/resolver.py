# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Answers at once from the cache of answers, asks registries in the background.

The shell around ``answer_cache``: it has the clock, the dice and the tasks. Each image is read by a
task with its own deadline, and the number of tasks is bounded; a registry that hangs delays only
the resources that wait for it.
"""

from __future__ import annotations

import asyncio
import platform
import random
from typing import TYPE_CHECKING, Final

import structlog

from llamastack_operator.oci import reference
from llamastack_operator.oci.answer_cache import AnswerCache
from llamastack_operator.oci.client import Pull, fetch
from llamastack_operator.oci.errors import DeadlineExceeded, RegistryError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.llamastack.planning.image_configs import Answer, Question
    from informers.ports import ObjectKey
    from llamastack_operator.oci.answer_cache import Content
    from llamastack_operator.oci.http import Http
    from llamastack_operator.oci.secrets import PullSecrets

log = structlog.get_logger(__name__)

MOST_AT_A_TIME: Final = 64
DEFAULT_TIMEOUT_S: Final = 30.0  # for one image, everything included

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}  # the rest have Go's names


class ImageConfigResolver:
    """Implements ``controller.llamastack.planning.image_configs.ImageConfigs``.

    Args:
        http: connections; opened and closed by ``run``.
        secrets: reads credentials.
        wake: queues a key again.
        clock: monotonic seconds.
        timeout_s: for one image, everything included.
        answers: memory.
        dice: 0 to 1.
    """

    def __init__(
        self,
        http: Http,
        secrets: PullSecrets,
        *,
        wake: Callable[[ObjectKey], None],
        clock: Callable[[], float],
        timeout_s: float = DEFAULT_TIMEOUT_S,
        answers: AnswerCache | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._http = http
        self._secrets = secrets
        self._wake = wake
        self._clock = clock
        self._timeout_s = timeout_s
        self._answers = answers or AnswerCache()
        self._dice = dice
        self._architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
        self._asked: asyncio.Queue[Question] = asyncio.Queue()

    def lookup(self, question: Question, *, asker: ObjectKey, credentials: str) -> Answer:
        """See ``controller.llamastack.planning.image_configs.ImageConfigs.lookup``."""
        answer, start = self._answers.ask(
            question, asker, credentials=credentials, now=self._clock()
        )
        if start:
            self._asked.put_nowait(question)
        return answer

    async def run(self) -> None:
        """Ask registries until cancelled."""
        slots = asyncio.Semaphore(MOST_AT_A_TIME)
        async with self._http, asyncio.TaskGroup() as group:
            while True:
                question = await self._asked.get()
                await slots.acquire()
                task = group.create_task(
                    self._answer(question), name=f"image-config {question.image}"
                )
                task.add_done_callback(lambda _: slots.release())

    async def _answer(self, question: Question) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                content = await self._fetch(question)
        except RegistryError as error:
            self._failed(question, error)
        except TimeoutError:
            text = f"reading the labels of image {question.image} took too long"
            self._failed(question, DeadlineExceeded(text))
        except Exception as error:  # noqa: BLE001 -- a stranger's bytes must not end the process
            log.error(  # noqa: TRY400 -- a traceback may quote what a stranger sent
                "Failed to understand a registry", image=question.image, error=type(error).__name__
            )
            text = f"the registry's answer for image {question.image} is not understood"
            self._failed(question, Unavailable(text))
        else:
            log.info(
                "Read the labels of an image",
                image=question.image,
                namespace=question.namespace,
                content=content.name,
                found=content.base is not None,
            )
            for key in self._answers.found(question, content, now=self._clock()):
                self._wake(key)

    async def _fetch(self, question: Question) -> Content:
        image = reference.parse(question.image)
        candidates, explain = await self._secrets.candidates(question, image)
        pull = Pull(candidates, explain, self._answers.remembered, self._architecture)
        return await fetch(self._http, image, pull)

    def _failed(self, question: Question, error: RegistryError) -> None:
        log.warning(
            "Failed to read the labels of an image",
            image=question.image,
            namespace=question.namespace,
            error=str(error),
        )
        keys = self._answers.failed(question, error, now=self._clock(), spread=self._dice())
        for key in keys:
            self._wake(key)
