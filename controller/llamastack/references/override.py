# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The user's own configuration (``spec.overrideConfig``) on its way into the pod.

A ConfigMap in the resource's namespace is mounted as it is: whoever writes it writes the server's
configuration. One in another namespace cannot be mounted; where the administrator allows it (R-D12)
its content is copied to an immutable ConfigMap of ours, with the names, the owner and the pruning
of generated ones (R-D3), so that the copy cannot change under a running server either.

Only what the text is counts here; that it is there was found out before (``resolver``).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from configs import override
from configs.errors import ConfigError
from controller.llamastack.children.config_map import in_place
from controller.llamastack.objects.kinds import CONFIG_MAP
from controller.llamastack.objects.problem import Problem
from controller.llamastack.references.config_maps import text_of
from controller.llamastack.references.configuration import (
    Configuration,
    OverrideLocation,
    override_location_of,
)
from informers.errors import ApiError
from informers.ports import key_of

if TYPE_CHECKING:
    from configs.engine import Generated
    from configs.override import Examined
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.planning.plan import Plan
    from controller.llamastack.references.resolution import Resolution
    from controller.runtime.ports import Writer
    from informers.ports import Object


class ChangedMeanwhile(ApiError):
    """The content is another one than was judged; the event of the change is on its way."""


class Overrides:
    """Knows the configuration of every resource, also of those that bring their own.

    Args:
        caches: show the copies.
        writer: for the content that is to be copied.
    """

    def __init__(self, caches: Caches, writer: Writer) -> None:
        self._caches = caches
        self._writer = writer

    async def configuration(
        self, cr: Object, plan: Plan, references: Resolution | None
    ) -> Configuration:
        """The configuration, or what is wrong with it.

        Args:
            cr: the resource.
            plan: for its spec.
            references: what it refers to; the user's own configuration is looked at only if all
                of them can be used.

        Raises:
            ApiError: the content cannot be read.
        """
        source = override_location_of(plan.cr.spec, key_of(cr).namespace) if plan.cr else None
        generated = plan.generated
        if generated is None or source is None or references is None or not references.ok:
            return Configuration(generated, plan.problem)
        if references.override is None:
            # Nothing changed since it was judged: what was said of it then still holds.
            known = replace(
                generated,
                config_hash=references.override_digest,
                spelling=references.override_spelling,
            )
            return await self._mounted(cr, source, known, references.override_key)
        checked = self._checked(plan, generated, source, references.override)
        if checked.generated is None:
            return checked
        return await self._mounted(
            cr, source, checked.generated, references.override_key, text=checked.text
        )

    @staticmethod
    def _checked(
        plan: Plan, generated: Generated, source: OverrideLocation, found: Examined
    ) -> Configuration:
        spec = plan.cr.spec if plan.cr else None
        tls = spec.networking.tls if spec else None
        try:
            era, note = override.check(found, generated.era, https=bool(tls and tls.enabled))
        except ConfigError as error:
            return Configuration(
                problem=Problem(error.reason, "; ".join(str(e) for e in error.errors))
            )
        known = replace(
            generated,
            config_hash=found.digest,
            config_version=found.version,
            spelling=found.spelling,
        )
        return Configuration(known, text=described(source, era, note))

    async def _mounted(
        self,
        cr: Object,
        source: OverrideLocation,
        generated: Generated,
        key: str,
        *,
        text: str = "",
    ) -> Configuration:
        if not source.elsewhere:
            name = source.key.name
            return Configuration(generated, config_map_name=name, users_key=key, text=text)
        copy = in_place(self._caches.config_maps_of(cr), generated.config_hash)
        if copy is not None:
            return Configuration(generated, config_map_name=key_of(copy).name, text=text)
        raw = text_of(await self._writer.get(CONFIG_MAP, source.key), key)
        if raw is None or hashlib.sha256(raw).hexdigest() != generated.config_hash:
            raise ChangedMeanwhile(f"ConfigMap {source.key} changed while it was copied")
        return Configuration(replace(generated, config_yaml=raw.decode()), text=text)


def described(source: OverrideLocation, era: str | None, note: str) -> str:
    """What is said of a configuration that is the user's own.

    Args:
        source: where it is.
        era: of servers that it is for; ``None`` if that cannot be told.
        note: what works, but perhaps not as meant; empty without.
    """
    text = f'The configuration in ConfigMap "{source.key.name}" runs as it is'
    if source.elsewhere:
        text = f'A copy of the configuration in ConfigMap "{source.key}" runs'
    text += f"; it is one for servers of {era}" if era else ""
    return f"{text}. {note}" if note else text
