# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""All samples at once, as ``kubectl apply -f deploy/samples`` brings them to a cluster.

The definition and the policy are those of ``deploy``, the API server asks the operator's webhooks,
the operator has its own rights only, and the nodes are simulated: Pods become Ready without a
server in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.apicase import resource
from tests.support.crdplane import REFUSED, answer, until
from tests.support.operator_process import OperatorProcess
from tests.support.samples import FOLDER, SAMPLES, Sample
from tests.support.volumes import CLASSES, storage_class, volume
from tests.support.webhooked import asked, collection, webhooked
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

_PLURAL = {"Secret": "secrets", "ConfigMap": "configmaps"}


@pytest.fixture(scope="module")
def operator(kwok_plane: ControlPlane) -> Iterator[OperatorProcess]:
    with webhooked(kwok_plane) as where:
        wrong = resource(providers={"inference": 4})
        with asked(where) as process:
            process.wait_logged("Started workers")
            until(lambda: answer(kwok_plane, wrong)[0] == REFUSED)  # the policy is in force
            yield process


@pytest.fixture
def default_class(kwok_plane: ControlPlane, kwok_namespace: str) -> Iterator[str]:
    """A cluster whose claims get a class, and the volumes that the samples ask for."""
    storage_class(kwok_plane.client, kwok_namespace, default=True)
    for sample in SAMPLES:
        if asked := sample.read().spec.workload.storage:
            name = f"{kwok_namespace}-{sample.name}"
            modes = asked.access_modes or ("ReadWriteOnce",)
            volume(kwok_plane.client, name, kwok_namespace, size="20Gi", modes=tuple(modes))
    yield kwok_namespace
    kwok_plane.client.delete(f"{CLASSES}/{kwok_namespace}")


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_sample_is_accepted_and_kept_whole(
    operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str, sample: Sample
) -> None:
    for needed in sample.documents[:-1]:
        kwok_plane.client.create(
            f"/api/v1/namespaces/{kwok_namespace}/{_PLURAL[needed['kind']]}", needed
        )
    path = f"{collection(sample.version, kwok_namespace)}?dryRun=All"

    stored = kwok_plane.client.request("POST", path, sample.resource)

    assert _written(stored["spec"], sample.resource["spec"]) == sample.resource["spec"]
    assert stored["apiVersion"] == sample.resource["apiVersion"]


def _written(stored: Any, written: Any) -> Any:
    """Of what is stored, the places that were written: v1alpha1 fills in defaults."""
    if isinstance(stored, dict) and isinstance(written, dict):
        return {key: _written(stored[key], written[key]) for key in stored if key in written}
    if isinstance(stored, list) and isinstance(written, list) and len(stored) == len(written):
        return [_written(*pair) for pair in zip(stored, written, strict=True)]
    return stored


def test_samples_become_ready(
    operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str, default_class: str
) -> None:
    world = World(kwok_plane, kwok_namespace)
    kwok_plane.kubectl("apply", "-f", str(FOLDER), "-n", kwok_namespace)

    def waiting() -> list[str]:
        answers = {cr["metadata"]["name"]: condition(cr, "Ready") for cr in world.all("llsd")}
        return [name for name, answer in answers.items() if answer.get("status") != "True"]

    eventually("every sample is Ready", lambda: not waiting(), 60.0)

    assert {cr["metadata"]["name"] for cr in world.all("llsd")} == {s.name for s in SAMPLES}
