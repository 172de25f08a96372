# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The least HTTPS client that can set up and question an API server.

Tests of the operator must not use the operator's transport to prepare or to judge what it did, so
this one is independent: standard library, one connection a request, synchronous, JSON in and out.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hack.cluster.errors import ApiFailure

Json = dict[str, Any]

_READY_S = 2.0  # whoever polls asks again; a stranger on the port may never answer
_ERROR = 400  # the first HTTP status that means failure


class Client:
    """Requests to one API server with one client certificate.

    Args:
        port: where the server listens on 127.0.0.1.
        ca: file with the certificate that vouches for the server.
        certificate: file with the client certificate; anonymous without.
        key: file with its key.
        user_agent: how the audit log calls this client.
        timeout: deadline of each network operation of a request in seconds.
    """

    def __init__(
        self,
        port: int,
        *,
        ca: Path,
        certificate: Path | None = None,
        key: Path | None = None,
        user_agent: str = "control-plane-fixture",
        timeout: float = 30.0,
    ) -> None:
        self._port = port
        self._user_agent = user_agent
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=str(ca))
        if certificate is not None:
            self._tls.load_cert_chain(certificate, key)

    def raw(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        user_agent: str = "",
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """One request; status and body, whatever they are.

        Raises:
            OSError, http.client.HTTPException: no complete answer came.
        """
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=timeout or self._timeout, context=self._tls
        )
        headers = {"Accept": "application/json", "User-Agent": user_agent or self._user_agent}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body).encode(), headers
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> Json:
        """One request; the decoded answer.

        Raises:
            ApiFailure: the server answered with an error, or not at all (code 0).
        """
        try:
            code, content = self.raw(method, path, body, content_type=content_type)
        except (OSError, http.client.HTTPException) as error:
            msg = f"{method} {path}: the API server did not answer: {error}"
            raise ApiFailure(msg, code=0) from error
        if code >= _ERROR:
            status = _decoded(content)
            text = status.get("message") or content[:200].decode(errors="replace")
            msg = f"{method} {path}: {code} {text}"
            raise ApiFailure(msg, code=code, reason=str(status.get("reason", "")))
        return _decoded(content)

    def get(self, path: str) -> Json:
        """Read one object or list."""
        return self.request("GET", path)

    def create(self, path: str, manifest: Mapping[str, Any]) -> Json:
        """Create an object in the collection ``path``."""
        return self.request("POST", path, manifest)

    def delete(self, path: str) -> Json:
        """Delete an object; does not wait for finalizers."""
        return self.request("DELETE", path)

    def ready(self, path: str = "/readyz") -> bool:
        """Whether the server answers ``path`` with 200 now, or at least soon."""
        try:
            return self.raw("GET", path, timeout=_READY_S)[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def exists(self, path: str) -> bool:
        """Whether the object can be read now; false also while the server is not there."""
        return self.ready(path)


def _decoded(content: bytes) -> Json:
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
