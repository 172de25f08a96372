# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a user's own config calls the one API whose name depends on the server.

The API of agents is called ``responses`` since 0.7. An external provider that is merged into a
config under the other name would keep the server from starting. A generated config is of a known
era; a user's own may be of any, and of an image that nothing is known about.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from configs import eras
from configs.eras import ERAS, Era

SECTION: Final = "agents"
"""The section of the spec."""

_NAMES: Final = frozenset(name for era in ERAS if (name := eras.api_of(SECTION, era)))
_GUESS: Final = "~"


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a config calls the API of agents.

    Attributes:
        name: of the API.
        is_named: whether the config has that name; else it is only that of the servers whose config
            it looks most like.
    """

    name: str
    is_named: bool

    def api(self, era: Era | None) -> str:
        """The name to use.

        Args:
            era: of the image's server; ``None`` for an image that nothing is known about.
        """
        known = eras.api_of(SECTION, era) if era is not None else None
        return self.name if self.is_named else known or self.name

    def __str__(self) -> str:
        return self.name if self.is_named else f"{_GUESS}{self.name}"

    @classmethod
    def read(cls, text: str) -> Spelling | None:
        """What ``str`` made of one; ``None`` for anything else."""
        name = text.removeprefix(_GUESS)
        return cls(name, is_named=name == text) if name in _NAMES else None


def spelling_of(apis: Collection[str], likely: Sequence[Era]) -> Spelling:
    """What a config calls the API.

    Args:
        apis: that the config names, in ``apis`` or in ``providers``.
        likely: the eras that it fits best, the likeliest first; none for one of a server before
            0.4.
    """
    named = sorted(_NAMES & set(apis))
    if len(named) == 1:
        return Spelling(named[0], is_named=True)
    guess = eras.api_of(SECTION, likely[0]) if likely else None
    return Spelling(guess or SECTION, is_named=False)
