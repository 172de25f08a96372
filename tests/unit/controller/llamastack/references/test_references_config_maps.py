# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Referenced ConfigMaps: what is wrong with them, and what of them rolls the pods."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from api.v1alpha2.references import ConfigMapReference
from controller.llamastack.objects.kinds import CONFIG_MAP
from controller.llamastack.references.config_maps import (
    ConfigMapResolver,
    ConfigMapSummary,
    Judgement,
    Reach,
    judge,
)
from informers.ports import ObjectKey
from tests.support.fakeapi.caches import FakeCaches
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.server import FakeApi

PATH = "spec.workload.overrides.env[0].valueFrom.configMapKeyRef"
REF = ConfigMapReference("settings", "mode", PATH)
WHOLE = ConfigMapReference("settings", "", "spec.workload.overrides.volumes[0].configMap.name")
OPTIONAL = ConfigMapReference("settings", "mode", PATH, optional=True)
BUNDLE = ConfigMapReference("settings", "mode", "spec.networking.tls.caBundle", in_pod=False)
ELSEWHERE = ConfigMapReference(
    "settings", "config.yaml", "spec.overrideConfig.configMapName", namespace="other"
)
KEY = ObjectKey("n", "settings")
OWN_ONLY = Reach()


READ = "get configmaps n/settings"


def empty() -> FakeClient:
    """A client of a cluster without it."""
    return FakeClient(FakeApi())


def cluster(**content: Any) -> FakeClient:
    """A client of a cluster with the ConfigMap."""
    client = empty()
    put(client, **content)
    return client


def put(client: FakeClient, key: ObjectKey = KEY, **content: Any) -> str:
    """Create or change it; its version."""
    obj = client.api.put(CONFIG_MAP, key, **content)
    return str(obj["metadata"]["resourceVersion"])


def resolver(client: FakeClient, reach: Reach = OWN_ONLY) -> ConfigMapResolver:
    """Of an operator that just started."""
    return ConfigMapResolver(FakeCaches(client.api).config_map, client, reach)


async def judged(client: FakeClient, *references: ConfigMapReference) -> Judgement:
    return await resolver(client).resolve("n", references)


def messages(judgement: Judgement) -> list[tuple[str, str]]:
    return [(str(reason), error.message) for reason, error in judgement.problems]


async def test_missing_config_map_is_named_with_the_field_that_wants_it() -> None:
    assert messages(await judged(empty(), REF)) == [
        (
            Reason.CONFIG_MAP_NOT_FOUND,
            f'ConfigMap "settings" not found in namespace "n". Referenced by: {PATH}',
        )
    ]


async def test_missing_key_is_named_with_the_field_that_wants_it() -> None:
    assert messages(await judged(cluster(data={"other": "x"}), REF)) == [
        (
            Reason.CONFIG_MAP_KEY_NOT_FOUND,
            f'Key "mode" not found in ConfigMap "settings/n". Referenced by: {PATH}',
        )
    ]


async def test_config_map_that_one_field_needs_two_keys_of_is_missed_once() -> None:
    path = "spec.networking.tls.caBundle.configMapName"
    refs = [ConfigMapReference("away", key, path) for key in ("a.crt", "b.crt")]

    judgement = await resolver(empty()).resolve("n", refs)

    assert len(judgement.problems) == 1


async def test_key_may_hold_binary_data() -> None:
    assert messages(await judged(cluster(binaryData={"mode": "AAA="}), REF)) == []


async def test_optional_references_may_be_missing() -> None:
    assert messages(await judged(empty(), OPTIONAL)) == []
    assert messages(await judged(cluster(data={"other": "x"}), OPTIONAL)) == []


async def test_equal_rewrite_moves_the_versions_and_not_the_content() -> None:
    client = cluster(data={"mode": "a"})
    before = await judged(client, REF)
    put(client, metadata={"labels": {"x": "y"}})
    labelled = await judged(client, REF)
    client.api.delete(CONFIG_MAP, KEY)
    put(client, data={"mode": "a"})
    recreated = await judged(client, REF)

    assert labelled.content_hash == recreated.content_hash == before.content_hash != ""
    assert len({j.versions_hash for j in (before, labelled, recreated)}) == 3


async def _changed(reference: ConfigMapReference, **data: str) -> tuple[Judgement, Judgement]:
    """Before and after other content in place of ``mode: a, other: x``."""
    client = cluster(data={"mode": "a", "other": "x"})
    before = await judged(client, reference)
    put(client, data=data)
    return before, await judged(client, reference)


