# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resource quantities: one amount can be written in several ways."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip


def same_quantity(a: object, b: object) -> bool:
    """Whether two resource quantities are the same amount: ``1000m`` is ``1``.

    The API server stores the canonical form, which need not be the one we sent.
    """
    if a == b:
        return True
    left, right = amount(a), amount(b)
    return left is not None and left == right


def amount(value: object) -> Decimal | None:
    """A resource quantity as a number; ``None`` if it is not one."""
    text = str(value)
    number = text.rstrip("numkKMGTPEi")
    suffix = text[len(number) :]
    if suffix not in _SUFFIXES:
        return None
    try:
        return Decimal(number) * _SUFFIXES[suffix]
    except InvalidOperation:
        return None
