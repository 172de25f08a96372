# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A stand-in for inference endpoints that writes down what it was asked.

It answers like vLLM and everything else that speaks OpenAI's API: models, chat (whole or streamed),
completions, embeddings and moderations. The path before these words does not matter, so one
endpoint serves as the base URL of any vendor: ``endpoint.url`` ends in ``/v1``,
``endpoint.at("/openai/v1")`` is Groq's place, and so on. What the operator wrote as a credential is
then in ``requests[n].authorization``.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

DIMENSION = 8
"""Length of the vectors that it answers with."""

ANSWER = "hello from the stand-in"
"""What every chat ends with."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request.

    Attributes:
        method: e.g. ``POST``.
        path: without the query.
        authorization: the header of that name, empty without.
        body: the JSON that was sent, None without.
        headers: all of them, names in lower case.
    """

    method: str
    path: str
    authorization: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class OpenAIEndpoint:
    """The endpoint; an asynchronous context manager.

    Args:
        api_keys: if given, a request without one of them as its bearer token is answered 401.
        models: the identifiers that ``/models`` lists.
        tls: to answer by HTTPS.
    """

    def __init__(
        self,
        api_keys: Collection[str] | None = None,
        models: Sequence[str] = ("fake/llama-3", "fake/embedding"),
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Seen] = []
        self.models = list(models)
        self._api_keys = api_keys
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL that ends in ``/v1``."""
        return self.at("/v1")

    def at(self, path: str) -> str:
        """A base URL with another path; every path works."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}{path}"

    def seen(self, ending: str) -> list[Seen]:
        """The requests whose path ends so."""
        return [request for request in self.requests if request.path.endswith(ending)]

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        address: tuple[str, int] = self._runner.addresses[0]
        self._port = address[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw.decode(errors="replace")
        authorization = request.headers.get("Authorization", "")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Seen(request.method, request.path, authorization, body, headers))
        if self._api_keys is not None and authorization.removeprefix("Bearer ") not in {
            *self._api_keys
        }:
            error = {"message": "wrong API key", "code": "invalid_api_key"}
            return web.json_response({"error": error}, status=401)
        return await self._answer(request, body if isinstance(body, dict) else {})

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if request.method == "GET" and path.endswith(("/health", "/version")):
            return web.json_response({"version": "0.0.0"})
        if request.method == "GET" and path.endswith("/models"):
            return web.json_response({"object": "list", "data": [_model(m) for m in self.models]})
        if request.method == "GET" and path.endswith("/api/tags"):  # Ollama's own
            return web.json_response({"models": [{"name": m, "model": m} for m in self.models]})
        if request.method == "POST" and path.endswith("/chat/completions"):
            return await _stream(request, body) if body.get("stream") else _chat(body)
        if request.method == "POST" and path.endswith("/embeddings"):
            return _embeddings(body)
        if request.method == "POST" and path.endswith("/moderations"):
            result = {"flagged": False, "categories": {}, "category_scores": {}}
            answer = {"id": "modr-1", "model": body.get("model"), "results": [result]}
            return web.json_response(answer)
        if request.method == "POST" and path.endswith("/completions"):
            choice = {"index": 0, "text": ANSWER, "finish_reason": "stop", "logprobs": None}
            return web.json_response(_envelope(body, "text_completion", [choice]))
        return web.json_response({"error": {"message": f"no such path: {path}"}}, status=404)


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 1,
        "owned_by": "vllm",
        "root": name,
        "max_model_len": 8192,
    }


def _envelope(body: dict[str, Any], kind: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": kind,
        "created": 1,
        "model": body.get("model", ""),
        "choices": choices,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


def _chat(body: dict[str, Any]) -> web.Response:
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response(_envelope(body, "chat.completion", [choice]))


async def _stream(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for delta, reason in (
        ({"role": "assistant", "content": ""}, None),
        ({"content": ANSWER}, None),
        ({}, "stop"),
    ):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = _envelope(body, "chat.completion.chunk", [choice])
        if reason is None:
            chunk["usage"] = None
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


def _embeddings(body: dict[str, Any]) -> web.Response:
    texts = body.get("input")
    count = len(texts) if isinstance(texts, list) else 1
    vector = [0.1] * int(body.get("dimensions") or DIMENSION)
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(count)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    model = body.get("model", "")
    return web.json_response({"object": "list", "model": model, "data": data, "usage": usage})
