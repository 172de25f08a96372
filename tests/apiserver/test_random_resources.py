# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Random resources of both versions, through the real API server with its webhooks.

Whatever is written, the answer is one that its author can use: accepted, and then it can be read
and written back in both versions, and the operator has something to say of it; or refused, at a
field that is in what was written, or that is missing there. How many are tried is in the variable
``RANDOM_RESOURCES``.
"""

from __future__ import annotations

import collections
import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from api import GROUP, KIND, OLD_VERSION, VERSION, VERSIONS
from api.conditions import condition
from controller.llamastack.objects.kinds import LLAMA_STACK
from hack.cluster.plane import ControlPlane, PlaneOptions
from tests.support.crdplane import MERGE
from tests.support.edits.arena import CHILDREN, Arena
from tests.support.edits.table_v1alpha1 import hub_of
from tests.support.operator_process import OperatorProcess
from tests.support.random_resources import SPECS, Write, writes
from tests.support.refusals import is_known, paths_of_text, problem_of
from tests.support.webhooked import Webhooked, asked, collection, webhooked
from tests.support.world import eventually

COUNT = int(os.environ.get("RANDOM_RESOURCES", "100"))
SEED = int(os.environ.get("RANDOM_RESOURCES_SEED", "0"))
BATCH = 150

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(200 + 2 * COUNT)]

Json = dict[str, Any]
NAMESPACE = "random"
NAME = "demo"
OK, CREATED, CONFLICT = 200, 201, 409
REFUSED = {400, 403, 422}
PATIENCE_S = 60.0
DEFAULTS: Mapping[tuple[str, ...], Any] = {
    ("workload", "overrides", "containerName"): "llama-stack",
    ("workload", "replicas"): 1,
    ("networking", "expose"): False,
}
"""What v1alpha1 says by default, where it is in the hub version. It changes no child."""
REFUSED_CHILD = re.compile(
    r'^[A-Za-z.]+ ("[^"]+" is invalid|in version "v1" cannot be handled as a [A-Za-z]+): '
)
"""What Kubernetes says of a child that it does not take, because of what is passed on to it: by
the field of the child."""
ON_THE_WAY = {"AllReady", "Progressing", "StoragePending", "DeploymentPending"}
NUMBERED = re.compile(rf"\b{NAME}-\d+")
PANICS = ("controller_runtime_reconcile_panics_total", "controller_runtime_webhook_panics_total")


@pytest.fixture(scope="module")
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    with ControlPlane(binaries, PlaneOptions(controller_manager=False)) as made:
        yield made


@pytest.fixture(scope="module")
def hooked(plane: ControlPlane) -> Iterator[Webhooked]:
    with webhooked(plane) as where:
        yield where


@pytest.fixture(scope="module")
def operator(hooked: Webhooked) -> Iterator[OperatorProcess]:
    with asked(hooked, "--workers=8", "--log-level=info") as process:
        process.wait_logged("Started workers")
        yield process


class Run:
    """Resources that are tried, and what came of them.

    A problem is kept with the smallest resource that had it; nothing is shrunk, since each try
    leaves something behind.

    Args:
        hooked: where.
    """

    def __init__(self, hooked: Webhooked) -> None:
        self._hooked = hooked
        self._client = hooked.plane.client
        self._written: dict[str, Json] = {}
        self._number = 0
        self.codes: collections.Counter[tuple[str, str, int]] = collections.Counter()
        self.reasons: collections.Counter[str] = collections.Counter()
        self.problems: dict[str, Json] = {}

    def batch(self, count: int, number: int) -> None:
        """Try some, one after the other, and wait until the operator has seen them."""

        @seed(number)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(writes())
        def attempt(steps: list[Write]) -> None:
            self._try(steps)

        self._written = {}
        attempt()
        for name, cr in self._reconciled().items():
            self.reasons[condition(cr, "Ready").get("reason", "")] += 1
            # Who wrote it back unchanged, which we do in both versions, is its author, too.
            views = [self._hooked.get(name, NAMESPACE, version) for version in VERSIONS]
            for problem in problems_of_status(cr, views):
                self._keep(problem, self._written[name])
        self._clear()

    # --- parts -----------------------------------------------------------------------------

    def _try(self, steps: list[Write]) -> None:
        self._number += 1
        name = f"{NAME}-{self._number}"
        for step in steps:
            written = object_of(step, name)
            code, answer = self._write(step, written)
            self.codes[step.verb, step.version, code] += 1
            if code in {OK, CREATED}:
                self._written[name] = written
                self._read_and_write_back(name, step.version)
            else:
                for problem in problems_of_refusal(code, answer, written):
                    self._keep(problem, written)
            if name not in self._written:
                return

    def _write(self, step: Write, written: Json) -> tuple[int, Json]:
        """Status and answer; what is written is completed by what was there."""
        path, name = collection(step.version, NAMESPACE), written["metadata"]["name"]
        if step.verb == "create":
            return self._hooked.ask("POST", path, written)
        while True:
            live = self._hooked.get(name, NAMESPACE, step.version)
            if step.verb == "patch":
                written["spec"] = merge_patched(live["spec"], step.spec)
                patch = {"spec": step.spec}
                return self._hooked.ask("PATCH", f"{path}/{name}", patch, content_type=MERGE)
            written["metadata"] = live["metadata"]
            code, answer = self._hooked.ask("PUT", f"{path}/{name}", written)
            if code != CONFLICT:  # the operator writes the status
                return code, answer

    def _read_and_write_back(self, name: str, written: str) -> None:
        for version in sorted(VERSIONS, key=lambda other: other != written):
            for problem in self._write_back(
                name, version, defaults=version not in (written, VERSION)
            ):
                self._keep(f"{problem} in {version}, written in {written}", self._written[name])

    def _write_back(self, name: str, version: str, *, defaults: bool) -> Iterator[str]:
        """What is written back unchanged changes nothing.

        In v1alpha1 an object has defaults, whoever wrote it; they become fields of its own when it
        is written back in that version, once.
        """
        path = f"{collection(version, NAMESPACE)}/{name}"
        hub = self._hub(name) if defaults else {}
        code, before, after = self._put(path)
        if code != OK:
            yield f"{code} of a PUT: {after['message']}"
            return
        if defaults:
            if without_defaults(self._hub(name)) != without_defaults(hub):
                yield f"another spec of the hub version: {self._hub(name)}"
            code, before, after = self._put(path)
        if after["metadata"]["generation"] != before["metadata"]["generation"]:
            yield f"another generation: {before['spec']}"
        if after["spec"] != before["spec"]:
            yield "another spec"

    def _put(self, path: str) -> tuple[int, Json, Json]:
        """Status of the answer, the object before and after."""
        while True:
            code, before = self._hooked.ask("GET", path)
            assert code == OK, (code, before)
            code, after = self._hooked.ask("PUT", path, before)
            if code != CONFLICT:  # the operator writes the status
                return code, before, after

    def _hub(self, name: str) -> Json:
        found: Json = self._hooked.get(name, NAMESPACE, VERSION)["spec"]
        return found

    def _reconciled(self) -> dict[str, Json]:
        """The resources, once each was looked at in its last generation."""
        found: dict[str, Json] = {}

        def all_are() -> bool:
            items = self._client.get(collection(VERSION, NAMESPACE))["items"]
            found.update((cr["metadata"]["name"], cr) for cr in items)
            return all(map(is_seen, found.values()))

        try:
            eventually("all are reconciled", all_are, PATIENCE_S)
        except AssertionError:
            for name, cr in found.items():
                if not is_seen(cr):
                    self._keep(f"not seen: {cr.get('status')}", self._written[name])
        return found

    def _clear(self) -> None:
        """Nobody collects garbage here."""
        self._client.delete(LLAMA_STACK.path(namespace=NAMESPACE))
        selector = "labelSelector=app.kubernetes.io/managed-by=llama-stack-operator"
        for kind in CHILDREN:
            self._client.delete(f"{kind.path(namespace=NAMESPACE)}?{selector}")

    def _keep(self, problem: str, obj: Json) -> None:
        problem = NUMBERED.sub(NAME, problem)
        known = self.problems.get(problem)
        if known is None or len(json.dumps(obj)) < len(json.dumps(known)):
            self.problems[problem] = obj


def object_of(step: Write, name: str) -> Json:
    """The object that is written."""
    return {
        "apiVersion": f"{GROUP}/{step.version}",
        "kind": KIND,
        "metadata": {"name": name},
        "spec": step.spec,
    }


def merge_patched(value: Any, patch: Any) -> Any:
    """What a merge patch makes of a value (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, changed in patch.items():
        if changed is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), changed)
    return result


