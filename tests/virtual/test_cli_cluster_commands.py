# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Commands that talk to a cluster: ``install``, ``uninstall``, and what ``diff`` reads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.webhook import validating_webhook_configuration
from configs.registry_key import RegistryState
from controller.llamastack.objects.kinds import DEPLOYMENT, LLAMA_STACK, REGISTRY_STATE
from informers.errors import Forbidden
from informers.ports import ObjectKey
from llamastack_operator.cli.definitions import RESOURCES, documents
from llamastack_operator.cli.files import Entry
from llamastack_operator.cli.install import ESTABLISHED_WITHIN_S, install
from llamastack_operator.cli.live import NotInstalled, read_from
from llamastack_operator.cli.uninstall import Refused, uninstall
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from tests.support.fakeapi import failures
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

pytestmark = pytest.mark.looptime

KEY = ObjectKey("n", "demo")
DEFINITION = ObjectKey("", str(LLAMA_STACK))


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(FakeApi(*RESOURCES.values()))


def resource(client: FakeClient) -> dict[str, Any]:
    spec = {"distribution": {"name": "starter"}}
    return client.api.create(LLAMA_STACK, {"metadata": KEY._asdict(), "spec": spec})


def establish(client: FakeClient) -> None:
    condition = {"type": "Established", "status": "True"}
    client.api.put_status(CRD, DEFINITION, conditions=[condition])


# --- install ---------------------------------------------------------------------------------


async def test_install_ends_when_the_resource_is_served(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    task = asyncio.create_task(install(client), name="install")
    await asyncio.sleep(3.0)
    assert not task.done(), "the definition is not established yet"
    client.faults.append(Fault("list", LLAMA_STACK, error=failures.no_path(), times=2))
    establish(client)
    await task

    assert len(client.keys("list", LLAMA_STACK)) == 3
    *applied, served = capsys.readouterr().out.splitlines()
    assert len(applied) == len(documents())
    assert served == "LlamaStackDistribution llamastack.io/v1alpha2 is served"


async def test_install_for_webhooks_elsewhere_takes_the_service_away(client: FakeClient) -> None:
    establish_later = asyncio.create_task(install(client), name="install")
    await asyncio.sleep(1.0)
    establish(client)
    await establish_later
    client.api.create(WEBHOOK, validating_webhook_configuration())

    await install(client, webhook_url="https://127.0.0.1:9443")

    conversion = client.api.get(CRD, DEFINITION)["spec"]["conversion"]["webhook"]
    (hook,) = client.api.get(WEBHOOK, DEFINITION)["webhooks"]
    assert conversion["clientConfig"] == {"url": "https://127.0.0.1:9443/convert"}
    assert hook["clientConfig"] == {"url": "https://127.0.0.1:9443/validate"}


async def test_install_over_stored_objects_that_nobody_converts_yet_says_so(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.api.apply(CRD, {"metadata": {"name": DEFINITION.name}}, manager="other")
    establish(client)
    message = "conversion webhook for llamastack.io/v1alpha1, Kind=… failed: connection refused"
    client.faults.append(
        Fault("list", LLAMA_STACK, error=failures.failure(500, "InternalError", message))
    )

    await install(client)

    assert "there are stored objects of v1alpha1" in capsys.readouterr().out


async def test_second_install_changes_nothing(client: FakeClient) -> None:
    client.api.apply(CRD, {"metadata": {"name": DEFINITION.name}}, manager="other")
    establish(client)
    await install(client)
    before = client.api.get(CRD, DEFINITION)

    await install(client)

    assert client.api.get(CRD, DEFINITION) == before


async def test_install_gives_up_when_the_resource_is_never_served(
    client: FakeClient, looptime: float
) -> None:
    with pytest.raises(TimeoutError):
        await install(client)

    assert abs(float(looptime) - ESTABLISHED_WITHIN_S) < 1.0


# --- uninstall -------------------------------------------------------------------------------


async def test_uninstall_refuses_while_there_are_resources(client: FakeClient) -> None:
    establish_all(client)
    resource(client)

    with pytest.raises(Refused, match="1 LlamaStackDistribution objects exist"):
        await uninstall(client, delete_resources=False)

    assert client.verbs("delete") == []


@pytest.mark.parametrize("told", [True, False])
async def test_uninstall_deletes_the_definition_last(
    client: FakeClient, capsys: pytest.CaptureFixture[str], *, told: bool
) -> None:
    establish_all(client)
    if told:
        resource(client)

    await uninstall(client, delete_resources=told)

    assert len(client.verbs("delete")) == len(documents())
    assert client.keys("delete", CRD) == [DEFINITION]
    assert client.calls[-1].resource == CRD
    capsys.readouterr()

    await uninstall(client, delete_resources=told)
    assert all(line.endswith("was not there") for line in capsys.readouterr().out.splitlines())


async def test_uninstall_where_the_resource_is_not_known_takes_away_the_rest(
    client: FakeClient,
) -> None:
    del client.api.clusters[LLAMA_STACK]

    await uninstall(client, delete_resources=False)

    assert client.verbs("delete") == []


def establish_all(client: FakeClient) -> None:
    for document in documents():
        client.api.apply(RESOURCES[document["kind"]], document, manager="install")


# --- what diff reads -------------------------------------------------------------------------


def entry(name: str = "demo") -> Entry:
    return Entry("file", {"metadata": {"name": name, "namespace": "n"}})


def deployment(client: FakeClient, owner: dict[str, Any], state: str) -> None:
    reference = {
        "apiVersion": LLAMA_STACK.api_version,
        "kind": LLAMA_STACK.kind,
        "name": "demo",
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    metadata = {
        **KEY._asdict(),
        "annotations": {REGISTRY_STATE: state},
        "ownerReferences": [reference],
    }
    template: dict[str, Any] = {"spec": {"containers": []}}
    client.api.create(DEPLOYMENT, {"metadata": metadata, "spec": {"template": template}})


async def test_live_resource_comes_with_the_registry_of_its_server(client: FakeClient) -> None:
    state = RegistryState().dump()
    deployment(client, resource(client), state)

    found = await read_from(client, [entry(), entry("other")])

    assert list(found) == ["n/demo"]
    assert found["n/demo"].registry == state


async def test_registry_of_somebody_elses_deployment_is_not_the_servers(client: FakeClient) -> None:
    resource(client)
    deployment(client, {"metadata": {"uid": "another"}}, RegistryState().dump())

    assert (await read_from(client, [entry()]))["n/demo"].registry == ""


async def test_deployment_that_may_not_be_read_costs_only_the_registry(client: FakeClient) -> None:
    resource(client)
    client.faults.append(Fault("get", DEPLOYMENT, error=Forbidden("no", code=403)))

    assert (await read_from(client, [entry()]))["n/demo"].registry == ""


async def test_cluster_that_does_not_know_the_resource_is_told_how_to(client: FakeClient) -> None:
    del client.api.clusters[LLAMA_STACK]

    with pytest.raises(NotInstalled, match="run `python -m llamastack_operator install`"):
        await read_from(client, [entry()])
