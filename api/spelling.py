# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What somebody may have meant who wrote a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known word that is most like another; empty if none is.

    Args:
        word: that is not known.
        known: the candidates.
        cutoff: how much alike they must be, from 0 to 1.
    """
    import difflib  # noqa: PLC0415 -- only a mistake needs it, and most resources have none

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), "")
