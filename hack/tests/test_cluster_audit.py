# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reading an audit log: each request once, none missed, none from before."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.cluster import audit
from hack.cluster.client import Client
from hack.cluster.errors import ClusterError
from hack.cluster.pki import Pki


def _line(audit_id: str, stage: str = "ResponseComplete", **more: object) -> bytes:
    event = {
        "auditID": audit_id,
        "stage": stage,
        "verb": "watch",
        "requestURI": "/api/v1/pods?watch=1",
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z",
        "stageTimestamp": "2026-01-01T00:00:00.000002Z",
        **more,
    }
    return json.dumps(event).encode() + b"\n"


def test_request_is_counted_once_with_its_latest_stage() -> None:
    content = (
        _line("a", "ResponseStarted")
        + _line("b", verb="patch", objectRef={"resource": "configmaps", "subresource": "status"})
        + _line("a", responseStatus={"code": 200}, stageTimestamp="2026-01-01T00:00:00.5Z")
    )

    requests = audit.parse_lines(content)

    assert [(r.audit_id, r.stage, r.code) for r in requests] == [
        ("a", "ResponseComplete", 200),
        ("b", "ResponseComplete", 0),
    ]
    assert requests[0].received < requests[0].reached == "2026-01-01T00:00:00.5Z"
    assert audit.counts(requests, ("verb", "resource", "subresource")) == {
        ("watch", "", ""): 1,
        ("patch", "configmaps", "status"): 1,
    }
    assert [r.is_write for r in requests] == [False, True]


def test_line_that_a_killed_server_left_half_is_skipped() -> None:
    whole, half = _line("a"), _line("b")[:40]

    assert [r.audit_id for r in audit.parse_lines(whole + half)] == ["a"]
    spoilt = half + _line("c") + _line("d")
    assert [r.audit_id for r in audit.parse_lines(spoilt)] == ["d"]


class _Server:
    """An HTTPS server that hands each request's user agent to ``write``, which logs it, or not."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "audit.log"
        self.write: Callable[[str], None] = lambda agent: None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                server.write(self.headers["User-Agent"])

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        pki = Pki(directory / "pki", server_names=("127.0.0.1",))
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(pki.certificate("apiserver"), pki.key("apiserver"))
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        client = Client(self.http.server_port, ca=pki.certificate("ca"))
        self.audit = audit.AuditLog(self.log, lambda: client)

    def append(self, line: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(line)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    server = _Server(tmp_path)
    with server.http:
        thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.http.shutdown()
        thread.join()


def test_line_that_follows_its_response_late_is_not_missed(server: _Server) -> None:
    def write(agent: str) -> None:
        server.append(_line("marker", userAgent=agent))
        timer = threading.Timer(0.02, server.append, [_line("late", verb="create")])
        timer.start()

    server.write = write

    assert [r.audit_id for r in server.audit.since()] == ["late"]


def test_request_received_before_the_mark_and_ended_after_it_is_left_out(server: _Server) -> None:
    moments = iter(["2026-01-01T00:00:02.000000Z", "2026-01-01T00:00:05.000000Z"])
    server.write = lambda agent: server.append(
        _line(agent, userAgent=agent, requestReceivedTimestamp=next(moments))
    )
    mark = server.audit.mark()
    server.append(_line("before", requestReceivedTimestamp="2026-01-01T00:00:01.999999Z"))
    server.append(_line("after", requestReceivedTimestamp="2026-01-01T00:00:02.000001Z"))

    assert [r.audit_id for r in server.audit.since(mark)] == ["after"]


def test_log_that_is_not_written_is_an_error_and_not_an_empty_result(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_FLUSH_DEADLINE_S", 0.1)

    with pytest.raises(ClusterError, match="has not written"):
        server.audit.since()
