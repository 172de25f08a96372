# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""All samples at once, as ``kubectl apply -f deploy/samples`` brings them to a cluster.

The definition and the policy are those of ``deploy``, the operator has its own rights only, and
the nodes are simulated: Pods become Ready without a server in them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.apicase import resource
from tests.support.crdplane import REFUSED, answer, collection, until
from tests.support.operator_process import OperatorProcess
from tests.support.samples import FOLDER, SAMPLES, Sample
from tests.support.volumes import CLASSES, storage_class, volume
from tests.support.world import World, eventually, install

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def operator(kwok_plane: ControlPlane) -> Iterator[OperatorProcess]:
    kubeconfig = install(kwok_plane)
    wrong = resource(providers={"inference": 4})
    until(lambda: answer(kwok_plane, wrong)[0] == REFUSED)  # the policy is in force
    with OperatorProcess(kubeconfig) as process:
        process.wait_logged("Started workers")
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
    operator: OperatorProcess, kwok_plane: ControlPlane, sample: Sample
) -> None:
    path = f"{collection()}?dryRun=All"

    stored = kwok_plane.client.request("POST", path, sample.resource)

    assert stored["spec"] == sample.resource["spec"]


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
