# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A provider's ``config`` that refers to variables: their names get into the pod, never a value."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.llamastack.objects.kinds import CONFIG_MAP, DEPLOYMENT, LLAMA_STACK, SECRET
from tests.support.fakeapi.objects import Json
from tests.support.installing import OPTIONS, provider
from tests.support.one_resource import CHILDREN, CREDENTIALS, LEAST, OneResource

LETTERS: Final = "ЖФЮЯЩжфюящ"
"""No name, id or hash has any of them."""

_REFERENCES: Final = st.sampled_from(
    ["${env.MINE}", "https://${env.MINE}@host/x", "a ${env.MINE} b ${env.MINE}", "${env.MINE:=d}"]
)
_LEAVES: Final = (
    _REFERENCES | st.integers() | st.booleans() | st.none() | st.text("ab ", max_size=5)
)
_TREES: Final = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("kmn"), inner),
    max_leaves=6,
)
_CONFIGS: Final = st.dictionaries(st.sampled_from(["url", "api_key", "deep"]), _TREES, max_size=3)


def variable(value: str, *, from_secret: bool) -> Json:
    if not from_secret:
        return {"name": "MINE", "value": value}
    source = {"secretKeyRef": {"name": CREDENTIALS.name, "key": "key"}}
    return {"name": "MINE", "valueFrom": source}


async def reconciled(spec: Json, value: str) -> OneResource:
    """The resource after two reconciles, with a Secret that holds the value."""
    world = OneResource(None, options=OPTIONS)
    world.put_credentials(key=value)
    world.edit(spec)
    await world.reconcile()
    await world.reconcile()
    return world


def entries(world: OneResource) -> list[Any]:
    """What the merge gets of providers."""
    found = [obj["data"] for obj in world.api.all(CONFIG_MAP)]
    return [json.loads(text) for data in found for name, text in data.items() if "-one." in name]


@settings(max_examples=60, deadline=None)
@given(config=_CONFIGS, value=st.text(LETTERS, min_size=4), from_secret=st.booleans())
def test_config_is_handed_on_as_it_is_and_no_value_with_it(
    config: Json, value: str, from_secret: bool
) -> None:
    env = [variable(value, from_secret=from_secret)]
    external = {"inference": [provider("one", config=config)]}
    spec = {**LEAST, "workload": {"overrides": {"env": env}}, "externalProviders": external}

    with structlog.testing.capture_logs() as logs:
        world = asyncio.run(reconciled(spec, value))

    assert [entry["config"] for entry in entries(world)] == [config]
    kinds = {*CHILDREN, CONFIG_MAP, LLAMA_STACK} - {SECRET}
    # A value in the spec is its author's own, and in the template of the pods, where it belongs.
    kinds -= set() if from_secret else {LLAMA_STACK, DEPLOYMENT}
    objects = [obj for kind in kinds for obj in world.api.all(kind)]
    told = [objects, world.status, [e.note for e in world.operator.events.seen], logs]
    assert value not in json.dumps(told, ensure_ascii=False, default=repr)
