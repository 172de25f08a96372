# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Admission with an API server in memory: references are looked up, in time (FR-073, FR-074)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.conversion import convert
from configs.distributions import Distributions
from controller.llamastack.objects.kinds import CONFIG_MAP, SECRET
from controller.llamastack.references.config_maps import Reach
from informers.errors import Forbidden, ServerError, TransportError
from informers.ports import ObjectKey
from llamastack_operator.settings import MissingReferences
from llamastack_operator.webhooks.references import MOST_READS, ReferenceChecker
from llamastack_operator.webhooks.validating import Validator
from tests.support import reviews
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi
from tests.support.reviews import resource, response, with_key

pytestmark = pytest.mark.looptime

DISTRIBUTIONS = Distributions.load()
OWN_NAMESPACE = Reach()
VALUE = "c2VjcmV0LXZhbHVl"
SECRET_PATH = "spec.providers.inference.apiKey.secretKeyRef"


class Cluster:
    """An API server, and a validator that looks at it."""

    def __init__(
        self,
        *,
        missing: MissingReferences = "refuse",
        reach: Reach = OWN_NAMESPACE,
        namespaces: frozenset[str] = frozenset(),
        distributions: Distributions | None = DISTRIBUTIONS,
    ) -> None:
        self.api = FakeApi()
        self.client = FakeClient(self.api, latency_s=0.01)
        self.validator = Validator(
            ReferenceChecker(self.client, reach),
            lambda: distributions,
            missing_references=missing,
            namespaces=namespaces,
        )

    def secret(self, name: str, **data: str) -> None:
        self.api.put(SECRET, ObjectKey("team", name), data=data)

    def config_map(self, name: str, namespace: str = "team", **data: str) -> None:
        self.api.put(CONFIG_MAP, ObjectKey(namespace, name), data=data)

    async def ask(self, obj: Any, old: Any = None, *, within_s: float = 9.0, **more: Any) -> Any:
        deadline = asyncio.get_running_loop().time() + within_s
        body = reviews.admission(obj, old, **more)
        return response(await self.validator.answer(body, deadline=deadline))

    async def message(self, obj: Any, old: Any = None, **more: Any) -> str:
        answer = await self.ask(obj, old, **more)
        return str((answer.get("status") or {}).get("message", ""))


def override(name: str, namespace: str = "") -> dict[str, Any]:
    config = {"configMapName": name, **({"configMapNamespace": namespace} if namespace else {})}
    return resource(distribution={"name": "starter"}, overrideConfig=config)


async def test_resource_with_everything_it_names_is_let_through() -> None:
    cluster = Cluster()
    cluster.secret("s", token=VALUE)

    answer = await cluster.ask(resource(**with_key("s")), uid="x-9")

    assert (answer["uid"], answer["allowed"]) == ("x-9", True)


async def test_missing_secret_is_refused_with_the_message_of_the_status() -> None:
    said = await Cluster().message(resource(**with_key("s")))

    assert said == (
        f'{SECRET_PATH}: Secret "s" not found in namespace "team". Referenced by: {SECRET_PATH}'
    )


async def test_missing_key_is_refused_and_no_value_is_shown() -> None:
    cluster = Cluster()
    cluster.secret("s", other=VALUE)

    answer = await cluster.ask(resource(**with_key("s")))

    assert 'Key "token" not found in Secret "s/team"' in answer["status"]["message"]
    assert VALUE not in json.dumps(answer)


async def test_missing_config_map_and_key_are_refused() -> None:
    cluster = Cluster()
    assert 'ConfigMap "c" not found in namespace "team"' in await cluster.message(override("c"))

    cluster.config_map("c", other="x")
    assert 'Key "config.yaml" not found in ConfigMap "c/team"' in await cluster.message(
        override("c")
    )

    cluster.config_map("c", **{"config.yaml": "version: 2"})
    assert await cluster.message(override("c")) == ""


async def test_author_of_the_old_version_reads_his_own_path() -> None:
    said = await Cluster().message(convert(resource(**with_key("s")), "v1alpha1"))

    path = "spec.server.providers.inference.apiKey.secretKeyRef"
    assert said.startswith(f'{path}: Secret "s" not found')
    assert said.endswith(f"Referenced by: {path}")


async def test_everything_that_is_missing_is_said_at_once() -> None:
    spec = with_key("s", networking={"tls": {"enabled": True, "secretName": "t"}})

    lines = (await Cluster().message(resource(**spec))).splitlines()

    assert [line.partition(":")[0] for line in lines] == [
        SECRET_PATH,
        "spec.networking.tls.secretName",
    ]


async def test_lookups_go_side_by_side_but_not_all_at_once() -> None:
    cluster = Cluster()
    env = [
        {"name": f"E{n}", "valueFrom": {"secretKeyRef": {"name": f"s{n}", "key": "k"}}}
        for n in range(40)
    ]
    for n in range(40):
        cluster.secret(f"s{n}", k=VALUE)
    obj = resource(distribution={"name": "starter"}, workload={"overrides": {"env": env}})
    began = asyncio.get_running_loop().time()

    assert (await cluster.ask(obj))["allowed"]

    assert asyncio.get_running_loop().time() - began < 0.05
    assert cluster.client.most_in_flight == MOST_READS
    assert len(cluster.client.calls) == 40


async def test_missing_references_can_be_warnings() -> None:
    cluster = Cluster(missing="warn")

    answer = await cluster.ask(resource(**with_key("s")))

    assert answer["allowed"]
    assert answer["warnings"][-1].startswith(f'{SECRET_PATH}: Secret "s" not found')