def without_defaults(hub: Json) -> Json:
    """A spec without what v1alpha1 has by default, and without what is empty then."""
    found: Json = copy.deepcopy(hub)
    for path, value in DEFAULTS.items():
        nodes = [found]
        for step in path[:-1]:
            nodes.append(nodes[-1].get(step) or {})
        if nodes[-1].get(path[-1]) == value:
            del nodes[-1][path[-1]]
        for node, step in zip(nodes[-2::-1], path[-2::-1], strict=False):
            if node.get(step) in ({}, None):
                node.pop(step, None)
    return found


def is_seen(cr: Json) -> bool:
    """Whether the operator has told of the current generation."""
    seen: int = cr.get("status", {}).get("observedGeneration", 0)
    return seen == int(cr["metadata"]["generation"])


def problems_of_refusal(code: int, answer: Json, obj: Json) -> Iterator[str]:
    """Why its author cannot use a refusal."""
    if code not in REFUSED:
        yield f"{code}: {answer}"
        return
    if problem := problem_of(answer, obj):
        yield problem


def problems_of_status(cr: Json, views: list[Json]) -> Iterator[str]:
    """What the operator left unsaid of a resource, or said of what is not in it."""
    for kind in ("Ready", "ConfigGenerated", "SecretsResolved"):
        if condition(cr, kind).get("observedGeneration") != cr["metadata"]["generation"]:
            yield f"{kind} is not of the generation"
    ready = condition(cr, "Ready")
    if ready.get("reason") in ON_THE_WAY:
        return
    message = str(ready.get("message"))
    if REFUSED_CHILD.match(message):  # a child other than the Deployment
        return
    paths = paths_of_text(message)
    if not paths:
        yield f"no path in the status: {ready.get('reason')}: {message}"
    for path in paths:
        if not any(is_known(path, view) for view in views):
            yield f"{path} is not in it, says the status: {message}"


def test_every_random_resource_is_reconciled_or_refused_at_a_field_of_its_author(
    plane: ControlPlane, hooked: Webhooked, operator: OperatorProcess
) -> None:
    Arena(plane, NAMESPACE).prepare([*SPECS[VERSION], *map(hub_of, SPECS[OLD_VERSION])])
    run = Run(hooked)

    for number in range(0, COUNT, BATCH):
        run.batch(min(BATCH, COUNT - number), SEED + number)

    print(f"\n{dict(run.codes)}\n{dict(run.reasons)}")
    if run.problems:
        pytest.fail("\n".join(f"{p}\n    {json.dumps(o)}" for p, o in run.problems.items()))
    metrics = operator.metrics()
    assert {name: n for name, n in metrics.items() if name.startswith(PANICS) and n} == {}
    assert [r for r in operator.records() if "exception" in r] == []
    for version in VERSIONS:
        assert run.codes["create", version, CREATED] > COUNT / 8, run.codes
