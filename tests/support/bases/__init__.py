# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Base configs of every era, as they come out of image labels; and what the engine makes of them.

No distribution is bound to the eras 0.5-0.6 and ogx, but an image may bring such a base in its
labels. These are small ones, by hand: inference, files, two vector databases inside the server,
llama-guard and shields where the era has them, tools, agents or responses.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from api.v1alpha2 import ConfigSource
from configs import engine
from configs.base import BaseConfig, read_base
from configs.distributions import Resolved
from configs.engine import Generated
from configs.eras import Era
from tests.support.config_specs import DISTRIBUTIONS, NAME, NAMESPACE, spec_of

HAND_MADE: Final[tuple[Era, ...]] = ("0.4", "0.5-0.6", "0.7", "ogx")
"""Eras that have a base here."""

IMAGE: Final = "example.com/llama-stack:1"
"""The image that the bases belong to."""


def text_of(era: Era) -> str:
    """The hand-made base of an era."""
    return (Path(__file__).parent / f"era-{era}.yaml").read_text("utf-8")


@functools.cache
def base_of(era: Era) -> BaseConfig:
    """The same, read as from a label that does not say its era."""
    return read_base(text_of(era), source=ConfigSource.OCI_LABEL)


class LabelResolver:
    """Finds the hand-made base of one era, whatever the image."""

    def __init__(self, era: Era) -> None:
        self._era: Era = era

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        """The base."""
        return base_of(self._era)


def generate_on(era: Era, **sections: Any) -> Generated:
    """What the engine makes of a spec with an image whose labels hold the base of an era."""
    return engine.generate(
        NAME,
        NAMESPACE,
        spec_of({"distribution": {"image": IMAGE}, **sections}),
        distributions=DISTRIBUTIONS,
        bases=LabelResolver(era),
    )
