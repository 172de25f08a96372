# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The objects that tell the API server whom to trust, followed and corrected.

Any replica corrects them: the change is the same whoever makes it, and it holds only for what it
was made from. If somebody else insists on another bundle, corrections become rare, up to one a
minute; the API server builds its handlers again for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from controller.llamastack.objects.kinds import FIELD_MANAGER
from informers.errors import ApiError, Conflict, Forbidden, Invalid, NotFound
from informers.informer import Informer
from informers.ports import ObjectKey
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from llamastack_operator.kube.rest import JSON_PATCH
from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.certificates.ca_bundle import (
    corrections,
    is_called,
    is_injected,
    keep_client_configs,
    trusts,
)
from llamastack_operator.webhooks.certificates.vault import Told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from informers.metrics import MetricsProvider
    from informers.ports import Object, Resource
    from llamastack_operator.kube.rest import Client
    from llamastack_operator.webhooks.certificates.ca_bundle import Address

log = structlog.get_logger(__name__)

TARGETS: Final = ((CRD, names.DEFINITION), (WEBHOOK, names.CONFIGURATION))

SHORTEST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Between two corrections of one object, if it is changed back all the time."""

_TIMEOUT_S = 5.0


class Target:
    """One such object.

    Args:
        client: follows and patches it.
        resource: its kind.
        name: of it.
        address: ours.
        changed: is told when it changed.
        clock: monotonic seconds.
        metrics: makes the counters.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        name: str,
        address: Address,
        changed: Callable[[], None],
        *,
        clock: Callable[[], float],
        metrics: MetricsProvider,
    ) -> None:
        self._client = client
        self._resource = resource
        self._key = ObjectKey("", name)
        self._address = address
        self._clock = clock
        source = client.lister_watcher(resource, field_selector=f"metadata.name={name}")
        self._informer = Informer(
            source,
            name=f"webhook-{resource.plural}",
            transform=keep_client_configs,
            metrics=metrics,
        )
        self._informer.add_handler(Told(changed))
        self._informer.add_progress_listener(changed)
        self._pause_s = 0.0
        self._not_before = 0.0
        self._left_alone = ""
        self._refused = False

    async def run(self) -> None:
        """Follow it until cancelled."""
        await self._informer.run()

    def is_known(self) -> bool:
        """Whether it is known what is there."""
        return self._informer.has_synced()

    def trusts(self, authority: bytes) -> bool:
        """Whether a certificate of an authority would be accepted, as far as that is up to it."""
        live = self._live
        return live is None or trusts(live, self._address, authority)

    async def correct(
        self, bundle: bytes, is_current: Callable[[], Awaitable[bool]]
    ) -> float | None:
        """Make it trust us.

        Args:
            bundle: PEM.
            is_current: whether the bundle is still right, as far as anybody knows; asked before a
                change, because a replica that lags must not undo what another one has done.

        Returns:
            Seconds until it is worth another try; ``None`` if there is nothing to do, or an event
            of the watch will tell.
        """
        live = self._live
        if live is None or self._refused or self._is_left_alone(live):
            return None
        operations = corrections(live, self._address, bundle)
        if not operations:
            return None
        wait_s = self._not_before - self._clock()
        if wait_s > 0:
            return wait_s
        self._space_out()
        try:
            if not await is_current():
                return SHORTEST_PAUSE_S
            await self._client.request(
                "PATCH",
                self._resource.path(name=self._key.name),
                query={"fieldManager": FIELD_MANAGER},
                body=operations,
                content_type=JSON_PATCH,
                timeout_s=_TIMEOUT_S,
            )
        except (Conflict, Invalid, NotFound):
            return SHORTEST_PAUSE_S  # not what it was any more; a watch has told or will tell
        except Forbidden as error:
            self._refused = True
            log.warning(
                "Cannot correct the CA bundle: webhooks work only if somebody else does",
                object=self._name,
                error=error.message,
            )
            return None
        except ApiError as error:
            log.warning("Failed to correct the CA bundle", object=self._name, error=str(error))
            return self._pause_s
        log.info("Corrected the CA bundle", object=self._name)
        return None

    @property
    def _live(self) -> Object | None:
        return self._informer.store.get(self._key)

    @property
    def _name(self) -> str:
        return f"{self._resource.kind} {self._key.name}"

    def _space_out(self) -> None:
        """Twice the pause after each correction that did not last, a short one after a rest."""
        now = self._clock()
        rested = now - self._not_before >= LONGEST_PAUSE_S
        longer = min(max(2 * self._pause_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        self._pause_s = SHORTEST_PAUSE_S if rested else longer
        self._not_before = now + self._pause_s

    def _is_left_alone(self, live: Object) -> bool:
        why = ""
        if is_injected(live):
            why = "an annotation asks somebody else to keep it"
        elif not is_called(live, self._address):
            why = "it names no webhook of this operator"
        if why != self._left_alone:
            self._left_alone = why
            if why:
                log.info("Left the CA bundle alone", object=self._name, reason=why)
        return bool(why)
