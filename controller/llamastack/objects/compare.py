# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Is what we want already there? Decided without a request.

A child needs no write when two things hold: the annotation with the hash of the manifest last
applied is the hash of the one we want (so nothing was dropped from our intent), and the live object
does not differ from it (``differences``: so nobody changed it, or put something in its way). The
alternative, a no-op apply, does not change the object either, but costs a round trip and an audit
line a child and reconcile (G5).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson

from controller.llamastack.objects.differences import differences
from controller.llamastack.objects.kinds import APPLIED_HASH

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest
    from informers.ports import Object


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
    return has_same(APPLIED_HASH, wanted, live) and not differences(wanted, live)


def has_same(annotation: str, wanted: Manifest, live: Object) -> bool:
    """Whether the live object has the value of an annotation that the manifest has."""
    annotations = live["metadata"].get("annotations") or {}
    return bool(annotations.get(annotation) == wanted["metadata"]["annotations"][annotation])
