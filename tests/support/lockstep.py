# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The same calls to two API servers, and whether they answer alike.

Each server makes up its own uids and versions, so a call names what it means ("the version seen
first") and each side puts in its own; answers are compared with every uid and version replaced by
the order in which it was first seen.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from informers.errors import NotFound, StatusError
from informers.ports import ByteStream, ObjectKey, Resource
from llamastack_operator.events.recorder import MERGE_PATCH
from llamastack_operator.kube.listwatch import JSON
from llamastack_operator.kube.rest import APPLY, Client
from tests.support.fakeapi.field_sets import MalformedObject, Path, children, to_field_set
from tests.support.fakeapi.managed_fields import managers_of
from tests.support.fakeapi.merge_schema import Node, node_of

Json: TypeAlias = dict[str, Any]
Facts: TypeAlias = dict[str, Any]
Which: TypeAlias = Literal["none", "last", "first", "wrong"]
"""A uid or version: none is sent, the last one seen of the object, the first one, or nobody's."""

LABELS = "x=1"
"""A selector that some objects of a program match at times."""

_WRONG_UID = "00000000-0000-4000-8000-000000000000"
_WRONG_VERSION = "3"
_SENTINEL = "zz-the-end"


@dataclass(frozen=True)
class Step:
    """One call.

    Attributes:
        verb: create, apply, replace, json-patch, merge-patch, delete, get or list.
        name: of the object.
        body: manifest without kind and name, or patch.
        manager: who writes.
        uid: in the manifest of an apply, or the precondition of a delete.
        version: likewise.
        force: of an apply.
        subresource: of an apply.
        labels: of a list.
    """

    verb: str
    name: str = ""
    body: Any = None
    manager: str = "one"
    uid: Which = "none"
    version: Which = "none"
    force: bool = True
    subresource: str = ""
    labels: str = ""


@dataclass
class Sent:
    """The fields that a program sends, for kinds of which the API server fills in others.

    Args:
        resource: the kind.
        all_count: whether there is nothing that the server fills in.
    """

    resource: Resource
    all_count: bool
    _fields: set[Path] = field(default_factory=set)

    def note(self, step: Step) -> None:
        """A call is about to be made."""
        if isinstance(step.body, dict):
            with contextlib.suppress(MalformedObject):  # nothing of it will be stored
                self._fields |= to_field_set(step.body, node_of(self.resource))

    def counts(self, path: Path) -> bool:
        """Whether a field has to be the same on both sides."""
        return self.all_count or path[0] == "f:metadata" or path in self._fields


@dataclass
class _Names:
    """Replaces what a server made up by the order in which it was first seen."""

    prefix: str
    seen: dict[str, str] = field(default_factory=dict)

    def of(self, value: str) -> str:
        return self.seen.setdefault(value, f"{self.prefix}{len(self.seen) + 1}")


@dataclass
class Side:
    """One of the two servers, as one program sees it.

    Args:
        client: its client.
        resource: the kind that the program is about.
        namespace: in which everything happens.
        sent: what is compared.
    """

    client: Client
    resource: Resource
    namespace: str
    sent: Sent
    _seen: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _uids: _Names = field(default_factory=lambda: _Names("uid-"))
    _versions: _Names = field(default_factory=lambda: _Names("version-"))
    _streams: list[ByteStream] = field(default_factory=list)

    async def watch(self, stack: AsyncExitStack) -> None:
        """Begin to watch everything, and metadata of what has a label; see `events`."""
        for labels in ("", LABELS):
            source = self.client.lister_watcher(
                self.resource,
                namespace=self.namespace,
                label_selector=labels,
                metadata_only=bool(labels),
            )
            page = await source.list_page(resource_version=None, limit=None, continue_token="")
            watch = source.watch(
                resource_version=page.resource_version, timeout_seconds=60, initial_events=False
            )
            self._streams.append(await stack.enter_async_context(watch))

    async def events(self, final: Json) -> list[list[Facts]]:
        """What each watch showed since it began.

        Args:
            final: content of an object that is created now, so that the end is known.
        """
        name, _, value = LABELS.partition("=")
        body = {**final, "metadata": {"labels": {name: value}}}
        await self._call(Step("create", _SENTINEL, body))
        return [[fact async for fact in self._shown(stream)] for stream in self._streams]

    async def _shown(self, stream: ByteStream) -> AsyncIterator[Facts]:
        text = b""
        while True:
            text += await stream.read()
            *lines, text = text.split(b"\n")
            for event in map(json.loads, lines):
                if event["object"]["metadata"].get("name") == _SENTINEL:
                    return
                if event["type"] != "BOOKMARK":
                    yield {"type": event["type"], **self._facts(event["object"])}

    async def answer(self, step: Step) -> list[Facts]:
        """Of a call, in a form that can be compared; one entry for each object."""
        try:
            answer = await self._call(step)
        except StatusError as error:
            names = sorted({name for _, name, _ in error.causes})
            return [{"error": type(error).__name__, "code": error.code, "fields": names}]
        if answer is None:
            return []
        return [self._facts(obj) for obj in (answer if isinstance(answer, tuple) else (answer,))]

    async def _call(self, step: Step) -> Any:
        client, resource, key = self.client, self.resource, ObjectKey(self.namespace, step.name)
        match step.verb:
            case "get":
                return await client.get(resource, key)
            case "list":
                return await client.list_all(
                    resource, namespace=self.namespace, label_selector=step.labels
                )
            case "create":
                return await client.create(resource, self._manifest(step), manager=step.manager)
            case "apply" if step.force:
                return await client.apply(
                    resource,
                    self._manifest(step),
                    manager=step.manager,
                    subresource=step.subresource,
                )
            case "json-patch":
                patch = await self._patch(step, key)
                return await client.json_patch(resource, key, patch, manager=step.manager)
            case "delete":
                uid = self._made_up(step, "uid") or _WRONG_UID
                version = self._made_up(step, "resourceVersion")
                return await client.delete(resource, key, uid=uid, resource_version=version)
            case _:
                return await self._request(step)

    async def _request(self, step: Step) -> Any:
        """What the client has no method for, because the operator does not do it."""
        method, content_type, body = {
            "apply": ("PATCH", APPLY, self._manifest(step)),
            "replace": ("PUT", JSON, self._manifest(step)),
            "merge-patch": ("PATCH", MERGE_PATCH, step.body),
        }[step.verb]
        return await self.client.request(
            method,
            self.resource.path(namespace=self.namespace, name=step.name),
            query={"fieldManager": step.manager},
            body=body,
            content_type=content_type,
        )

    async def _patch(self, step: Step, key: ObjectKey) -> list[Json]:
        """The operations; those that depend on the live object are made from it."""
        if not callable(step.body):
            operations: list[Json] = step.body
            return operations
        try:
            live = await self.client.get(self.resource, key)
        except NotFound:
            return []
        made: list[Json] = step.body(copy.deepcopy(live))
        return made

    def _manifest(self, step: Step) -> Json:
        manifest: Json = copy.deepcopy(step.body)
        metadata = {**manifest.get("metadata", {}), "name": step.name, "namespace": self.namespace}
        if uid := self._made_up(step, "uid"):
            metadata["uid"] = uid
        if version := self._made_up(step, "resourceVersion"):
            metadata["resourceVersion"] = version
        kind = {"apiVersion": self.resource.api_version, "kind": self.resource.kind}
        return {**kind, **manifest, "metadata": metadata}

    def _made_up(self, step: Step, what: str) -> str:
        which = step.uid if what == "uid" else step.version
        if which == "none":
            return ""
        seen = self._seen.get((step.name, what))
        if which == "wrong" or not seen:
            return _WRONG_UID if what == "uid" else _WRONG_VERSION
        return seen[0 if which == "first" else -1]

    def _facts(self, obj: Mapping[str, Any]) -> Facts:
        metadata = {**obj["metadata"]}
        metadata["uid"] = self._seen_as(metadata, "uid", self._uids)
        metadata["resourceVersion"] = self._seen_as(metadata, "resourceVersion", self._versions)
        for name in ("namespace", "managedFields"):
            metadata.pop(name, None)
        for name in metadata.keys() & {"creationTimestamp", "deletionTimestamp"}:
            metadata[name] = "some time"
        content = {name: value for name, value in obj.items() if name not in {"kind", "apiVersion"}}
        fields = _flat({**content, "metadata": metadata}, node_of(self.resource), ())
        facts = {"/".join(path): value for path, value in fields if self.sent.counts(path)}
        for manager, owned in managers_of(obj).items():
            who = f"{manager.name} {manager.operation} {manager.subresource}".strip()
            facts[f"owned by {who}"] = {
                "/".join(path) for path in owned.fields if self.sent.counts(path)
            }
        return facts

    def _seen_as(self, metadata: Json, what: str, names: _Names) -> str:
        seen = self._seen.setdefault((metadata["name"], what), [])
        if metadata[what] not in seen:
            seen.append(metadata[what])
        return names.of(metadata[what])


def _flat(value: Any, node: Node, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every field with its value, and the order of items in every list that has keys."""
    below = list(children(value, node))
    if not below:
        yield path, value
    if isinstance(value, list) and below:
        yield (*path, "in order"), [element for element, _ in below]
    for element, child in below:
        yield from _flat(child, node.child(element), (*path, element))
