# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which objects of users a resource names, and that each cache has a name of its own."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.cache.reference_index import (
    ODH_CA_BUNDLE,
    Referenced,
    is_always_kept,
    reference,
    reference_index,
    referred_object,
    secrets_of_pods,
)
from controller.llamastack.objects.kinds import CONFIG_MAP, SECRET
from controller.llamastack.watches import WATCHES
from informers.ports import ObjectKey, Resource

IMPLIED = f"configmaps/n/{ODH_CA_BUNDLE}"


def resource(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "demo", "namespace": "n"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"overrideConfig": {"configMapName": "c"}}, "configmaps/n/c"),
        (
            {"overrideConfig": {"configMapName": "c", "configMapNamespace": "other"}},
            "configmaps/other/c",
        ),
        ({"networking": {"tls": {"caBundle": {"configMapName": "c"}}}}, "configmaps/n/c"),
        ({"env": [{"valueFrom": {"configMapKeyRef": {"name": "c"}}}]}, "configmaps/n/c"),
        ({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}, "configmaps/n/c"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "secrets/n/s"),
        ({"volumes": [{"projected": {"sources": [{"secret": {"name": "s"}}]}}]}, "secrets/n/s"),
        ({"networking": {"tls": {"secretName": "s"}}}, "secrets/n/s"),
        ({"networking": {"expose": {"tlsSecretName": "s"}}}, "secrets/n/s"),
        ({"apiKey": {"secretKeyRef": {"name": "s", "key": "k"}}}, "secrets/n/s"),
        ({"imagePullSecrets": [{"name": "s"}, {}, "odd"]}, "secrets/n/s"),
    ],
)
def test_every_way_to_name_an_object_is_found(spec: dict[str, Any], named: str) -> None:
    assert set(reference_index(resource(**spec))) == {named, IMPLIED}


@pytest.mark.parametrize("odd", [None, 5, [], {"name": 5}, {"name": ""}, {"name": None}])
def test_what_is_no_name_is_passed_over(odd: Any) -> None:
    spec = {"secretKeyRef": odd, "configMap": odd, "imagePullSecrets": odd, "configMapName": odd}

    assert reference_index(resource(**spec)) == [IMPLIED]
    assert reference_index({"metadata": {"name": "demo", "namespace": "n"}}) == [IMPLIED]


def test_bundle_of_the_cluster_is_kept_before_anybody_refers_to_it() -> None:
    assert is_always_kept(CONFIG_MAP, ObjectKey("any", ODH_CA_BUNDLE))
    assert not is_always_kept(SECRET, ObjectKey("any", ODH_CA_BUNDLE))
    assert not is_always_kept(CONFIG_MAP, ObjectKey(ODH_CA_BUNDLE, "other"))


@pytest.mark.parametrize("kind", [SECRET, CONFIG_MAP])
def test_entry_stands_for_one_object(kind: Resource) -> None:
    key = ObjectKey("n", "x.y")

    assert referred_object(reference(kind, key)) == (kind, key)


def test_caches_of_one_kind_are_told_apart() -> None:
    keys = [watch.key for watch in WATCHES]

    assert len(set(keys)) == len(keys)
    assert {CONFIG_MAP, Referenced(CONFIG_MAP), Referenced(SECRET)} <= set(keys)
    assert len({str(key) for key in keys}) == len(keys), "names in logs and metrics"


def test_secrets_of_pods_are_those_that_the_server_reads() -> None:
    spec = {
        "apiKey": {"secretKeyRef": {"name": "b", "key": "k"}},
        "env": [{"valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}] * 2,
        "imagePullSecrets": [{"name": "pull"}],
        "overrideConfig": {"configMapName": "c"},
        "storage": {"sql": {"connectionString": {"secretKeyRef": {"name": "db", "key": "k"}}}},
        "more": {"secretKeyRef": {"name": "db", "key": "k"}},
    }

    assert secrets_of_pods(resource(**spec)) == [ObjectKey("n", "a"), ObjectKey("n", "b")]
