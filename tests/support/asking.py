# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A client in the cluster that asks a server without a pause, and counts what fails.

It is a Pod, so it comes to the server as others do: by the name of its Service, through kube-proxy,
with all the delays that those have. Each request has a connection of its own, as one that hits a
server which goes away shows best; two threads take turns, so hardly a moment is missed.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Self

from hack.cluster.node.pods import Namespace, wait_for
from hack.images import base
from tests.support.printing import RESTRICTED

_SCRIPT = """\
import http.client, json, sys, threading, time

host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
asked, failed, lock = 0, [], threading.Lock()

def ask():
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return "" if response.status == 200 else f"status {response.status}"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()

def work():
    global asked
    while True:
        said = ask()
        with lock:
            asked += 1
            if said:
                failed.append(f"{time.strftime('%H:%M:%S')} {said}")
        time.sleep(0.02)

for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
while True:
    time.sleep(0.1)
    with lock:
        print(json.dumps({"asked": asked, "failed": len(failed), "said": failed[-5:]}), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Count:
    """What a client saw so far.

    Attributes:
        asked: requests that came to an end.
        failed: those that got no answer, or one with an error.
        said: what the last failures were.
    """

    asked: int
    failed: int
    said: tuple[str, ...]


class Asking:
    """The client; a context manager that waits for its first answer and deletes it at the end.

    Args:
        namespace: where it runs.
        image: with a Python.
        service: whom it asks.
        port: of the Service.
        path: what it asks for.
    """

    def __init__(
        self, namespace: Namespace, image: str, service: str, port: int, path: str
    ) -> None:
        self._namespace = namespace
        self._pod = _pod(image, service, port, path)

    def __enter__(self) -> Self:
        self._namespace.client.create(f"{self._namespace.core}/pods", self._pod)
        wait_for("the client's first request", lambda: self._last() and self.count().asked)
        return self

    def __exit__(self, *exc_info: object) -> None:
        name = self._pod["metadata"]["name"]
        self._namespace.client.delete(f"{self._namespace.core}/pods/{name}")

    def count(self) -> Count:
        """What it has counted by now."""
        found = json.loads(self._last())
        return Count(found["asked"], found["failed"], tuple(found["said"]))

    def count_after(self, seconds: float) -> Count:
        """What it has counted once it went on for a while."""
        deadline = time.monotonic() + seconds
        enough = self.count().asked + 20
        return wait_for(
            "more requests",
            lambda: self._beyond(enough) if time.monotonic() > deadline else None,
            seconds=seconds + 30,
        )

    def _beyond(self, enough: int) -> Count | None:
        found = self.count()
        return found if found.asked >= enough else None

    def _last(self) -> str:
        lines = self._namespace.log(self._pod["metadata"]["name"]).splitlines()
        return lines[-1] if lines else ""


def _pod(image: str, service: str, port: int, path: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": image,
        "command": [base.PYTHON, "-I", "-c", _SCRIPT, service, str(port), path],
        "securityContext": RESTRICTED,
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asking"}, "spec": spec}
