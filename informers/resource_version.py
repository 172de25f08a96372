# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resource versions: opaque strings that may be compared within one resource.

KEP-5504 (stable in Kubernetes 1.35) promises that a well-formed version is a decimal integer
without leading zeros that only grows. It is compared as text: shorter is smaller, equal lengths
lexicographically, so that no integer type limits it. Anything else, such as what an aggregated
API server may invent, stays opaque: equal or unknown (A7).
"""

from __future__ import annotations


def well_formed(version: str) -> bool:
    """Whether KEP-5504 allows to compare this version.

    ``"0"`` is not: in a request it means "any", and no object ever carries it.
    """
    return version.isascii() and version.isdigit() and version[0] != "0"


def compare(left: str, right: str) -> int | None:
    """-1, 0 or 1 as ``left`` is older than, the same as, or newer than ``right``.

    Returns:
        ``None`` if they differ and at least one is not well-formed: nothing can be said.
    """
    if left == right:
        return 0
    if not (well_formed(left) and well_formed(right)):
        return None
    return -1 if (len(left), left) < (len(right), right) else 1


def older(left: str, right: str) -> bool:
    """Whether ``left`` is known to be older than ``right``."""
    return compare(left, right) == -1


def reached(seen: str, wanted: str) -> bool:
    """Whether who has seen ``seen`` has also seen ``wanted``.

    Versions that cannot be compared count only if they are equal; an empty version (nothing
    seen yet, or nothing wanted) is not comparable.
    """
    return bool(seen) and compare(seen, wanted) in {0, 1}
