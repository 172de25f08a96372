# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A registry that lies, dawdles, floods or sends us elsewhere: refused in words, in time, and
without a password reaching anybody but whom it was meant for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import ssl
from typing import Any

import pytest
from aiohttp import web

from hack.servers.images import Image
from hack.servers.images import layer as tar
from hack.servers.registry import digest
from llamastack_operator.oci import layer, manifests, reference
from llamastack_operator.oci.client import Pull, fetch
from llamastack_operator.oci.errors import (
    BadAnswer,
    BadLabel,
    DeadlineExceeded,
    ImageNotFound,
    RegistryError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from llamastack_operator.oci.http import Http
from llamastack_operator.oci.labels import BASE64
from tests.support.registries import (
    ALICE,
    BASIC,
    EXPECTED,
    TEXT,
    Server,
    blob_of,
    closed,
    constantly,
    inline,
    layered,
    read,
    serving,
)

# --- who gets the password -----------------------------------------------------------------


async def test_password_is_not_taken_along_to_another_host() -> None:
    server = inline()
    elsewhere: list[str] = []
    body, _ = server.objects[blob_of(server)]

    async def store(request: web.Request) -> web.Response:
        elsewhere.append(request.headers.get("Authorization", ""))
        return web.Response(body=body)

    async with serving(store) as other:

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"http://{other}/blob?sig=1"})

        server.instead["GET", blob_of(server)] = redirect
        closed(server)

        assert await read(server, ALICE) == EXPECTED

    assert elsewhere == [""]
    assert {given for _, path, given in server.seen if "blobs" in path} == {BASIC}


async def test_password_is_taken_along_on_the_same_host() -> None:
    server = inline()
    body = server.objects[blob_of(server)]
    server.objects["moved"] = body
    server.instead["GET", blob_of(server)] = constantly(
        status=302, headers={"Location": "/v2/x/moved"}
    )
    closed(server)

    assert await read(server, ALICE) == EXPECTED
    assert ("GET", "/v2/x/moved", BASIC) in server.seen


async def test_password_is_not_sent_before_it_is_asked_for() -> None:
    server = inline()

    assert await read(server, ALICE) == EXPECTED
    assert {given for _, _, given in server.seen} == {""}


async def test_token_server_that_refuses_is_explained_and_asked_once_for_each_password() -> None:
    server = inline()

    async def wants_token(request: web.Request) -> web.Response:
        realm = f'Bearer realm="http://{server.host}/token",service="s"'
        return web.Response(status=401, headers={"WWW-Authenticate": realm})

    server.instead["*", "manifests/1"] = wants_token
    server.instead["*", "/token"] = constantly(status=401)

    with pytest.raises(Unauthorized, match="explanation"):
        await read(server, ALICE)

    assert [path for _, path, _ in server.seen] == ["/v2/x/manifests/1", "/token"]


# --- lies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["manifest", "config", "layer"])
async def test_body_that_is_not_what_its_digest_says_is_refused(name: str) -> None:
    content = tar({"run.yaml": TEXT})
    server = layered(content)
    target = {
        "manifest": f"manifests/{server.digest}",
        "config": blob_of(server),
        "layer": f"blobs/{digest(gzip.compress(content, mtime=0))}",
    }[name]
    body, content_type = server.objects[target]
    forged = body[:-1] + bytes([body[-1] ^ 1])
    server.instead["GET", target] = constantly(body=forged, content_type=content_type)

    with pytest.raises(BadAnswer, match="is not what its digest says"):
        await read(server)


async def test_registry_that_says_no_digest_is_read_all_the_same() -> None:
    server = inline()
    body, content_type = server.objects["manifests/1"]
    server.instead["*", "manifests/1"] = constantly(body=body, content_type=content_type)

    assert await read(server) == EXPECTED


@pytest.mark.parametrize("said", ["sha256:abc", "md5:" + "a" * 32, "x" * 100])
async def test_digest_that_is_none_is_refused(said: str) -> None:
    server = inline()
    server.instead["HEAD", "manifests/1"] = constantly(headers={"Docker-Content-Digest": said})

    with pytest.raises(BadAnswer, match="another digest"):
        await read(server)


