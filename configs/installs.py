# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The external providers of a spec in the order of everything that is made of them.

That order is the one of the sections, and in a section of its list: of init containers, of the
merge and of the status.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from api.external_apis import API_OF_SECTION, ExternalSection
from api.v1alpha2 import Spec
from api.v1alpha2.external import ExternalProvider
from configs import eras
from configs.eras import Era
from configs.external import containers
from configs.spelling import SECTION, Spelling


@dataclass(frozen=True, slots=True)
class Install:
    """One external provider.

    Attributes:
        section: where it is in the spec.
        index: in the section.
        provider: what the spec says of it.
    """

    section: ExternalSection
    index: int
    provider: ExternalProvider

    @property
    def path(self) -> str:
        """Of the provider in the spec."""
        return f"spec.externalProviders.{self.section}[{self.index}]"

    @property
    def container(self) -> str:
        """The init container that installs it."""
        return containers.install(self.provider.provider_id)

    def api(self, era: Era | None, spelling: Spelling | None = None) -> str | None:
        """What a config calls its API; ``None`` if servers of the era have none.

        Args:
            era: of the server; ``None`` for one that nothing is known of.
            spelling: of the config, if it is the user's own.
        """
        if spelling is not None and self.section == SECTION:
            return spelling.api(era)
        if era is None:
            return API_OF_SECTION[self.section]
        return eras.api_of(self.section, era)


def installs(spec: Spec) -> Iterator[Install]:
    """All of them."""
    for section, providers in spec.external_providers.items() if spec.external_providers else ():
        for index, provider in enumerate(providers):
            yield Install(section, index, provider)
