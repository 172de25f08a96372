# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Servers that answer slowly, wrongly or never, on real sockets: each becomes a short text."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from pathlib import Path

import pytest

from controller.llamastack.server.probe_port import ReportedProvider, ServerReport
from hack.cluster.ports import free_port
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.probing.probe_client import MOST_BYTES, NotAllowed, ProbeClient
from llamastack_operator.probing.routes import Direct, ThroughApi, route_of
from tests.support.faultproxy import kubeconfig_of
from tests.support.llama_servers import (
    PROVIDERS,
    SECRET,
    Answer,
    LlamaServer,
    answers,
    drop_by_drop,
    header_without_end,
    never,
    says,
    server,
    without_end,
)
from tests.support.matrix.certificates import write_certificate

TIMEOUT_S = 0.5


PATIENT_S = 20.0  # where time is not what is asked about


async def report_from(there: LlamaServer, timeout_s: float = PATIENT_S) -> ServerReport:
    async with there, ProbeClient(Direct(), timeout_s=timeout_s, user_agent="test/1") as client:
        return await client.ask(there.server)


async def test_server_tells_its_version_and_providers() -> None:
    there = LlamaServer()

    report = await report_from(there)

    text = "Provider does not implement it"
    assert report == ServerReport(
        "0.7.3",
        (
            ReportedProvider("inference", "vllm", "remote::vllm", "Not Implemented", text),
            ReportedProvider("safety", "guard", "inline::llama-guard", "Not Implemented", text),
        ),
    )
    assert SECRET not in repr(report)


async def test_nothing_that_could_be_stolen_is_sent() -> None:
    there = LlamaServer()

    await report_from(there)

    assert sorted(path for path, _ in there.requests) == ["/v1/providers", "/v1/version"]
    for _, headers in there.requests:
        assert headers.keys() == {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}
        assert headers["Host"] == f"demo-service.n.svc:{there.port}"
        assert headers["User-Agent"] == "test/1"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(b"<html>no</html>"), "the answer is not JSON"),
        (says(b"oops", status=500), "it answers 500"),
        (says(b"{}", status=404), "it answers 404"),
        (says(b"{}", status=401), "it answers 401: it asks for credentials, and none are sent"),
        (
            says(b"", status=302, headers={"Location": "/v1/version"}),
            "it answers 302: it redirects",
        ),
        (says(b" " * (10 << 20)), f"the answer is longer than {MOST_BYTES // 1024} KiB"),
        (without_end, f"the answer is longer than {MOST_BYTES // 1024} KiB"),
        (header_without_end, "it does not speak HTTP as it should"),
        (drop_by_drop, f"no answer within {TIMEOUT_S} s"),
        (never, f"no answer within {TIMEOUT_S} s"),
        (says(PROVIDERS, delay_s=30.0), f"no answer within {TIMEOUT_S} s"),
        (says(b'{"data":{"a":1}}'), "the answer is no list of providers"),
        (says(PROVIDERS, headers={"Content-Encoding": "gzip"}), ""),
    ],
)
async def test_wrong_list_is_told_in_a_few_words_and_the_version_is_reported(
    answer: Answer, why: str
) -> None:
    timeout_s = TIMEOUT_S if why.startswith("no answer") else PATIENT_S

    report = await report_from(LlamaServer(providers=answer), timeout_s)

    assert report.version == "0.7.3"
    assert (report.providers is None) == bool(why)
    assert why in report.problem
    assert report.problem.startswith("could not be asked for its providers: " if why else "")


async def test_both_questions_share_one_deadline() -> None:
    began = time.monotonic()

    report = await report_from(LlamaServer(never, never), TIMEOUT_S)

    assert report.problem == (
        f"could not be asked for its providers and its version: no answer within {TIMEOUT_S} s"
    )
    assert time.monotonic() - began < PATIENT_S / 2


async def test_two_different_failures_are_both_told() -> None:
    report = await report_from(LlamaServer(says(b"x", 500), says(b"[]")))

    assert report.problem == (
        "could not be asked for its providers: it answers 500; "
        "for its version: the answer has no version"
    )


async def test_closed_port_is_told_without_an_address() -> None:
    port = free_port()
    async with ProbeClient(Direct(), timeout_s=PATIENT_S, user_agent="t") as client:
        report = await client.ask(server(port=port))

    assert report.problem.endswith("its version: connection refused")


@pytest.mark.parametrize(
    ("scheme", "why"),
    [
        ("http", "it does not speak HTTP as it should"),
        ("https", "it does not speak TLS as it should"),
    ],
)
async def test_whatever_else_listens_is_told(scheme: str, why: str) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with listener, ProbeClient(Direct(), timeout_s=PATIENT_S, user_agent="t") as client:
        port = listener.sockets[0].getsockname()[1]
        report = await client.ask(server(port=port, scheme=scheme))

    assert report.problem.endswith(why)


async def test_certificate_of_any_signer_will_do(tmp_path: Path) -> None:
    write_certificate(tmp_path)  # nobody trusts who signed it
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")

    report = await report_from(LlamaServer(tls=tls))

    assert report.version == "0.7.3"


# --- outside the cluster -----------------------------------------------------------------------


async def report_through(answer: Answer, tmp_path: Path) -> tuple[ServerReport, list[str]]:
    """The report of a server behind such an API server, and the paths that were asked for."""
    async with LlamaServer(answer, answer) as api:
        path = kubeconfig_of(f"http://127.0.0.1:{api.port}", tmp_path / "kubeconfig")
        route = route_of("auto", await connect(Source(str(path))))
        assert isinstance(route, ThroughApi)
        async with ProbeClient(route, timeout_s=PATIENT_S, user_agent="t") as client:
            report = await client.ask(server(scheme="https"))
    return report, [path for path, _ in api.requests]


async def test_outside_a_cluster_the_proxy_of_the_api_server_leads_there(tmp_path: Path) -> None:
    report, paths = await report_through(answers, tmp_path)

    assert report.version == "0.7.3"
    base = "/api/v1/namespaces/n/services/https:demo-service:8321/proxy/v1"
    assert sorted(paths) == [f"{base}/providers", f"{base}/version"]


def status(code: int) -> Answer:
    body = b'{"kind":"Status","apiVersion":"v1","code":%d,"message":"pod 10.0.0.1"}' % code
    return says(body, code)


async def test_refusal_of_the_api_server_is_none_of_the_server(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        await report_through(status(403), tmp_path)


async def test_refusal_of_the_server_is_told_through_the_proxy_too(tmp_path: Path) -> None:
    report, _ = await report_through(says(b'{"detail":"no"}', 403), tmp_path)

    assert "it asks for credentials" in report.problem


async def test_server_that_the_api_server_cannot_reach_is_told(tmp_path: Path) -> None:
    report, _ = await report_through(status(503), tmp_path)

    assert report.problem.endswith(": the API server cannot reach it")


async def test_in_a_cluster_the_service_is_asked_unless_told_otherwise(tmp_path: Path) -> None:
    connection = await connect(Source(str(kubeconfig_of("http://x", tmp_path / "k"))))
    connection.source = Source()

    assert isinstance(route_of("auto", connection), Direct)
    assert isinstance(route_of("proxy", connection), ThroughApi)
    assert isinstance(route_of("direct", connection), Direct)


async def test_no_socket_is_left_behind() -> None:
    await report_from(LlamaServer(never, without_end), TIMEOUT_S)

    gc.collect()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1
