# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What tests ask of Pods on a node, by the independent client of the control plane.

Servers are reached through the API server's service proxy, as somebody outside of a cluster would:
``/api/v1/namespaces/NS/services/NAME:PORT/proxy/PATH``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hack.cluster.client import Client, Json
from hack.cluster.errors import ApiFailure, ClusterError

T = TypeVar("T")

_POLL_S = 0.1
_ERROR = 400


def wait_for(what: str, probe: Callable[[], T | None], *, seconds: float = 60.0) -> T:
    """The first result of ``probe()`` that is true; an error of the API server counts as none.

    Raises:
        ClusterError: there was none in time; with the last error.
    """
    deadline = time.monotonic() + seconds
    last = ""
    while True:
        try:
            if result := probe():
                return result
        except ApiFailure as error:
            last = f": {error}"
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s{last}")
        time.sleep(_POLL_S)


@dataclass(frozen=True, slots=True)
class Namespace:
    """The Pods and Services of one namespace.

    Attributes:
        client: the administrator's.
        name: of the namespace.
    """

    client: Client
    name: str

    @property
    def core(self) -> str:
        """Path of the core resources."""
        return f"/api/v1/namespaces/{self.name}"

    @property
    def apps(self) -> str:
        """Path of Deployments and ReplicaSets."""
        return f"/apis/apps/v1/namespaces/{self.name}"

    def pods(self, selector: str = "") -> list[Json]:
        """The Pods that have the labels, e.g. ``app=web``."""
        query = f"?labelSelector={selector}" if selector else ""
        pods: list[Json] = self.client.get(f"{self.core}/pods{query}")["items"]
        return pods

    def deployment_is_ready(self, name: str) -> bool:
        """Whether all replicas of a Deployment's present template are Ready, and no others."""
        deployment = self.client.get(f"{self.apps}/deployments/{name}")
        status, wanted = deployment["status"], deployment["spec"]["replicas"]
        numbers = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")}
        observed = status.get("observedGeneration") == deployment["metadata"]["generation"]
        return observed and numbers == {wanted}

    def wait_for_deployment(self, name: str, *, seconds: float = 120.0) -> None:
        """Wait until a Deployment is ready.

        Raises:
            ClusterError: it is not, in time; with what its Pods say.
        """
        try:
            wait_for(
                f"Deployment {name} ready", lambda: self.deployment_is_ready(name), seconds=seconds
            )
        except ClusterError as error:
            raise ClusterError(f"{error}\n{self.explain()}") from error

    def log(self, pod: str, *, container: str = "", previous: bool = False) -> str:
        """What a Pod's container wrote.

        Raises:
            ApiFailure: there is no such container, or it has not started.
        """
        query = f"?previous={str(previous).lower()}"
        query += f"&container={container}" if container else ""
        path = f"{self.core}/pods/{pod}/log{query}"
        code, content = self.client.raw("GET", path)
        text = content.decode(errors="replace")
        if code >= _ERROR:
            raise ApiFailure(f"GET {path}: {code} {text[:500]}", code=code)
        return text

    def last_termination(self, pod: str) -> Json | None:
        """How a Pod's first container ended the last time: exitCode, reason, message."""
        statuses = self.client.get(f"{self.core}/pods/{pod}")["status"].get("containerStatuses")
        if not statuses:
            return None
        for state in (statuses[0].get("state", {}), statuses[0].get("lastState", {})):
            if "terminated" in state:
                terminated: Json = state["terminated"]
                return terminated
        return None

    def ask(self, service: str, port: int | str, path: str) -> tuple[int, str]:
        """GET a path of a Service through the API server's proxy; status and body.

        503 is the proxy's own answer while the Service has no ready endpoint.
        """
        proxied = f"{self.core}/services/{service}:{port}/proxy/{path.lstrip('/')}"
        code, content = self.client.raw("GET", proxied)
        return code, content.decode(errors="replace")

    def ask_json(self, service: str, port: int | str, path: str) -> Any:
        """The same, decoded.

        Raises:
            ApiFailure: an error status.
        """
        code, text = self.ask(service, port, path)
        if code >= _ERROR:
            raise ApiFailure(f"{service}:{port}/{path}: {code} {text[:500]}", code=code)
        return json.loads(text)

    def answer(self, method: str, target: str, path: str, body: Any = None) -> Any:
        """What a server answers, decoded; asked again while the proxy has no connection to it.

        Args:
            method: of HTTP.
            target: ``services/NAME:PORT`` or ``pods/NAME:PORT``.
            path: begins with a slash.
            body: JSON data.

        Raises:
            ClusterError: there was no good answer in time; with the last one.
        """

        def look() -> Any:
            code, content = self.client.raw(method, f"{self.core}/{target}/proxy{path}", body)
            if code >= _ERROR:
                raise ApiFailure(f"{method} {path}: {code} {content[:300]!r}", code=code)
            return json.loads(content)

        return wait_for(f"{method} {path}", look, seconds=20)

    def explain(self) -> str:
        """Events, and the state and last words of every Pod: for the message of a failed test."""
        lines = [
            f"{event['involvedObject'].get('name')}: {event.get('reason')}: {event.get('message')}"
            for event in self.client.get(f"{self.core}/events")["items"]
            if event.get("type") != "Normal"
        ]
        for pod in self.pods():
            name, status = pod["metadata"]["name"], pod["status"]
            states = [s.get("state") for s in status.get("containerStatuses", [])]
            lines.append(f"{name}: {status.get('phase')} {json.dumps(states)}")
            try:
                lines += [f"{name}: | {line}" for line in self.log(name).splitlines()[-20:]]
            except ApiFailure:
                continue
        return "\n".join(lines)
