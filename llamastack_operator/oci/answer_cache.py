# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is known of which image, for how long, and who waits for more. No I/O, no clock.

Two memories. One is by question (image, and the pull secrets to read it with): the last answer, and
until when it is fresh. The other is by repository and digest: contents, which never change and are
shared by all questions that lead to them. The same image asked for from another namespace is
another question: an answer that one tenant's credentials obtained is never given to another tenant,
so a private image stays private. Only when the registry has shown both the same digest do they
share the content.

* A tag is fresh for minutes, a digest for a day. What is not fresh any more is still the answer
  while it is asked for again, so that nothing flickers.
* A success is never replaced by a failure: the labels of a digest do not go away.
* A failure is an answer, too, with a back-off that doubles: a missing image is not asked for
  all day.
* One request a question, however many ask.
* Both memories are bounded; what was not used for longest goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from configs.base import BaseConfig
from controller.llamastack.planning.image_configs import (
    Answer,
    Failed,
    Known,
    Pending,
    Question,
    Unlabelled,
)
from controller.runtime.lru import LruCache
from informers.backoff import exponential
from informers.ports import ObjectKey
from llamastack_operator.oci.errors import RegistryError

MOST_QUESTIONS: Final = 2048  # about half a KiB each
MOST_CONTENTS: Final = 1024
MOST_BYTES: Final = 2 * 1024 * 1024  # text of configs; read, they take some twenty times as much

TAG_FRESH_S: Final = 600.0
DIGEST_FRESH_S: Final = 86_400.0
FIRST_REST_S: Final = 5.0
LONGEST_REST_S: Final = 600.0
SPREAD: Final = 0.25  # of a rest, so that a registry which comes back is not met by everybody


@dataclass(frozen=True, slots=True)
class Content:
    """What a digest stands for; true for ever.

    Attributes:
        name: repository and digest, so that nobody is shown what is only in another's repository.
        base: the base config; None without labels.
        size: bytes of memory that it is worth; a rough measure.
    """

    name: str
    base: BaseConfig | None
    size: int


@dataclass(slots=True)
class _Entry:
    content: str = ""  # name of the content that was found last
    failure: RegistryError | None = None
    failures: int = 0
    fresh_until: float = 0.0
    credentials: str = ""
    running: bool = False
    waiting: set[ObjectKey] = field(default_factory=set)


class AnswerCache:
    """See the module.

    Args:
        questions: remembered at most.
        contents: remembered at most.
        total_bytes: of all contents.
    """

    def __init__(
        self,
        *,
        questions: int = MOST_QUESTIONS,
        contents: int = MOST_CONTENTS,
        total_bytes: int = MOST_BYTES,
    ) -> None:
        self._most_questions = questions
        self._entries: dict[Question, _Entry] = {}  # longest unused first
        self._contents = LruCache[str, Content](total_bytes, most=contents)

    def ask(
        self, question: Question, asker: ObjectKey, *, credentials: str, now: float
    ) -> tuple[Answer, bool]:
        """What is known, and whether the registry has to be asked (then by the caller).

        Args:
            question: the image.
            asker: told by ``done``, if the answer is still to come.
            credentials: another text than last time lifts the rest after a failure.
            now: monotonic seconds.
        """
        entry = self._entries.pop(question, None) or _Entry(credentials=credentials)
        self._entries[question] = entry
        if entry.credentials != credentials and not entry.running:
            entry.credentials = credentials
            if entry.failure is not None:
                entry.failure, entry.failures, entry.fresh_until = None, 0, now
        answer = self._answer(entry, now)
        start = not entry.running and (isinstance(answer, Pending) or now >= entry.fresh_until)
        if start:
            entry.running = True
        if entry.running:
            entry.waiting.add(asker)
        self._evict_questions()
        return answer, start

    def remembered(self, name: str) -> Content | None:
        """The content of that name, if it is remembered."""
        return self._contents.get(name)

    def found(self, question: Question, content: Content, *, now: float) -> frozenset[ObjectKey]:
        """The registry has answered; who has to look again."""
        entry = self._finished(question)
        changed = entry.content != content.name or content.name not in self._contents
        changed = changed or entry.failure is not None
        entry.content, entry.failure, entry.failures = content.name, None, 0
        fresh_s = DIGEST_FRESH_S if "@" in question.image else TAG_FRESH_S
        entry.fresh_until = now + fresh_s
        self._contents.put(content.name, content, content.size)
        return self._woken(entry) if changed else self._woken(entry, nobody=True)

    def failed(
        self, question: Question, error: RegistryError, *, now: float, spread: float
    ) -> frozenset[ObjectKey]:
        """The registry has not answered; who has to look again.

        Args:
            question: that was asked.
            error: why.
            now: monotonic seconds.
            spread: 0 to 1, at random.
        """
        entry = self._finished(question)
        rest = exponential(FIRST_REST_S, entry.failures, cap_s=LONGEST_REST_S)
        rest = min(max(rest, error.retry_after_s), LONGEST_REST_S)
        entry.failures += 1
        entry.failure = error
        entry.fresh_until = now + rest * (1.0 + SPREAD * spread)
        known = entry.content in self._contents
        return self._woken(entry, nobody=known)

    def _answer(self, entry: _Entry, now: float) -> Answer:
        content = self.remembered(entry.content)
        if content is not None:
            return Unlabelled() if content.base is None else Known(content.base)
        error = entry.failure
        if error is None:
            return Pending()
        # While it is being asked again the answer wakes the asker; this is for the case that none
        # comes.
        retry = LONGEST_REST_S if entry.running else max(entry.fresh_until - now, FIRST_REST_S)
        return Failed(error.reason, str(error), error.transient, retry)

    def _finished(self, question: Question) -> _Entry:
        entry = self._entries.get(question) or _Entry()
        self._entries[question] = entry
        entry.running = False
        return entry

    def _woken(self, entry: _Entry, *, nobody: bool = False) -> frozenset[ObjectKey]:
        woken = frozenset() if nobody else frozenset(entry.waiting)
        entry.waiting = set()
        return woken

    def _evict_questions(self) -> None:
        surplus = len(self._entries) - self._most_questions
        if surplus > 0:
            idle = _first(self._entries, surplus, lambda entry: not entry.running)
            for question in idle:
                del self._entries[question]


def _first(
    entries: dict[Question, _Entry], number: int, wanted: Callable[[_Entry], bool]
) -> list[Question]:
    found: list[Question] = []
    for question, entry in entries.items():
        if len(found) == number:
            break
        if wanted(entry):
            found.append(question)
    return found
