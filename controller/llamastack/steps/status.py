# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The step of a reconcile that tells users: the status if it changed, then the Events of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.author import in_version_of_author, note_to_author
from controller.llamastack.objects.kinds import LLAMA_STACK, STATUS_FIELD_MANAGER
from controller.llamastack.status.compute import compute
from controller.llamastack.status.events import between, refused
from informers.errors import Invalid, MisfitStored, NotFound
from informers.ports import key_of

if TYPE_CHECKING:
    from typing import Any

    from controller.llamastack.cache.own_writes import OwnWrites
    from controller.llamastack.status.facts import Facts
    from controller.runtime.ports import EventRecorder, Manifest, Writer
    from informers.ports import Object


log = structlog.get_logger(__name__)

_STATUS = "status"


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
                live = await self._write(cr, new)
            except NotFound:
                return  # deleted meanwhile
            except Invalid as error:
                self._recorder.event(
                    cr,
                    type="Warning",
                    reason=Reason.STATUS_REFUSED,
                    action="UpdateStatus",
                    note=note_to_author(refused(new, str(error)), cr),
                )
                raise
            self._own_writes.remember(cr, LLAMA_STACK, live)
        for event in between(
            old,
            new,
            deployment_changed=deployment_changed,
            registry_reset=facts.generated.registry_reset if facts.generated else (),
            config_note=facts.config_note,
            network_note=facts.network_note,
            trust_note=facts.resolution.trust.note if facts.resolution else "",
            install_note=facts.install_note,
        ):
            self._recorder.event(
                cr,
                type=event.type,
                reason=event.reason,
                action=event.action,
                note=note_to_author(event.note, cr),
            )

    async def _write(self, cr: Object, status: dict[str, Any]) -> Object:
        """Apply the status; what others own of it is replaced.

        The status is ours alone, but an apply leaves what another manager owns, too: after a
        take-over the Go operator's. Such a rest is wrong for ever, and if it is the type of a
        condition that we no longer send, the API server refuses every apply: it lacks the rest. It
        cannot merge at all with what does not fit its schema any more.
        """
        try:
            live = await self._writer.apply(
                LLAMA_STACK,
                _manifest(cr, status),
                manager=STATUS_FIELD_MANAGER,
                subresource=_STATUS,
            )
        except (Invalid, MisfitStored):
            return await self._replace(cr, status)
        return live if live.get("status") == status else await self._replace(cr, status)

    async def _replace(self, cr: Object, status: dict[str, Any]) -> Object:
        key = key_of(cr)
        live = await self._writer.json_patch(
            LLAMA_STACK,
            key,
            [{"op": "add", "path": "/status", "value": status}],
            manager=STATUS_FIELD_MANAGER,
            subresource=_STATUS,
        )
        log.info("Replaced status", object=str(key))
        return live


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
