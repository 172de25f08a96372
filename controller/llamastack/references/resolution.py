# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What came of looking at all that a resource refers to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.v1alpha2.references import CONFIG_KEY
from controller.llamastack.references.ca_bundle import NO_TRUST, Trust
from controller.llamastack.references.storage_content import NO_STORAGE, Prepared

if TYPE_CHECKING:
    from api.errors import FieldError
    from configs.override import Examined
    from configs.spelling import Spelling


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whether the Secrets and ConfigMaps that a resource refers to can be used.

    Attributes:
        reason: ``SecretsResolved``, or that of the first problem.
        errors: one for each reference that cannot be used; empty if all can.
        versions_hash: over uid and resourceVersion of all of them; empty without any.
        config_maps_hash: over what the pod uses of the users' ConfigMaps; empty without any.
        config_maps_seen: what has to be recorded of those on the Deployment; empty without any.
        override: what the user's own configuration is, if there is one and it was looked at.
        override_digest: sha256 of it in hex, looked at or not; empty without one.
        override_key: of it in its ConfigMap.
        override_spelling: what it calls the API of agents, looked at or not; None without one.
        trust: the certificates among them.
        storage: what the Secret that is made from some of them shall hold.
    """

    reason: str
    errors: tuple[FieldError, ...]
    versions_hash: str
    config_maps_hash: str = ""
    config_maps_seen: str = ""
    override: Examined | None = None
    override_digest: str = ""
    override_key: str = CONFIG_KEY
    override_spelling: Spelling | None = None
    trust: Trust = NO_TRUST
    storage: Prepared = NO_STORAGE

    @property
    def ok(self) -> bool:
        """Whether every reference can be used."""
        return not self.errors
