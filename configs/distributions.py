# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Distributions: a name becomes an image, the era of its config, and a base config (FR-020, D5c).

The table is data (`data/distributions.json`), its tags are pinned: which server runs changes with a
release of the operator, or by an administrator's `image-overrides`, never by itself. An override
changes only where the image comes from; the base config and its era stay bound to the name.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from types import MappingProxyType

from api.errors import FieldError
from api.v1alpha2 import Reason
from api.v1alpha2.distribution import Distribution
from configs.eras import Era
from configs.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Resolved:
    """What `spec.distribution` came to.

    Attributes:
        image: The image that runs.
        era: The generation of its config; None for an image that nothing is known about.
        base: File name of the embedded base config; None if there is none.
        name: Name of the distribution; `custom` for an image.
        always: Whether the base is mounted even when there is nothing to merge into it, because
            the image is another distribution's, or because its own config does not start.
    """

    image: str
    era: Era | None
    base: str | None
    name: str
    always: bool = False


@dataclass(frozen=True, slots=True)
class Distributions:
    """The distributions that this operator knows.

    Attributes:
        known: By name, image overrides applied.
        unknown_overrides: Names that were overridden but do not exist, sorted: worth an Event.
    """

    known: Mapping[str, Resolved]
    unknown_overrides: tuple[str, ...] = field(default=())

    @classmethod
    def load(cls, overrides: Mapping[str, str] = MappingProxyType({})) -> Distributions:
        """The embedded table.

        Args:
            overrides: Name → image, from `image-overrides` of the operator's ConfigMap.
        """
        embedded = _embedded()
        known = {
            name: replace(entry, image=overrides.get(name, entry.image))
            for name, entry in embedded.items()
        }
        return cls(MappingProxyType(known), tuple(sorted(set(overrides) - set(embedded))))

    @property
    def images(self) -> Mapping[str, str]:
        """Name → image, for `status.distributionConfig.availableDistributions`."""
        return {name: entry.image for name, entry in self.known.items()}

    def resolve(self, distribution: Distribution) -> Resolved:
        """The image of a spec.

        Raises:
            ConfigError: The name is unknown, or neither name nor image is given.
        """
        if distribution.image:
            return Resolved(distribution.image, None, None, "custom")
        found = self.known.get(distribution.name or "")
        if found is not None:
            return found
        available = ", ".join(sorted(self.known))
        message = f'Unknown distribution "{distribution.name or ""}". '
        error = FieldError(
            "spec.distribution.name", f"{message}Available distributions: {available}"
        )
        raise ConfigError(Reason.CONFIG_GENERATION_FAILED, (error,))


@functools.cache
def _embedded() -> Mapping[str, Resolved]:
    text = resources.files("configs").joinpath("data/distributions.json").read_bytes()
    return MappingProxyType(
        {
            name: Resolved(
                entry["image"], entry["era"], entry["base"], name, entry.get("always", False)
            )
            for name, entry in sorted(json.loads(text).items())
        }
    )
