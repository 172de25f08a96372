# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What can be asked of a running server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable, Collection, Iterable

from aiohttp import ClientError

from hack.servers.endpoint import ANSWER, DIMENSION, Seen
from hack.servers.errors import ServerAnswered
from hack.servers.services import Redis
from tests.support.matrix.case import Probe, Running, Services

MODEL = "fake/llama-3"
"""A model that the stand-in for endpoints lists."""

EMBEDDING = "fake/embed"
"""One for embeddings."""

TEXT = "remember this"

_ARRIVES_S = 20.0
_UNANSWERED = (ServerAnswered, ClientError, AssertionError, TimeoutError)


def credential_in(requests: Iterable[Seen], value: str) -> bool:
    """Whether a header of some request carries a value, plain or as a password."""
    return any(
        value in text for seen in requests for header in seen.headers.values()
        for text in (header, _basic(header))
    )  # fmt: skip


def _basic(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme != "Basic":
        return ""
    with contextlib.suppress(ValueError):
        return base64.b64decode(credentials).decode()
    return ""


def chat(provider_id: str, *, key: str = "") -> Probe:
    """A chat reaches the endpoint through a provider, with its credential.

    Args:
        provider_id: of the provider.
        key: the credential; empty to expect none.
    """

    async def probe(running: Running) -> str:
        endpoint = running.around.endpoint
        before = len(endpoint.requests)
        body = {
            "model": f"{provider_id}/{MODEL}",
            "messages": [{"role": "user", "content": "hello"}],
        }
        answer = await running.server.post("/v1/chat/completions", body)
        said = answer["choices"][0]["message"]["content"]
        assert said == ANSWER, f"chat with {provider_id} said {said!r}"
        chats = [s for s in endpoint.requests[before:] if s.path.endswith("/chat/completions")]
        assert chats, f"the chat with {provider_id} did not arrive at its endpoint"
        asked = chats[0].body["model"]
        assert asked == MODEL, f"the endpoint was asked for the model {asked!r}"
        if not key:
            return "chat arrived"
        assert credential_in(chats, key), (
            f"the chat with {provider_id} arrived without its key; it sent "
            f"{sorted(chats[0].headers)}"
        )
        return "chat arrived with the key"

    return probe


def arrived(keys: Iterable[str], act: Probe | None = None) -> Probe:
    """Each credential arrives at the endpoint, at boot or when something is done.

    Args:
        keys: the credentials.
        act: what to do for it; its failure does not matter, a stand-in cannot answer everything.
    """

    async def probe(running: Running) -> str:
        endpoint = running.around.endpoint
        wanted = list(keys)
        deadline = time.monotonic() + _ARRIVES_S
        while time.monotonic() < deadline:
            # More than once: a server that has just started knows its models a little later.
            if act is not None:
                with contextlib.suppress(*_UNANSWERED):
                    await asyncio.wait_for(act(running), _ARRIVES_S)
            for _ in range(20):
                if all(credential_in(endpoint.requests, value) for value in wanted):
                    return "key arrived"
                await asyncio.sleep(0.05)
        seen = [f"{s.method} {s.path}" for s in endpoint.requests]
        raise AssertionError(f"the key did not arrive; the endpoint saw {seen}")

    return probe


def vector_store(provider_id: str, *, embedder: str = "embedder") -> Probe:
    """Text is stored in a vector database and found again.

    Args:
        provider_id: of the database.
        embedder: id of the inference provider that serves the embedding model.
    """

    async def probe(running: Running) -> str:
        server = running.server
        body = {
            "name": f"store-{provider_id}",
            "provider_id": provider_id,
            "embedding_model": f"{embedder}/{EMBEDDING}",
            "embedding_dimension": DIMENSION,
        }
        store = await server.post("/v1/vector_stores", body)
        chunk = {
            "content": TEXT,
            "chunk_id": "chunk-1",
            "metadata": {"document_id": "document-1"},
            "chunk_metadata": {"document_id": "document-1", "chunk_id": "chunk-1"},
            "embedding": [0.2] * DIMENSION,  # 0.4 divides by the distance
            "embedding_model": f"{embedder}/{EMBEDDING}",
            "embedding_dimension": DIMENSION,
        }
        identity = {"vector_store_id": store["id"], "vector_db_id": store["id"]}
        await server.post("/v1/vector-io/insert", {**identity, "chunks": [chunk]})
        found = await server.post("/v1/vector-io/query", {**identity, "query": "anything"})
        assert TEXT in str(found), f"the text was not found again: {found}"
        return "text found again"

    return probe


async def uploaded(running: Running) -> str:
    """A file is uploaded."""
    await running.server.upload("/v1/files", "note.txt", TEXT.encode(), purpose="assistants")
    return "file uploaded"


async def conversation(running: Running) -> str:
    """A conversation is kept and comes back."""
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "remember me"}],
    }
    made = await running.server.post("/v1/conversations", {"items": [item]})
    back = await running.server.get(f"/v1/conversations/{made['id']}/items")
    assert "remember me" in str(back), f"the conversation came back as {back}"
    return "conversation kept"


