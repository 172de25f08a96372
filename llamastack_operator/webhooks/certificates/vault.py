# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where all replicas find the same pair: a Secret, or for a single process its memory.

The Secret is followed by its name and written only from the version that was seen, as the Lease of
an election is: of two replicas that make a new pair at once, one learns that the other was first.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Protocol

from controller.llamastack.objects.kinds import FIELD_MANAGER, SECRET
from informers.informer import Informer
from informers.ports import ObjectKey
from llamastack_operator.kube.rest import JSON_PATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from informers.metrics import MetricsProvider
    from informers.ports import Object
    from llamastack_operator.kube.rest import Client

_TYPE = "kubernetes.io/tls"
_TIMEOUT_S = 5.0


class Vault(Protocol):
    """A place for the pair and its authority."""

    async def run(self) -> None:
        """Follow it until cancelled."""
        ...

    def is_known(self) -> bool:
        """Whether it is known what is stored."""
        ...

    def read(self) -> Mapping[str, bytes]:
        """What is stored, as far as it is known; empty if nothing is."""
        ...

    async def is_current(self) -> bool:
        """Whether what was read last is what is stored now.

        Raises:
            ApiError: that could not be found out.
        """
        ...

    async def write(self, data: Mapping[str, bytes]) -> None:
        """Store something in place of what was read last.

        Raises:
            ApiError: it was not stored, e.g. because somebody else was faster.
        """
        ...


class MemoryVault:
    """For a process that has no namespace, and so no other replica.

    Args:
        changed: is told of each write.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._data: Mapping[str, bytes] = {}
        self._changed = changed

    async def run(self) -> None:
        """Nobody else writes here."""

    def is_known(self) -> bool:
        """Always."""
        return True

    def read(self) -> Mapping[str, bytes]:
        """See :meth:`Vault.read`."""
        return self._data

    async def is_current(self) -> bool:
        """Always."""
        return True

    async def write(self, data: Mapping[str, bytes]) -> None:
        """See :meth:`Vault.write`."""
        self._data = dict(data)
        self._changed()


class SecretVault:
    """The Secret of all replicas.

    Args:
        client: follows and writes it.
        key: namespace and name.
        changed: is told when it changed.
        metrics: makes the counters.
    """

    def __init__(
        self,
        client: Client,
        key: ObjectKey,
        changed: Callable[[], None],
        *,
        metrics: MetricsProvider,
    ) -> None:
        self._client = client
        self._key = key
        self._source = client.lister_watcher(
            SECRET, namespace=key.namespace, field_selector=f"metadata.name={key.name}"
        )
        self._informer = Informer(
            self._source, name="webhook-certificate", transform=_keep, metrics=metrics
        )
        self._informer.add_handler(Told(changed))
        self._informer.add_progress_listener(changed)

    async def run(self) -> None:
        """See :meth:`Vault.run`."""
        await self._informer.run()

    def is_known(self) -> bool:
        """See :meth:`Vault.is_known`."""
        return self._informer.has_synced()

    def read(self) -> Mapping[str, bytes]:
        """See :meth:`Vault.read`."""
        live = self._informer.store.get(self._key)
        return {} if live is None else _decoded(live.get("data") or {})

    async def is_current(self) -> bool:
        """A watch may lag, or be cut off for minutes: this asks."""
        page = await self._source.list_page(resource_version=None, limit=1, continue_token="")
        live = self._informer.store.get(self._key)
        versions = [obj["metadata"].get("resourceVersion") for obj in page.items]
        return versions == ([] if live is None else [live["metadata"]["resourceVersion"]])

    async def write(self, data: Mapping[str, bytes]) -> None:
        """See :meth:`Vault.write`."""
        live = self._informer.store.get(self._key)
        encoded = {name: base64.b64encode(value).decode("ascii") for name, value in data.items()}
        if live is None:
            await self._create(encoded)
        else:
            await self._replace(live, encoded)

    async def _create(self, encoded: Mapping[str, str]) -> None:
        manifest = {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "namespace": self._key.namespace,
                "name": self._key.name,
                "labels": {"app.kubernetes.io/name": "llama-stack-k8s-operator"},
            },
            "type": _TYPE,
            "data": encoded,
        }
        await self._request("POST", SECRET.path(namespace=self._key.namespace), manifest)

    async def _replace(self, live: Object, encoded: Mapping[str, str]) -> None:
        metadata = live["metadata"]
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {
                "op": "test",
                "path": "/metadata/resourceVersion",
                "value": metadata["resourceVersion"],
            },
            {"op": "add", "path": "/data", "value": encoded},
        ]
        path = SECRET.path(namespace=self._key.namespace, name=self._key.name)
        await self._request("PATCH", path, operations, content_type=JSON_PATCH)

    async def _request(self, method: str, path: str, body: Any, **options: str) -> None:
        query = {"fieldManager": FIELD_MANAGER}
        await self._client.request(
            method, path, query=query, body=body, timeout_s=_TIMEOUT_S, **options
        )


class Told:
    """A handler that says that something happened; what, is in the store."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """It is there."""
        self._changed()

    def on_update(self, old: Object, new: Object) -> None:
        """It changed."""
        self._changed()

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """It is gone."""
        self._changed()


def _keep(obj: dict[str, Any]) -> Object:
    """What is read and what a write is made from."""
    metadata = {name: obj["metadata"].get(name) for name in _METADATA}
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": metadata,
        "data": dict(obj.get("data") or {}),
    }


_METADATA = ("namespace", "name", "uid", "resourceVersion")


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    """Values as bytes; what is not base64, which the API server lets nobody store, as nothing."""
    decoded = {}
    for name, value in data.items():
        try:
            decoded[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            decoded[name] = b""
    return decoded
