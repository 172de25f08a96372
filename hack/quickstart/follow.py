# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Creates the sample and follows its status, with the operator's own transport and informer.

A watch, not a poll: on simulated nodes a resource is Ready after a fifth of a second, and the
states on the way there are what one came to see.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from api.conditions import conditions_of
from controller.llamastack.objects.kinds import EVENT, LLAMA_STACK, SECRET
from hack.quickstart.road import Road, Step, is_ready
from hack.quickstart.screen import Screen
from informers.errors import AlreadyExists, NotFound, ServerError
from informers.informer import Informer
from informers.ports import Object, ObjectKey, Resource
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.patience import COMMAND_PATIENCE_S
from llamastack_operator.kube.rest import Client

AGENT = "llamastack-operator-quickstart"
_TICK_S = 0.2
_EVENTS = 10
_TRUSTED_S = 30.0  # the operator says whose certificate it has, and the API server hears of it
_NOT_ASKED = "failed calling webhook"
_RESOURCES = {resource.kind: resource for resource in (SECRET, LLAMA_STACK)}


class NotReadyInTime(Exception):
    """The resource is not Ready; the text says what its conditions and Events say."""


class _Changes:
    """A handler that hands on every state of one resource; ``None`` when it is gone."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Object | None] = asyncio.Queue()

    def on_add(self, obj: Object, *, initial: bool) -> None:
        self.queue.put_nowait(obj)

    def on_update(self, old: Object, new: Object) -> None:
        self.queue.put_nowait(new)

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        self.queue.put_nowait(None)


class Follower:
    """One resource of one cluster on one screen; watches it inside ``async with``.

    Args:
        client: of the cluster.
        key: of the resource.
        screen: where to show it.
        alive: raises when there is no operator any more.
    """

    def __init__(
        self, client: Client, key: ObjectKey, screen: Screen, alive: Callable[[], None]
    ) -> None:
        self._client = client
        self._key = key
        self._screen = screen
        self._alive = alive
        self._road = Road()
        self._changes = _Changes()
        self._informer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Follower:
        source = self._client.lister_watcher(
            LLAMA_STACK,
            namespace=self._key.namespace,
            field_selector=f"metadata.name={self._key.name}",
        )
        informer = Informer(source, name=AGENT)
        informer.add_handler(self._changes)
        self._informer = asyncio.create_task(informer.run(), name="quickstart-informer")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._informer is not None:
            self._informer.cancel()
            await asyncio.wait([self._informer])

    async def create(self, manifests: Iterable[dict[str, Any]]) -> None:
        """Create objects; what is there already is left as it is.

        Raises:
            ApiError: the API server refused one.
        """
        for manifest in manifests:
            resource = _RESOURCES[manifest["kind"]]
            name = manifest["metadata"]["name"]
            manifest["metadata"]["namespace"] = self._key.namespace
            try:
                await self._create(resource, manifest)
            except AlreadyExists:
                step = Step("Left as it was", detail=f"{resource.kind} {name} exists already")
            else:
                step = Step("Created", detail=f"{resource.kind} {name}")
            self._screen.show(step)

    async def _create(self, resource: Resource, manifest: dict[str, Any]) -> None:
        """Create an object, as soon as the API server has heard whom to trust.

        Raises:
            ApiError: the API server refused it.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + _TRUSTED_S
        while True:
            try:
                await self._client.create(resource, manifest, manager=AGENT)
            except ServerError as error:
                if _NOT_ASKED not in error.message or loop.time() > ends:
                    raise
                await asyncio.sleep(_TICK_S)
            else:
                return

    async def until_ready(self, deadline_s: float) -> None:
        """Show what happens until the resource is Ready.

        Raises:
            NotReadyInTime: it is not.
            ProcessFailedError: the operator ended.
        """
        try:
            async with asyncio.timeout(deadline_s):
                while not await self._step(waiting=True):
                    pass
        except TimeoutError:
            raise NotReadyInTime(
                f"{self._key} is not Ready after {deadline_s:.0f} s\n{await self._explanation()}"
            ) from None

    async def forever(self) -> None:
        """Show what happens until interrupted.

        Raises:
            ProcessFailedError: the operator ended.
        """
        while True:
            await self._step(waiting=False)

    async def _step(self, *, waiting: bool) -> bool:
        """Show the next state, or that time passes; whether it is Ready."""
        self._alive()
        if self._informer is not None and self._informer.done():
            self._informer.result()
        try:
            async with asyncio.timeout(_TICK_S):
                state = await self._changes.queue.get()
        except TimeoutError:
            if waiting:
                self._screen.tick("waiting …")
            return False
        if state is None:
            self._screen.show(Step("Deleted", detail=str(self._key)))
            self._road = Road()
            return False
        for step in self._road.look(state):
            self._screen.show(step)
        return is_ready(state)

    async def _explanation(self) -> str:
        """Conditions and Events: all that a user could look up."""
        try:
            resource = await self._client.get(LLAMA_STACK, self._key)
        except NotFound:
            return "  it does not exist any more"
        lines = [
            f"  {c['type']:18} {c['status']:8} {c.get('reason', '')}: {c.get('message', '')}"
            for c in conditions_of(resource)
        ]
        lines = lines or ["  no status: the operator has not looked at it"]
        events = await self._client.list_all(EVENT, namespace=self._key.namespace)
        return "\n".join([*lines, *_event_lines(events, self._key.name)])


def _event_lines(events: tuple[Object, ...], name: str) -> list[str]:
    """The latest Events of the resource and of its children, whose names begin with its name."""

    def concerns(event: Object) -> bool:
        return str((event.get("regarding") or {}).get("name", "")).startswith(name)

    def when(event: Object) -> str:
        created: dict[str, Any] = event["metadata"]
        return str(event.get("eventTime") or created.get("creationTimestamp", ""))

    return [
        f"  Event {e.get('type')} {e['regarding'].get('kind')} {e['regarding'].get('name')}: "
        f"{e.get('reason')}: {e.get('note', '')}"
        for e in sorted(filter(concerns, events), key=when)[-_EVENTS:]
    ]


@contextlib.asynccontextmanager
async def client_of(kubeconfig: str) -> AsyncIterator[Client]:
    """A client that the audit log tells from the operator's."""
    async with Client(
        await connect(Source(kubeconfig)), user_agent=AGENT, patience_s=COMMAND_PATIENCE_S
    ) as client:
        yield client