async def test_index_that_leads_to_itself_or_another_index_is_refused() -> None:
    server = inline()
    inner = json.dumps({"mediaType": manifests.OCI_INDEX, "manifests": []}).encode()
    server.objects[f"manifests/{digest(inner)}"] = inner, manifests.OCI_INDEX
    entry = {
        "mediaType": manifests.OCI_INDEX,
        "digest": digest(inner),
        "size": len(inner),
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    server.manifest(mediaType=manifests.OCI_INDEX, manifests=[entry])

    with pytest.raises(BadAnswer, match="leads to another index"):
        await read(server)


# --- floods --------------------------------------------------------------------------------


async def flood(request: web.Request) -> web.StreamResponse:
    """Never ends."""
    response = web.StreamResponse(headers={"Docker-Content-Digest": digest(b"")})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(bytes(65536))
    return response


async def test_flood_stops_at_the_limit() -> None:
    server = inline()
    server.instead["GET", f"manifests/{server.digest}"] = flood

    with pytest.raises(TooLarge, match="more than the 4194304 bytes allowed"):
        await read(server)


async def test_what_claims_to_be_too_large_is_not_fetched() -> None:
    server = layered(tar({"run.yaml": TEXT}))
    manifest = json.loads(server.objects["manifests/1"][0])
    manifest["layers"][0]["size"] = layer.MAX_COMPRESSED + 1
    server.manifest(**{key: manifest[key] for key in ("config", "layers")})

    with pytest.raises(TooLarge, match="layer with the config is 8388609 bytes"):
        await read(server)
    assert not any(manifest["layers"][0]["digest"] in path for _, path, _ in server.seen)


async def test_blob_that_is_longer_than_the_manifest_says_is_refused() -> None:
    server = inline()
    server.instead["GET", blob_of(server)] = flood

    with pytest.raises(TooLarge):
        await read(server)


async def test_bomb_in_a_layer_is_refused() -> None:
    content = tar({"run.yaml": TEXT, "zeros": bytes(layer.MAX_UNPACKED + 1)})
    assert len(gzip.compress(content)) < layer.MAX_COMPRESSED

    with pytest.raises(TooLarge, match="unpacks to more than"):
        await read(layered(content))


async def test_large_body_of_a_failure_is_not_read() -> None:
    server = inline()

    async def failing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(bytes(65536))
        return response

    server.instead["GET", f"manifests/{server.digest}"] = failing

    with pytest.raises(Unavailable, match=r"is in trouble \(500\)"):
        await read(server)


# --- delays and detours --------------------------------------------------------------------


@pytest.mark.parametrize("after_headers", [False, True])
async def test_silence_ends_at_the_deadline(after_headers: bool) -> None:
    server = inline()

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if after_headers:
            await response.prepare(request)
        await asyncio.Event().wait()
        return response

    server.instead["GET", f"manifests/{server.digest}"] = silent

    with pytest.raises(DeadlineExceeded, match="did not answer in time"):
        await read(server, call_timeout_s=0.3)


async def test_redirects_in_circles_end() -> None:
    server = inline()
    here = f"/v2/x/manifests/{server.digest}"
    server.instead["GET", f"manifests/{server.digest}"] = constantly(
        status=302, headers={"Location": here}
    )

    with pytest.raises(BadAnswer, match="in circles"):
        await read(server)
    assert len([path for method, path, _ in server.seen if (method, path) == ("GET", here)]) == 6


@pytest.mark.parametrize("location", ["", "ftp://x/y", "http://[", "http://u:p@x/", "file:///etc"])
async def test_redirect_to_nowhere_is_refused(location: str) -> None:
    server = inline()
    server.instead["GET", f"manifests/{server.digest}"] = constantly(
        status=302, headers={"Location": location}
    )

    with pytest.raises(BadAnswer, match="redirects to something"):
        await read(server)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"status": 429, "headers": {"Retry-After": "77"}}, Unavailable, "asks for patience"),
        ({"status": 503}, Unavailable, r"is in trouble \(503\)"),
        ({"status": 404, "text": "<html>secret"}, ImageNotFound, r"\(404\)"),
        ({"status": 403}, Unauthorized, r"\(403\): explanation"),
        ({"status": 401}, Unauthorized, r"\(401\): explanation"),
        ({"status": 418}, BadAnswer, "answered 418"),
        (
            {"status": 401, "headers": {"WWW-Authenticate": 'Bearer realm="ftp://x"'}},
            BadAnswer,
            "token server that is no",
        ),
        ({"status": 401, "headers": {"WWW-Authenticate": "Negotiate"}}, Unauthorized, "401"),
    ],
)
async def test_failure_says_what_it_is_and_nothing_that_the_registry_wrote(
    answer: dict[str, Any], error: type[RegistryError], message: str
) -> None:
    server = inline()
    server.instead["*", "manifests/1"] = constantly(**answer)

    with pytest.raises(error, match=message) as failed:
        await read(server)

    assert "secret" not in str(failed.value)
    assert failed.value.retry_after_s == (77 if answer["status"] == 429 else 0)


async def test_what_does_not_speak_http_is_said_so() -> None:
    async def gibberish(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(gibberish, "127.0.0.1", 0)
    host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    tls = ssl.create_default_context()
    async with listening, Http(tls=tls, plain_http=[host], user_agent="t") as http:
        with pytest.raises(RegistryError, match=r"does not speak HTTP|the connection broke"):
            await fetch(http, reference.parse(f"{host}/x"), Pull((), "", lambda _: None, "amd64"))


async def test_proxy_of_the_environment_is_used_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        seen.append(f"{request.host}{request.path}")
        return web.Response(status=404)

    tls = ssl.create_default_context()
    pull = Pull((), "", lambda _: None, "amd64")
    image = reference.parse("registry.invalid/x")
    async with serving(proxy) as host:
        monkeypatch.setenv("http_proxy", f"http://{host}")
        async with Http(tls=tls, plain_http=["registry.invalid"], user_agent="t") as http:
            with pytest.raises(ImageNotFound):
                await fetch(http, image, pull)
        assert seen == ["registry.invalid/v2/x/manifests/latest"]
        monkeypatch.setenv("no_proxy", ".invalid")
        async with Http(tls=tls, plain_http=["registry.invalid"], user_agent="t") as http:
            with pytest.raises(Unavailable, match="its name cannot be resolved"):
                await fetch(http, image, pull)
        monkeypatch.delenv("no_proxy")
    async with Http(tls=tls, plain_http=["registry.invalid"], user_agent="t") as http:
        with pytest.raises(Unavailable, match="through the operator's proxy"):
            await fetch(http, image, pull)


async def test_config_that_is_none_is_refused_with_its_reason() -> None:
    server = Server(Image({BASE64: base64.b64encode(b"version: 7").decode()}))

    with pytest.raises(BadLabel, match=r"Unsupported config\.yaml version 7"):
        await read(server)
