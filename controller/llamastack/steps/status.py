# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The step of a reconcile that tells users: the status if it changed, then the Events of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.author import in_version_of_author, note_to_author
from controller.llamastack.objects.kinds import LLAMA_STACK, STATUS_FIELD_MANAGER
from controller.llamastack.status.compute import compute
from controller.llamastack.status.events import between
from informers.errors import NotFound
from informers.ports import key_of

if TYPE_CHECKING:
    from typing import Any

    from controller.llamastack.cache.own_writes import OwnWrites
    from controller.llamastack.status.facts import Facts
    from controller.runtime.ports import EventRecorder, Manifest, Writer
    from informers.ports import Object


class StatusStep:
    """Writes the status of a resource and records Events.

    Args:
        writer: live calls.
        recorder: Events.
        own_writes: is told of every write.
    """

    def __init__(self, writer: Writer, recorder: EventRecorder, own_writes: OwnWrites) -> None:
        self._writer = writer
        self._recorder = recorder
        self._own_writes = own_writes

    async def write(self, facts: Facts, *, deployment_changed: bool = False) -> None:
        """Write the status that the facts lead to, if it is another one.

        Args:
            facts: what the reconcile found and did.
            deployment_changed: whether it wrote the Deployment, which is worth an Event.

        Raises:
            ApiError: the write failed.
        """
        cr = facts.cr
        old = cr.get("status") or {}
        new = in_version_of_author(compute(facts), cr)
        if new != old:
            try:
                live = await self._writer.apply(
                    LLAMA_STACK,
                    _manifest(cr, new),
                    manager=STATUS_FIELD_MANAGER,
                    subresource="status",
                )
            except NotFound:
                return  # deleted meanwhile
            self._own_writes.remember(cr, LLAMA_STACK, live)
        for event in between(
            old,
            new,
            deployment_changed=deployment_changed,
            registry_reset=facts.generated.registry_reset if facts.generated else (),
            config_note=facts.config_note,
            network_note=facts.network_note,
            trust_note=facts.resolution.trust.note if facts.resolution else "",
        ):
            self._recorder.event(
                cr,
                type=event.type,
                reason=event.reason,
                action=event.action,
                note=note_to_author(event.note, cr),
            )


def _manifest(cr: Object, status: dict[str, Any]) -> Manifest:
    """With the uid (E9).

    The API server checks it on the object itself, but not on its status: a namesake made meanwhile
    gets this status, until its own reconcile, which is queued, corrects it.
    """
    key = key_of(cr)
    return {
        "apiVersion": LLAMA_STACK.api_version,
        "kind": LLAMA_STACK.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "uid": cr["metadata"]["uid"],
        },
        "status": status,
    }
