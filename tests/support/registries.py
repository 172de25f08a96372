# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A registry with one image that does as a test tells it, and what the client makes of it."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from hack.servers.images import CONFIG, MANIFEST, Image
from hack.servers.images import LAYER as LAYER_TYPE
from hack.servers.registry import digest
from llamastack_operator.oci import reference
from llamastack_operator.oci.client import Pull, fetch
from llamastack_operator.oci.http import Http
from llamastack_operator.oci.keyring import Credential
from llamastack_operator.oci.labels import BASE64, LAYER, PATH

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ALICE = Credential("alices", "alice", "wonderland")
BASIC = "Basic YWxpY2U6d29uZGVybGFuZA=="
TEXT = b"version: 2\ndistro_name: mine\napis: [responses]\nproviders: {}\n"


class Server:
    """Serves one image at ``/v2/x``, but for what a test puts in its place."""

    def __init__(self, image: Image) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.instead: dict[tuple[str, str], Handler] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.host = ""
        config = image.config()
        blobs = [(config, CONFIG), *((packed, LAYER_TYPE) for packed in image.packed)]
        entries = [self.blob(body, media_type) for body, media_type in blobs]
        self.manifest(config=entries[0], layers=entries[1:])

    def blob(self, body: bytes, media_type: str) -> dict[str, Any]:
        self.objects[f"blobs/{digest(body)}"] = body, media_type
        return {"mediaType": media_type, "digest": digest(body), "size": len(body)}

    def manifest(self, **fields: Any) -> None:
        body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **fields}).encode()
        self.digest = digest(body)
        for name in ("1", self.digest):
            self.objects[f"manifests/{name}"] = body, MANIFEST

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, request.headers.get("Authorization", "")))
        name = request.path.removeprefix("/v2/x/")
        for method in (request.method, "*"):
            if (method, name) in self.instead:
                return await self.instead[method, name](request)
        if name not in self.objects:
            return web.json_response({"errors": [{"code": "NAME_UNKNOWN"}]}, status=404)
        body, content_type = self.objects[name]
        headers = {"Docker-Content-Digest": digest(body)}
        return web.Response(body=body, content_type=content_type, headers=headers)


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def read(
    server: Server, *credentials: Credential, call_timeout_s: float = 5.0
) -> bytes | None:
    """The digest of what was found, for brevity."""
    async with serving(server.handle) as host:
        server.host = host
        tls = ssl.create_default_context()
        async with Http(
            tls=tls, plain_http=[host], user_agent="t", call_timeout_s=call_timeout_s
        ) as http:
            pull = Pull(credentials, "explanation", lambda _: None, "amd64")
            content = await fetch(http, reference.parse(f"{host}/x:1"), pull)
    return None if content.base is None else content.base.digest.encode()


def inline() -> Server:
    return Server(Image({BASE64: base64.b64encode(TEXT).decode()}))


def layered(content: bytes) -> Server:
    return Server(Image({LAYER: digest(content), PATH: "run.yaml"}, [content]))


EXPECTED = digest(TEXT).removeprefix("sha256:").encode()


def constantly(**answer: Any) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(**answer)

    return handler


async def asking(request: web.Request) -> web.Response:
    """A registry that wants a password for everything."""
    headers = {"WWW-Authenticate": 'Basic realm="x"'}
    return web.Response(status=401, headers=headers)


def blob_of(server: Server) -> str:
    manifest = json.loads(server.objects["manifests/1"][0])
    return f"blobs/{manifest['config']['digest']}"


def closed(server: Server) -> None:
    """Lets in only who has the password."""
    open_to_all = dict(server.instead)
    names = [*server.objects]
    for name in names:
        inner = open_to_all.get(("GET", name))

        async def guarded(
            request: web.Request, name: str = name, inner: Handler | None = inner
        ) -> web.StreamResponse:
            if request.headers.get("Authorization") != BASIC:
                return await asking(request)
            if inner is not None:
                return await inner(request)
            body, content_type = server.objects[name]
            headers = {"Docker-Content-Digest": digest(body)}
            return web.Response(body=body, content_type=content_type, headers=headers)

        server.instead["*", name] = guarded
        server.instead.pop(("GET", name), None)