def absent(*apis: str) -> Probe:
    """APIs are not there: no provider, no path."""

    async def probe(running: Running) -> str:
        listed = {item["api"] for item in (await running.server.get("/v1/providers"))["data"]}
        there = listed & set(apis)
        assert not there, f"disabled APIs with providers: {sorted(there)}"
        return f"{', '.join(apis)} gone"

    return probe


def shield(shield_id: str, model: str) -> Probe:
    """A shield is registered with its model."""

    async def probe(running: Running) -> str:
        listed = (await running.server.get("/v1/shields"))["data"]
        found = {item["identifier"]: item.get("provider_resource_id") for item in listed}
        assert found.get(shield_id) == model, f"shields are {found}"
        return "shield listed"

    return probe


def tools(groups: Collection[str]) -> Probe:
    """Web search and file search are among the server's tools.

    Args:
        groups: tool groups that are registered besides, in eras that have them.
    """

    async def probe(running: Running) -> str:
        listed = str(await running.server.get("/v1/tools"))
        assert "web_search" in listed, f"no web search among the tools: {listed}"
        assert "file_search" in listed or "knowledge_search" in listed, listed
        if groups:
            answer = await running.server.get("/v1/toolgroups")
            found = {item["identifier"] for item in answer["data"]}
            assert found >= set(groups), f"tool groups are {sorted(found)}"
        return "tools listed"

    return probe


def in_redis(which: Callable[[Services], Redis], prefix: str) -> Probe:
    """The server's keys are in a Redis, under the resource's own prefix."""

    async def probe(running: Running) -> str:
        redis = which(running.around.services)
        listed = await asyncio.to_thread(redis.cli, "--raw", "KEYS", f"*{prefix}*")
        assert "registry" in listed, f"no registry among the keys {listed!r}"
        return "data in Redis"

    return probe


def in_postgres(table: str, text: str) -> Probe:
    """A table of the case's database holds a text."""

    async def probe(running: Running) -> str:
        postgres, database = running.around.services.postgres, running.around.database
        # Tables may have a prefix of the resource's own.
        names = "select table_schema, table_name from information_schema.tables"
        statement = f"{names} where table_name like '%{table}'"

        def content() -> str:
            rows = postgres.query(statement, database).splitlines()
            return "\n".join(
                postgres.query(f'table "{schema}"."{name}"', database)
                for schema, name in (row.split("|") for row in rows)
            )

        seen = await asyncio.to_thread(content)
        for _ in range(20):  # the server writes its log of completions when it has time
            if text in seen:
                return "data in PostgreSQL"
            await asyncio.sleep(0.25)
            seen = await asyncio.to_thread(content)
        raise AssertionError(f"no {text!r} in {table}: {seen[:500]!r}")

    return probe


def tables_in_postgres(*tables: str) -> Probe:
    """The case's database has the tables of the server, whatever their prefix."""

    async def probe(running: Running) -> str:
        postgres, database = running.around.services.postgres, running.around.database
        statement = "select table_name from information_schema.tables where table_schema = 'public'"
        found = (await asyncio.to_thread(postgres.query, statement, database)).split()
        for table in tables:
            assert any(name.endswith(table) for name in found), f"no {table} among {found}"
        return "tables in PostgreSQL"

    return probe


async def metrics_arrived(running: Running) -> str:
    """The server's metrics reach the collector."""
    endpoint = running.around.endpoint
    for _ in range(100):
        if endpoint.seen("/v1/metrics"):
            return "metrics arrived"
        await asyncio.sleep(0.1)
    raise AssertionError(f"no metrics, only {sorted({s.path for s in endpoint.requests})}")
