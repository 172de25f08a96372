# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Is what we want already there? Decided without a request.

A child needs no write when two things hold: the annotation with the hash of the manifest last
applied is the hash of the one we want (so nothing was dropped from our intent), and every field
we send has the wanted value in the live object (so nobody changed it). Fields that others set
and we do not send are none of our business (G10). The alternative, a no-op apply, does not
change the object either, but costs a round trip and an audit line a child and reconcile (G5).
"""

from __future__ import annotations

import hashlib
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import orjson

from controller.llamastack.objects.kinds import APPLIED_HASH

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest
    from informers.ports import Object

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip

_QUANTITY_MAPS = frozenset({"limits", "requests", "capacity"})
_QUANTITY_FIELDS = frozenset({"sizeLimit", "divisor"})


def stamped(manifest: Manifest) -> Manifest:
    """The manifest with the annotation that records its own hash."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED_HASH: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def digest(manifest: Manifest) -> str:
    """Of a manifest, or of a part of one; short, because it tells apart what one object was."""
    data = orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(data).hexdigest()[:16]


def in_place(wanted: Manifest, live: Object) -> bool:
    """Whether the live object already is what the stamped manifest asks for."""
    return has_same(APPLIED_HASH, wanted, live) and _covers(live, wanted, field="")


def has_same(annotation: str, wanted: Manifest, live: Object) -> bool:
    """Whether the live object has the value of an annotation that the manifest has."""
    annotations = live["metadata"].get("annotations") or {}
    return bool(annotations.get(annotation) == wanted["metadata"]["annotations"][annotation])


def _covers(live: Any, wanted: Any, *, field: str) -> bool:
    """Whether every field of ``wanted`` has its value in ``live``.

    Both are plain JSON data, so exact types are asked for: this runs for every child in every
    reconcile, and the abstract base classes would cost ten times as much.
    """
    if live == wanted:
        return True
    kind = type(wanted)
    if kind is dict:
        if type(live) is not dict:
            return not wanted and live is None
        return _covers_fields(live, wanted, quantities=field in _QUANTITY_MAPS)
    if kind is list:
        if type(live) is not list:
            return not wanted and live is None
        return _covers_list(live, wanted, field=field)
    # The server leaves out zero values of optional fields: "", 0 and false read as absent.
    return live is None and not wanted


def _covers_fields(live: dict[str, Any], wanted: dict[str, Any], *, quantities: bool) -> bool:
    for name, value in wanted.items():
        if quantities or name in _QUANTITY_FIELDS:
            if not same_quantity(live.get(name), value):
                return False
        elif not _covers(live.get(name), value, field=name):
            return False
    return True


def _covers_list(live: list[Any], wanted: list[Any], *, field: str) -> bool:
    """Element by element; lists of named things may have members of other managers."""
    named = {e["name"]: e for e in live if type(e) is dict and "name" in e}
    if len(named) == len(live) and all(type(e) is dict and "name" in e for e in wanted):
        return all(e["name"] in named and _covers(named[e["name"]], e, field=field) for e in wanted)
    return len(live) == len(wanted) and all(
        _covers(a, b, field=field) for a, b in zip(live, wanted, strict=True)
    )


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
