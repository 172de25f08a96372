# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One watch of one object: the operator's ConfigMap, by its name, in the operator's namespace.

It is not in the table of watches: those cover the namespaces whose resources the operator
reconciles, and this ConfigMap is in the namespace that the operator runs in. If that namespace is
not known there is no such ConfigMap, and no request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from controller.llamastack.objects.kinds import CONFIG_MAP, EVENT, OPERATOR_CONFIG_NAME
from controller.llamastack.watches import Right
from informers.informer import Informer
from informers.ports import ObjectKey
from informers.transforms import drop_noise

if TYPE_CHECKING:
    from controller.llamastack.operator_config.live import LiveConfig
    from informers.metrics import MetricsProvider
    from informers.ports import Object
    from llamastack_operator.kube.rest import Client

log = structlog.get_logger(__name__)

RIGHTS: Final = (
    Right("list", CONFIG_MAP, name=OPERATOR_CONFIG_NAME),
    Right("watch", CONFIG_MAP, name=OPERATOR_CONFIG_NAME),
    Right("create", EVENT),
    Right("patch", EVENT),
)
"""What is needed in the operator's namespace, where it is not one of those that it works in."""


class OperatorConfigWatch:
    """Keeps a :class:`LiveConfig` up to date.

    Args:
        client: lists and watches.
        namespace: the operator's own; empty if it has none, and then the defaults hold.
        live: is told.
        metrics: makes the counters.
    """

    def __init__(
        self, client: Client, namespace: str, live: LiveConfig, *, metrics: MetricsProvider
    ) -> None:
        self._live = live
        self._key = ObjectKey(namespace, OPERATOR_CONFIG_NAME)
        self._informer: Informer | None = None
        self._changed = asyncio.Event()
        if not namespace:
            return
        source = client.lister_watcher(
            CONFIG_MAP, namespace=namespace, field_selector=f"metadata.name={OPERATOR_CONFIG_NAME}"
        )
        self._informer = Informer(
            source, name="operator-config", transform=drop_noise, metrics=metrics
        )
        self._informer.add_handler(live)
        self._informer.add_handler(_Signal(self._changed))

    async def run(self) -> None:
        """Follow the ConfigMap until cancelled; without a namespace there is nothing to do."""
        if self._informer is not None:
            await self._informer.run()

    async def wait_usable(self) -> None:
        """Until it is known what holds: the content is right, or there is no ConfigMap."""
        if self._informer is None:
            self._live.take(None)
            return
        await self._informer.wait_synced()
        while True:
            self._changed.clear()
            if self._informer.store.get(self._key) is None:
                self._live.take(None)  # nothing told the handler so
            if not self._live.problem:
                return
            log.error("Waiting for the operator's configuration", problem=self._live.problem)
            await self._changed.wait()

    @property
    def problem(self) -> str:
        """Why it is not known what holds; empty if it is."""
        return self._live.problem


class _Signal:
    """Says that something happened; what, is in the store."""

    def __init__(self, happened: asyncio.Event) -> None:
        self._happened = happened

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """It is there."""
        self._happened.set()

    def on_update(self, old: Object, new: Object) -> None:
        """It changed."""
        self._happened.set()

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """It is gone."""
        self._happened.set()