# --- what is not looked up -----------------------------------------------------------------


async def test_wrong_resource_costs_no_look_at_the_cluster() -> None:
    cluster = Cluster()

    said = await cluster.message(resource(**{**with_key("s"), "distribution": {"name": "what"}}))

    assert said.startswith("spec.distribution.name: ")
    assert cluster.client.calls == []


async def test_update_looks_up_only_what_it_changed() -> None:
    cluster = Cluster()
    old = resource(**with_key("gone"))
    new = resource(**with_key("gone"), workload={"replicas": 2})

    assert (await cluster.ask(new, old))["allowed"]
    assert cluster.client.calls == []

    assert '"other"' in await cluster.message(resource(**with_key("other")), old)


async def test_update_is_not_refused_for_what_was_wrong_before() -> None:
    cluster = Cluster()
    wrong: dict[str, Any] = {
        "distribution": {"name": "starter"},
        "networking": {"tls": {"enabled": True}},
    }
    old, new = resource(**wrong), resource(**wrong, workload={"replicas": 2})

    assert (await cluster.ask(new, old))["allowed"]
    assert not (await cluster.ask(new))["allowed"]


async def test_write_that_corrects_is_not_refused_for_what_was_missing_before() -> None:
    cluster = Cluster()
    old = resource(**with_key("gone"), networking={"tls": {"enabled": True}})

    assert (await cluster.ask(resource(**with_key("gone")), old))["allowed"]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_nothing_is_ever_written(dry_run: bool) -> None:
    cluster = Cluster()
    cluster.secret("s", token=VALUE)

    await cluster.ask(resource(**with_key("s")), dryRun=dry_run)

    assert {call.verb for call in cluster.client.calls} == {"get"}


async def test_deletion_costs_nothing() -> None:
    cluster = Cluster()

    assert (await cluster.ask(None, resource(**with_key("s")), operation="DELETE"))["allowed"]
    assert cluster.client.calls == []


async def test_namespace_that_the_operator_does_not_work_in_is_not_looked_into() -> None:
    cluster = Cluster(namespaces=frozenset({"elsewhere"}))

    answer = await cluster.ask(resource(**with_key("s")))

    assert answer["allowed"]
    assert 'does not work in namespace "team"' in answer["warnings"][-1]
    assert cluster.client.calls == []


# --- other namespaces (R-D12) --------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
async def test_other_namespace_is_refused_without_telling_what_is_in_it(there: bool) -> None:
    cluster = Cluster()
    if there:
        cluster.config_map("c", "other", **{"config.yaml": "x"})

    said = await cluster.message(override("c", "other"))

    assert 'ConfigMap "c" in namespace "other" is not read' in said
    assert cluster.client.calls == []


async def test_other_namespace_is_refused_even_where_missing_references_are_warnings() -> None:
    assert not (await Cluster(missing="warn").ask(override("c", "other")))["allowed"]


async def test_other_namespace_is_read_with_consent() -> None:
    cluster = Cluster(reach=Reach(elsewhere=True))
    assert 'not found in namespace "other"' in await cluster.message(override("c", "other"))

    cluster.config_map("c", "other", **{"config.yaml": "x"})
    assert (await cluster.ask(override("c", "other")))["allowed"]


# --- when the cluster cannot be asked (H1) -------------------------------------------------


async def test_slow_api_server_is_a_refusal_in_time_that_says_so() -> None:
    cluster = Cluster()
    cluster.client.faults = [Fault("get", SECRET, delay_s=60.0, times=None)]
    began = asyncio.get_running_loop().time()

    said = await cluster.message(resource(**with_key("s")), within_s=4.0)

    assert asyncio.get_running_loop().time() - began == pytest.approx(4.0, abs=0.01)
    assert said.startswith(f"{SECRET_PATH}: could not find out whether")
    assert "did not answer in time" in said


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TransportError("connection refused"), "connection refused"),
        (ServerError("etcd is away", code=500), "etcd is away"),
        (Forbidden("secrets is forbidden: user x", code=403), "the operator lacks the right"),
    ],
)
async def test_failing_api_server_is_a_refusal_that_says_why(error: Exception, cause: str) -> None:
    cluster = Cluster()
    cluster.client.faults = [Fault("get", SECRET, error=error, times=None)]

    assert cause in await cluster.message(resource(**with_key("s")))


async def test_what_could_be_found_out_is_said_beside_what_could_not() -> None:
    cluster = Cluster()
    cluster.client.faults = [Fault("get", SECRET, "s", error=TransportError("no"), times=None)]
    spec = with_key("s", networking={"tls": {"enabled": True, "secretName": "t"}})

    said = await cluster.message(resource(**spec))

    assert 'Secret "t" not found' in said
    assert 'whether Secret "s" is in namespace "team": no' in said


async def test_bug_is_not_an_answer() -> None:
    cluster = Cluster()
    cluster.client.faults = [Fault("get", SECRET, error=RuntimeError("bug"), times=None)]

    with pytest.raises(RuntimeError, match="bug"):
        await cluster.ask(resource(**with_key("s")))


async def test_while_the_operator_starts_the_rest_is_checked_and_that_is_said() -> None:
    cluster = Cluster(distributions=None)

    answer = await cluster.ask(resource(**with_key("s")))

    assert not answer["allowed"]
    assert any("were not checked against each other" in text for text in answer["warnings"])
