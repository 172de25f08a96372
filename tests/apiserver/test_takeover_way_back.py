# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The way back to the Go operator's definition: the commands of the page, run one after the other.

No operator runs here that could convert, so both versions have one schema; what the commands do to
stored objects is the same.
"""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api.crd import custom_resource_definition
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.root import ROOT
from llamastack_operator.cli.inventory import OLD
from tests.support.go_cases import PORTS, resource, spec
from tests.support.go_definition import go_definition
from tests.support.webhooked import HOOKS
from tests.support.world import SYSTEM, eventually

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]
PAGE = (ROOT / "docs/migration-from-go-operator.md").read_text("utf-8")
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + (
    "llamastackdistributions.llamastack.io"
)
COUNT = 20


@pytest.fixture
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    with ControlPlane(binaries, PlaneOptions(controller_manager=False)) as made:
        definition = custom_resource_definition()
        new, old = definition["spec"]["versions"]
        new["schema"] = copy.deepcopy(old["schema"])
        del new["selectableFields"]
        # The API server refuses two schemas that are the same in every word.
        new["schema"]["openAPIV3Schema"]["description"] = "The new one."
        definition["spec"]["conversion"] = {"strategy": "None"}
        made.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(definition))
        made.wait_for_definitions()
        yield made


def commands(step: int) -> list[str]:
    """Of one step back."""
    section = PAGE.partition("## The way back")[2]
    found = re.search(rf"^{step}\. .*?```sh\n(.*?)```", section, re.DOTALL | re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found.group(1).splitlines() if line.strip()]


def run(plane: ControlPlane, command: str) -> None:
    """A pipe of kubectl."""
    output = ""
    for part in command.split(" | "):
        program, *words = shlex.split(part)
        assert program == "kubectl"
        output = plane.kubectl(*words, stdin=output)


def test_resources_outlive_the_version_that_goes(plane: ControlPlane) -> None:
    for number in range(COUNT):
        old = resource(f"demo-{number}", "default", spec(containerSpec=PORTS))
        plane.client.create(OLD.path(namespace="default"), old)
    before = plane.client.get(DEFINITION)["status"]["storedVersions"]

    steps = commands(1)
    for command in steps:
        run(plane, command)
    plane.kubectl("create", "namespace", SYSTEM)
    for part in ("policy", "webhook"):
        plane.kubectl("apply", "--server-side", "-k", f"deploy/{part}")
    for command in commands(3):
        run(plane, command)
    plane.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(go_definition())
    )

    after = plane.client.get(DEFINITION)
    path = OLD.path(namespace="default")
    # For a moment the API server answers 429.
    eventually("the definition is in force", lambda: plane.client.exists(path))
    live = plane.client.get(path)["items"]
    assert plane.client.get(HOOKS)["items"] == [], "every write would wait for its operator"
    assert len(steps) == 3
    assert before == ["v1alpha2"]
    assert after["status"]["storedVersions"] == ["v1alpha1"]
    assert [version["name"] for version in after["spec"]["versions"]] == ["v1alpha1"]
    assert len(live) == COUNT
    assert {one["spec"]["server"]["distribution"]["name"] for one in live} == {"starter"}
