# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Distributions: a name becomes an image, the era of its config, and a base config (FR-020, R-D5c).

The table is data (``data/distributions.json``), its tags are pinned: which server runs changes with
a release of the operator, or by an administrator's ``image-overrides``, never by itself. An
override changes only where the image comes from; the base config and its era stay bound to the
name. Whoever builds images of their own can give the operator a table of their own, over the same
base configs.
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
from configs.eras import ERAS, Era
from configs.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Resolved:
    """What ``spec.distribution`` came to.

    Attributes:
        image: the image that runs.
        era: the generation of its config; None for an image that nothing is known about.
        base: file name of the embedded base config; None if there is none.
        name: name of the distribution; ``custom`` for an image.
        always: whether the base is mounted even when there is nothing to merge into it, because
            the image is another distribution's, or because its own config does not start.
        pinned: the image of the table; empty for an image that is in no table.
    """

    image: str
    era: Era | None
    base: str | None
    name: str
    always: bool = False
    pinned: str = ""

    @property
    def is_overridden(self) -> bool:
        """Whether an administrator put another image in the place of the table's."""
        return self.image != (self.pinned or self.image)


class BadTable(ValueError):
    """A table of distributions that cannot be used. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """The distributions that this operator knows.

    Attributes:
        known: by name, image overrides applied.
        unknown_overrides: names that were overridden but do not exist, sorted: worth an Event.
    """

    known: Mapping[str, Resolved]
    unknown_overrides: tuple[str, ...] = field(default=())

    @classmethod
    def load(cls, overrides: Mapping[str, str] = MappingProxyType({})) -> Distributions:
        """The embedded table.

        Args:
            overrides: name → image, from ``image-overrides`` of the operator's ConfigMap.
        """
        return cls(_embedded()).overridden(overrides)

    @classmethod
    def read(cls, text: str | bytes) -> Distributions:
        """Another table of the form of the embedded one.

        Raises:
            BadTable: it is not of that form, or names a base config that there is not.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise BadTable(f"is not JSON: {error}") from None
        if not isinstance(data, dict) or not data:
            raise BadTable("is not an object of distributions by name")
        return cls(MappingProxyType({name: _entry(name, data[name]) for name in sorted(data)}))

    def overridden(self, overrides: Mapping[str, str]) -> Distributions:
        """The same table with other images in the place of its own.

        Args:
            overrides: name → image; what is not named has the image of the table.
        """
        known = {
            name: replace(entry, image=overrides.get(name, entry.pinned or entry.image))
            for name, entry in self.known.items()
        }
        unknown = tuple(sorted(set(overrides) - set(known)))
        return Distributions(MappingProxyType(known), unknown)

    @property
    def images(self) -> Mapping[str, str]:
        """Name → image, for ``status.distributionConfig.availableDistributions``."""
        return {name: entry.image for name, entry in self.known.items()}

    def resolve(self, distribution: Distribution) -> Resolved:
        """The image of a spec.

        Raises:
            ConfigError: the name is unknown, or neither name nor image is given.
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
    return Distributions.read(text).known


_KEYS = frozenset({"image", "era", "base", "always"})


def _entry(name: str, entry: object) -> Resolved:
    if not isinstance(entry, dict) or set(entry) - _KEYS:
        raise BadTable(f"{name}: is not an object with {', '.join(sorted(_KEYS))}")
    image, era, base = entry.get("image"), entry.get("era"), entry.get("base")
    always = entry.get("always", False)
    if not isinstance(image, str) or not image:
        raise BadTable(f"{name}.image: is not an image")
    if era not in ERAS:
        raise BadTable(f"{name}.era: is not one of {', '.join(ERAS)}")
    if base is not None and base not in _bases():
        raise BadTable(f"{name}.base: is not one of {', '.join(_bases())}")
    if not isinstance(always, bool):
        raise BadTable(f"{name}.always: is neither true nor false")
    return Resolved(image, era, base, name, always, pinned=image)


@functools.cache
def _bases() -> tuple[str, ...]:
    folder = resources.files("configs").joinpath("data/base")
    return tuple(sorted(file.name for file in folder.iterdir()))
