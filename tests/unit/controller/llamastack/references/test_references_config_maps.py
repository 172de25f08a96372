# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Referenced ConfigMaps: what is wrong with them, and what of them rolls the pods."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from api.v1alpha2.references import ConfigMapReference
from controller.llamastack.references.config_maps import (
    ConfigMapResolver,
    ConfigMapSummary,
    Judgement,
    Reach,
    judge,
)
from informers.errors import NotFound
from informers.ports import Object, ObjectKey, Resource

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


def config_map(version: str = "5", uid: str = "u", **data: str) -> dict[str, Any]:
    metadata = {"name": "settings", "namespace": "n", "uid": uid, "resourceVersion": version}
    return {"metadata": metadata, "data": data}


class Server:
    """Live reads; what they read can be changed."""

    def __init__(self, obj: dict[str, Any] | None) -> None:
        self.obj = obj
        self.reads: list[ObjectKey] = []

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        self.reads.append(key)
        if self.obj is None:
            raise NotFound("not found", code=404)
        where = {"namespace": key.namespace, "name": key.name}
        return {**self.obj, "metadata": {**self.obj["metadata"], **where}}

    async def list_all(self, *_: Any, **__: Any) -> tuple[Object, ...]:
        raise AssertionError("nobody lists ConfigMaps")

    apply = create = json_patch = delete = list_all


def resolver(
    server: Server, cached: Object | None = None, reach: Reach = OWN_ONLY
) -> ConfigMapResolver:
    return ConfigMapResolver(lambda key: cached, server, reach)  # type: ignore[arg-type]


async def judged(obj: dict[str, Any] | None, *references: ConfigMapReference) -> Judgement:
    return await resolver(Server(obj)).resolve("n", references)


def messages(judgement: Judgement) -> list[tuple[str, str]]:
    return [(str(reason), error.message) for reason, error in judgement.problems]


async def test_missing_config_map_is_named_with_the_field_that_wants_it() -> None:
    assert messages(await judged(None, REF)) == [
        (
            Reason.CONFIG_MAP_NOT_FOUND,
            f'ConfigMap "settings" not found in namespace "n". Referenced by: {PATH}',
        )
    ]


async def test_missing_key_is_named_with_the_field_that_wants_it() -> None:
    assert messages(await judged(config_map(other="x"), REF)) == [
        (
            Reason.CONFIG_MAP_KEY_NOT_FOUND,
            f'Key "mode" not found in ConfigMap "settings/n". Referenced by: {PATH}',
        )
    ]


async def test_key_may_hold_binary_data() -> None:
    binary = {**config_map(), "binaryData": {"mode": "AAA="}}

    assert messages(await judged(binary, REF)) == []


async def test_optional_references_may_be_missing() -> None:
    assert messages(await judged(None, OPTIONAL)) == []
    assert messages(await judged(config_map(other="x"), OPTIONAL)) == []


async def test_equal_rewrite_moves_the_versions_and_not_the_content() -> None:
    before = await judged(config_map("5", mode="a"), REF)
    labelled = await judged(config_map("6", mode="a"), REF)
    recreated = await judged(config_map("7", uid="v", mode="a"), REF)

    assert labelled.content_hash == recreated.content_hash == before.content_hash != ""
    assert len({j.versions_hash for j in (before, labelled, recreated)}) == 3


async def test_content_of_a_key_that_is_used_moves_the_content_hash() -> None:
    before = await judged(config_map(mode="a", other="x"), REF)

    assert (await judged(config_map(mode="b", other="x"), REF)).content_hash != before.content_hash
    assert (await judged(config_map(mode="a", other="y"), REF)).content_hash == before.content_hash


async def test_every_key_counts_where_the_whole_config_map_is_used() -> None:
    before = await judged(config_map(mode="a", other="x"), WHOLE)

    assert (await judged(config_map(mode="a", other="y"), WHOLE)) != before
    assert (await judged(config_map(mode="a"), WHOLE)).content_hash != before.content_hash


async def test_what_the_pod_does_not_use_itself_has_no_part_in_the_content_hash() -> None:
    alone = await judged(config_map(mode="a"), BUNDLE)

    assert alone.content_hash == ""
    assert alone.versions_hash != ""


async def test_appearance_of_an_optional_key_moves_the_content_hash() -> None:
    absent = await judged(None, OPTIONAL)
    without = await judged(config_map(other="x"), OPTIONAL)
    present = await judged(config_map(mode="a"), OPTIONAL)

    assert absent.content_hash == without.content_hash != present.content_hash


async def test_config_map_is_read_once_per_version() -> None:
    server = Server(config_map(mode="a"))
    config_maps = resolver(server)
    for _ in range(3):
        await config_maps.resolve("n", [REF])
    config_maps.changed(KEY, "5")
    await config_maps.resolve("n", [REF])
    assert len(server.reads) == 1

    config_maps.changed(KEY, "6")
    await config_maps.resolve("n", [REF])

    assert len(server.reads) == 2


async def test_content_is_not_kept() -> None:
    config_maps = resolver(Server(config_map(mode="something-long-and-private")))

    await config_maps.resolve("n", [REF])

    assert "something-long-and-private" not in repr(vars(config_maps))


async def test_metadata_proves_after_a_restart_that_nothing_changed() -> None:
    live = config_map(mode="a")
    before = await judged(live, REF)
    restarted = resolver(Server(None), cached={"metadata": live["metadata"]})

    assert restarted.hash_of_cached("n", [REF]) == before.versions_hash


async def test_metadata_proves_nothing_of_what_it_does_not_show() -> None:
    unseen = resolver(Server(None))

    assert unseen.hash_of_cached("n", [REF]) == ""
    assert unseen.hash_of_cached("n", [OPTIONAL]) == (await judged(None, OPTIONAL)).versions_hash


async def test_another_namespace_is_refused_unread() -> None:
    server = Server(config_map(**{"config.yaml": "x"}))

    judgement = await resolver(server).resolve("n", [ELSEWHERE])

    ((reason, error),) = judgement.problems
    assert reason == Reason.CROSS_NAMESPACE_REFERENCE
    assert error.message.startswith('ConfigMap "settings" in namespace "other" is not read')
    assert "--allow-cross-namespace-config" in error.message
    assert server.reads == []
    assert resolver(server, config_map()).hash_of_cached("n", [ELSEWHERE]) == ""


async def test_allowed_namespace_is_read_and_its_content_is_no_content_of_the_pod() -> None:
    server = Server(config_map(**{"config.yaml": "x"}))

    judgement = await resolver(server, reach=Reach(elsewhere=True)).resolve("n", [ELSEWHERE])

    assert server.reads == [ObjectKey("other", "settings")]
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
