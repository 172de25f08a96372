# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the state of a server's registry is kept (R-D16c). Pure.

It stands on the Deployment, written together with the configuration it speaks of: both are true or
none is. The generated ConfigMaps carry it as well, as it was when they were made, so that a
Deployment which somebody deleted, or whose annotations somebody cleared, does not start over with
a registry that it cannot use. A claim that outlives its resource carries it for the next one, whose
server finds the registry in the volume. What is written by hand on the Deployment is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from configs import registry_key
from controller.llamastack.objects.kinds import REGISTRY_STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from informers.ports import Object


def recorded(deployment: Object | None, records: Callable[[], Iterable[Object]]) -> str:
    """What is known of the registry in use, as text; empty if nothing is.

    Args:
        deployment: the live one, if it is ours.
        records: the generated ConfigMaps and a kept claim; asked for only if the Deployment does
            not say.
    """
    if deployment is not None:
        text = _annotation(deployment)
        if text and registry_key.load(text) is not None:
            return text
    states = (registry_key.load(_annotation(record)) for record in records())
    latest = registry_key.latest(state for state in states if state is not None)
    return latest.dump() if latest else ""


def _annotation(obj: Object) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(REGISTRY_STATE, ""))
