# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``diff --adopt`` over objects in memory; what the Go operator leaves is in tests/apiserver."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.objects.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE
from llamastack_operator.cli.adopt import EXIT_DIFFERENT, EXIT_TROUBLE, Scope, look, tell
from llamastack_operator.cli.inventory import NothingFound
from tests.support.fakeapi import failures
from tests.support.fakeapi.client import Fault
from tests.support.one_resource import KEY, LEAST, OneResource

pytestmark = pytest.mark.looptime

SYSTEM = "system"
EVERYTHING = Scope("", (), SYSTEM)


async def told(
    world: OneResource, capsys: pytest.CaptureFixture[str], scope: Scope = EVERYTHING
) -> tuple[int, str, str]:
    """Exit status and what is printed."""
    status = tell(*await look(world.client, scope), lambda line: line)
    out, err = capsys.readouterr()
    return status, out, err


async def test_children_of_this_operator_stay_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = OneResource(LEAST)
    await world.settle()

    status, out, _ = await told(world, capsys)

    assert status == 0
    assert out.endswith("n/demo: was taken over already\n")


async def test_another_pod_template_is_a_restart(capsys: pytest.CaptureFixture[str]) -> None:
    world = OneResource(LEAST)
    await world.settle()
    spec: dict[str, Any] = world.deployment["spec"]
    container = {**spec["template"]["spec"]["containers"][0], "image": "example.com/other:1"}
    template = {**spec["template"]["spec"], "containers": [container]}
    world.api.put(
        DEPLOYMENT,
        KEY,
        metadata={"annotations": {}},  # nothing says that it is ours
        spec={**spec, "template": {**spec["template"], "spec": template}},
    )

    status, out, _ = await told(world, capsys)

    assert status == EXIT_DIFFERENT
    assert "pods restart once" in out
    assert "example.com/other:1" in out


async def test_a_child_that_somebody_else_has_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    world = OneResource(LEAST)
    key = KEY._replace(name="demo-service")
    world.api.put(SERVICE, key, spec={"ports": [{"port": 1}]})

    status, out, _ = await told(world, capsys)

    assert status == EXIT_DIFFERENT
    assert "demo-service" in out


async def test_a_resource_that_is_not_valid_is_left_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = OneResource({"distribution": {"name": "startr"}})

    status, out, _ = await told(world, capsys)

    assert status == EXIT_TROUBLE
    assert 'spec.distribution.name: Unknown distribution "startr"' in out


@pytest.mark.parametrize(
    "scope", [Scope("nowhere", (), SYSTEM), Scope("", ("nobody",), SYSTEM)], ids=str
)
async def test_what_is_not_there_is_an_error(scope: Scope) -> None:
    with pytest.raises(NothingFound, match="there is no LlamaStackDistribution"):
        await look(OneResource(LEAST).client, scope)


async def test_a_config_map_that_must_not_be_read_is_warned_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = OneResource(LEAST)
    await world.settle()
    forbidden = failures.failure(403, "Forbidden", "may not")
    world.client.faults = [Fault("get", CONFIG_MAP, error=forbidden)]

    _, _, err = await told(world, capsys)

    assert "llama-stack-operator-config must not be read: defaults are assumed" in err
