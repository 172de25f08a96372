# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""OGXServer (``ogx.io/v1beta1``), read into v1alpha2: pure, total, one way.

The Go operator was renamed, and its new resource has no way here or back by itself. What an
OGXServer says is written as a LlamaStackDistribution, and what that cannot say is named with the
path in the OGXServer and what to do instead. Nothing is left out in silence: fields are taken one
by one (:class:`~api.conversion.ogx.part.Part`), and what nobody took is named.

=============  ==============================================================================
``part``       an object whose fields are taken one by one
``spec``       the table of fields, and those that change on the way
``providers``  typed vendors as entries of our lists
``vendors``    the table of vendors: what they are called here, which fields are special
``settings``   camelCase fields as the server spells them
``policy``     rules of a NetworkPolicy as ``networking.allowedFrom``
=============  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import GROUP, KIND, OGX_GROUP, OGX_KIND, OGX_VERSION, VERSION
from api.conversion.ogx import spec
from api.conversion.ogx.part import Part
from api.conversion.places import ABSENT
from api.errors import FieldWarning
from api.model import Json

OGX_API_VERSION: Final = f"{OGX_GROUP}/{OGX_VERSION}"

METADATA: Final = ("name", "generateName", "namespace", "labels")
"""Metadata that comes along as it is; most annotations do, too."""

OF_THE_CLUSTER: Final = frozenset(
    {
        "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation",
        "managedFields", "resourceVersion", "selfLink", "uid",
    }
)  # fmt: skip
"""Metadata that the API server keeps about the other object; of a new one it makes its own."""

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's copy of the other object; of a new one it makes its own."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of an OGXServer.

    Attributes:
        resource: a LlamaStackDistribution of v1alpha2. It is as right or wrong as the original:
            validation tells.
        warnings: what it does not say, or says with another meaning, at the paths of the OGXServer.
    """

    resource: Json
    warnings: tuple[FieldWarning, ...]


def from_ogx(obj: Mapping[str, Any]) -> Conversion:
    """An OGXServer as a LlamaStackDistribution.

    Args:
        obj: as decoded from JSON; not changed. The result may share parts with it.

    Raises:
        ValueError: it is of another kind, or of a version that is not known.
    """
    if obj.get("kind") != OGX_KIND:
        raise ValueError(f"kind: must be {OGX_KIND}, got {obj.get('kind')!r}")
    if obj.get("apiVersion") != OGX_API_VERSION:
        raise ValueError(f"apiVersion: must be {OGX_API_VERSION}, got {obj.get('apiVersion')!r}")
    top = Part(obj)
    for name in ("apiVersion", "kind", "status"):  # a status is the other operator's report
        top.take(name)
    resource = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": _metadata(top.part("metadata")),
        "spec": spec.convert(top.part("spec")),
    }
    top.finish()
    return Conversion(resource, top.warnings)


def _metadata(given: Part) -> Json:
    for name in OF_THE_CLUSTER:
        given.take(name)
    result = given.taken(METADATA)
    if annotations := _annotations(given.part("annotations")):
        result["annotations"] = annotations
    return result


def _annotations(given: Part) -> Json:
    given.take(LAST_APPLIED)
    for name in given.names():
        if name.partition("/")[0] == OGX_GROUP and given.take(name) is not ABSENT:
            given.warn(
                name,
                "has no counterpart: no volume, Service or Route of another server is taken over",
                "copy the data, and point clients to the new Service",
            )
    return given.taken(given.names())
