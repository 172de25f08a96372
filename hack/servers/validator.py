# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Asks a release's own classes about a config, without booting: some milliseconds a config.

One process runs ``inside/checker.py`` in the release's interpreter for as long as the validator is
open; questions and answers are lines of JSON. What it finds beyond an error of the server's own
is what the server does *not* say: keys that it ignores, and providers of which the last one wins.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Self

from hack.cluster.process import ProcessId
from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.places import INSIDE
from hack.servers.releases import Release

_FIRST_SECONDS = 120.0  # it imports the whole server, perhaps from a cold disk
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong with a config.

    Attributes:
        errors: what the server would end with: of its schema, of a provider's config, of an
            environment variable, of a backend or provider that is not there.
        ignored: paths of keys that the server would ignore without a word.
        missing: APIs that a provider needs and that have no provider, with whose they are.
        duplicates: providers whose id another one of the same API has, too: the last one wins.
        notes: what is no defect, such as a deprecated provider.
    """

    errors: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing but notes was found."""
        return not (self.errors or self.ignored or self.missing or self.duplicates)

    def lines(self) -> list[str]:
        """Everything, for people."""
        kinds = ("errors", "ignored", "missing", "duplicates", "notes")
        return [f"{kind}: {text}" for kind in kinds for text in getattr(self, kind)]


class Validator:
    """The process; a context manager. Not for several threads at a time.

    Args:
        bed: the installed servers.
        release: whose classes to ask.
    """

    def __init__(self, bed: Bed, release: Release) -> None:
        self.release = release
        self._bed = bed
        self._child: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def check(self, config: str, env: Mapping[str, str] | None = None) -> Report:
        """What is wrong with a config.

        Args:
            config: the text of a ``config.yaml``.
            env: the environment that the server would have.

        Raises:
            BedError: the process ended or does not answer.
        """
        question = {"op": "check", "config": config, "env": dict(env or {})}
        answer = self._ask(question, _SECONDS)
        return Report(**{kind: tuple(texts) for kind, texts in answer.items()})

    def __enter__(self) -> Self:
        household = self._bed.household
        self._directory = household.place(f"validator-{self.release.slug}")
        for name in ("checker.py", "absentees.py"):
            (self._directory / name).write_bytes((INSIDE / name).read_bytes())
        (self._directory / "home").mkdir()
        inside = self._bed.inside(self._directory)
        python = self._bed.python(self.release)
        clean = [
            "/usr/bin/env", "-i", f"HOME={inside}/home", "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
            "PYTHONWARNINGS=ignore",
        ]  # fmt: skip
        command = [*python[:-1], *clean, python[-1], f"{inside}/checker.py", self.release.module]
        self._log = (self._directory / "log").open("w+", encoding="utf-8")
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                cwd=self._directory,
                start_new_session=True,
            )
            if self._child.stdout is not None:
                threading.Thread(
                    target=self._read, args=(self._child.stdout,), name="validator", daemon=True
                ).start()
            self._ask({"op": "ready"}, _FIRST_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Its input ends, and with it the process; that also holds if we are killed.
        if self._child is not None:
            child, self._child = self._child, None
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                running = ProcessId.of(child.pid)
                if running is not None:
                    running.stop(grace=0)
                child.wait(timeout=5)
            if child.stdout is not None:
                child.stdout.close()
        self._log.close()
        self._bed.household.clear(self._directory)

    def _read(self, stream: IO[str]) -> None:
        try:
            for line in stream:
                self._answers.put(line)
        except ValueError:  # closed meanwhile
            pass
        self._answers.put("")

    def _ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self._child is None or self._child.stdin is None:
            raise BedError("the validator was not entered")
        try:
            self._child.stdin.write(json.dumps(question) + "\n")
            self._child.stdin.flush()
            line = self._answers.get(timeout=seconds)
        except (OSError, queue.Empty) as error:
            raise self._failure(f"does not answer: {error!r}") from error
        if not line:
            raise self._failure("ended")
        answer: dict[str, Any] = json.loads(line)
        if "crash" in answer:
            raise self._failure(f"failed: {answer['crash']}")
        return answer

    def _failure(self, what: str) -> BedError:
        self._log.flush()
        tail = (self._directory / "log").read_text(encoding="utf-8")[-2000:]
        return BedError(f"the validator of {self.release.name} {what}\n{tail}")
