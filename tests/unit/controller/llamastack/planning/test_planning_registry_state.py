# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the state of a registry is looked for."""

from __future__ import annotations

from typing import Any

import pytest

from configs.registry_key import RegistryState, load
from controller.llamastack.planning.registry_state import recorded

FIRST = RegistryState(1, {"model vllm/a": "x"})
SECOND = RegistryState(2, {"model vllm/a": "y"})
GROWN = RegistryState(2, {"model vllm/b": "z"})


def having(state: RegistryState | str | None) -> dict[str, Any]:
    text = state.dump() if isinstance(state, RegistryState) else state
    annotations = {"other": "1"} | ({} if text is None else {"llamastack.io/registry-state": text})
    return {"metadata": {"name": "x", "annotations": annotations}}


def test_deployment_is_believed_and_nothing_else_looked_at() -> None:
    def unused() -> list[dict[str, Any]]:
        raise AssertionError("the ConfigMaps are not needed")

    assert recorded(having(FIRST), unused) == FIRST.dump()


@pytest.mark.parametrize("deployment", [None, having(None), having("broken"), {"metadata": {}}])
def test_without_it_the_config_maps_say_what_is_known_of_the_last_registry(
    deployment: dict[str, Any] | None,
) -> None:
    maps = [having(FIRST), having(SECOND), having(None), having("broken"), having(GROWN)]

    text = recorded(deployment, lambda: maps)

    assert load(text) == RegistryState(2, {"model vllm/a": "y", "model vllm/b": "z"})


def test_nothing_is_known_of_a_new_resource() -> None:
    assert recorded(None, list) == ""
