# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The ServiceAccount of the pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import SERVICE_ACCOUNT
from controller.llamastack.render import names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs


def render(inputs: Inputs) -> Child:
    """Made even when another one is named, so that taking the override back needs no wait."""
    return child(inputs, SERVICE_ACCOUNT, names.service_account(inputs.name), {})
