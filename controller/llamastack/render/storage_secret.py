# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Secret with the variables of databases (R-D16a).

Not one of the kinds in ``children``: those are complete intent made from a resource alone, this
one needs values that only the cluster has, and nothing may stand on it that is made from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import SECRET, STORAGE_SOURCES
from controller.llamastack.render import names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.llamastack.render.inputs import Inputs


def render(inputs: Inputs, data: Mapping[str, str]) -> Child:
    """The Secret.

    Args:
        inputs: its owner, and what it is made from.
        data: key to value, in base64.
    """
    content = {"type": "Opaque", "data": dict(data)}
    rendered = child(inputs, SECRET, names.storage_secret(inputs.name), content)
    rendered.manifest["metadata"]["annotations"] = {STORAGE_SOURCES: inputs.storage_state}
    return rendered
