# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Clients that write all the time, each one to a resource of its own, while something is disturbed.

A write that fails is tried again, as every client of Kubernetes does, until it is accepted or the
client's patience is over. One half of them writes v1alpha1, the other half v1alpha2.
"""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from api import VERSION, VERSIONS
from hack.cluster.client import Client
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import collection

CLIENTS = 20
_PATIENCE_S = 30.0
_PAUSE_S = 0.2
_JOIN_S = _PATIENCE_S + 20.0
_OK = 200
_MERGE = "application/merge-patch+json"


@dataclass
class Tally:
    """What happened to the writes.

    Attributes:
        written: how many were accepted.
        failures: what was answered to those that were tried again.
        given_up: what was answered last where no try was accepted.
        longest_s: from the first try to the one that was accepted, at most.
    """

    written: int = 0
    failures: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    longest_s: float = 0.0


class Writers:
    """The clients; they write from the beginning of a ``with`` block to its end.

    Args:
        client: of the API server.
        namespace: where their resources are made; they ask for no pods.
        count: how many there are.
    """

    def __init__(self, client: Client, namespace: str, count: int = CLIENTS) -> None:
        self._client = client
        self._namespace = namespace
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._write_on, args=(number,), daemon=True, name=f"w{number}")
            for number in range(count)
        ]
        self.tally = Tally()

    def __enter__(self) -> Self:
        for number in range(len(self._threads)):
            obj = old_resource(f"w{number}", containerSpec=_environment("begin"))
            obj["spec"]["replicas"] = 0
            self._client.create(collection("v1alpha1", self._namespace), obj)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(_JOIN_S)

    def count(self) -> int:
        """How many writes were accepted so far."""
        with self._lock:
            return self.tally.written

    def _write_on(self, number: int) -> None:
        version = VERSIONS[number % len(VERSIONS)]
        path = f"{collection(version, self._namespace)}/w{number}"
        turn = 0
        while not self._done.is_set():
            turn += 1
            container = _environment(f"turn {turn}")
            new = {"workload": {"overrides": container}}
            self._write(
                path,
                {"spec": new if version == VERSION else {"server": {"containerSpec": container}}},
            )

    def _write(self, path: str, body: Any) -> None:
        began = time.monotonic()
        while said := self._refusal(path, body):
            given_up = time.monotonic() - began > _PATIENCE_S
            with self._lock:
                (self.tally.given_up if given_up else self.tally.failures).append(said)
            if given_up:
                return
            threading.Event().wait(_PAUSE_S)
        with self._lock:
            self.tally.written += 1
            self.tally.longest_s = max(self.tally.longest_s, time.monotonic() - began)

    def _refusal(self, path: str, body: Any) -> str:
        """What a write was answered; empty if it was accepted."""
        try:
            code, answer = self._client.raw("PATCH", path, body, content_type=_MERGE)
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        return "" if code == _OK else f"{code} {answer.decode(errors='replace')}"


def _environment(turn: str) -> dict[str, Any]:
    return {"env": [{"name": "TURN", "value": turn}]}