async def test_content_of_a_key_that_is_used_moves_the_content_hash() -> None:
    before, after = await _changed(REF, mode="b", other="x")
    assert after.content_hash != before.content_hash

    before, after = await _changed(REF, mode="a", other="y")
    assert after.content_hash == before.content_hash


@pytest.mark.parametrize("data", [{"mode": "a", "other": "y"}, {"mode": "a"}])
async def test_every_key_counts_where_the_whole_config_map_is_used(data: dict[str, str]) -> None:
    before, after = await _changed(WHOLE, **data)

    assert after.content_hash != before.content_hash


async def test_what_the_pod_does_not_use_itself_has_no_part_in_the_content_hash() -> None:
    alone = await judged(cluster(data={"mode": "a"}), BUNDLE)

    assert alone.content_hash == ""
    assert alone.versions_hash != ""


async def test_appearance_of_an_optional_key_moves_the_content_hash() -> None:
    absent = await judged(empty(), OPTIONAL)
    without = await judged(cluster(data={"other": "x"}), OPTIONAL)
    present = await judged(cluster(data={"mode": "a"}), OPTIONAL)

    assert absent.content_hash == without.content_hash != present.content_hash


async def test_config_map_is_read_once_per_version() -> None:
    client = empty()
    version, config_maps = put(client, data={"mode": "a"}), resolver(client)
    for _ in range(3):
        await config_maps.resolve("n", [REF])
    config_maps.changed(KEY, version)
    await config_maps.resolve("n", [REF])
    assert client.verbs() == [READ]

    config_maps.changed(KEY, put(client, data={"mode": "b"}))
    await config_maps.resolve("n", [REF])

    assert client.verbs() == [READ, READ]


async def test_content_is_not_kept() -> None:
    config_maps = resolver(cluster(data={"mode": "something-long-and-private"}))

    await config_maps.resolve("n", [REF])

    assert "something-long-and-private" not in repr(vars(config_maps))


async def test_metadata_proves_after_a_restart_that_nothing_changed() -> None:
    client = cluster(data={"mode": "a"})
    before = await judged(client, REF)
    client.calls.clear()

    assert resolver(client).hash_of_cached("n", [REF]) == before.versions_hash
    assert client.calls == []


async def test_metadata_proves_nothing_of_what_it_does_not_show() -> None:
    unseen = resolver(empty())

    assert unseen.hash_of_cached("n", [REF]) == ""
    assert unseen.hash_of_cached("n", [OPTIONAL]) == (await judged(empty(), OPTIONAL)).versions_hash


async def test_another_namespace_is_refused_unread() -> None:
    client = empty()
    put(client, ObjectKey("other", "settings"), data={"config.yaml": "x"})

    judgement = await resolver(client).resolve("n", [ELSEWHERE])

    ((reason, error),) = judgement.problems
    assert reason == Reason.CROSS_NAMESPACE_REFERENCE
    assert error.message.startswith('ConfigMap "settings" in namespace "other" is not read')
    assert "--allow-cross-namespace-config" in error.message
    assert client.calls == []
    assert resolver(client).hash_of_cached("n", [ELSEWHERE]) == ""


async def test_allowed_namespace_is_read_and_its_content_is_no_content_of_the_pod() -> None:
    client = empty()
    put(client, ObjectKey("other", "settings"), data={"config.yaml": "x"})

    judgement = await resolver(client, Reach(elsewhere=True)).resolve("n", [ELSEWHERE])

    assert client.verbs() == ["get configmaps other/settings"]
    assert (judgement.problems, judgement.content_hash) == ((), "")
    assert judgement.versions_hash != ""


@pytest.mark.parametrize(
    ("reach", "covered"),
    [
        (Reach(), False),
        (Reach(elsewhere=True), True),
        (Reach(elsewhere=True, watched=frozenset({"n"})), False),
        (Reach(elsewhere=True, watched=frozenset({"n", "other"})), True),
    ],
)
def test_reach_ends_where_the_operator_does_not_look(reach: Reach, covered: bool) -> None:
    assert reach.covers("n", "other") is covered
    assert reach.covers("n", "n")


def test_all_problems_are_reported_at_once() -> None:
    other = ConfigMapReference("settings", "nope", "b")

    judgement = judge("n", (REF, other), {KEY: ConfigMapSummary("u", "1")})

    assert [error.path for _, error in judgement.problems] == [PATH, "b"]
