# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reads from the caches of one process."""

from __future__ import annotations

import pytest

from informers.informer import Informer
from informers.ports import ObjectKey
from llamastack_operator.informer_set import EVERYWHERE, NotCached, ScopedReader
from tests.support.fakecluster import FakeCluster
from tests.support.fakelist import FakeListerWatcher


def informer() -> Informer:
    return Informer(FakeListerWatcher(FakeCluster()))


def test_namespace_that_is_not_watched_is_no_absent_object() -> None:
    reader = ScopedReader({"watched": informer()})

    assert reader.get(ObjectKey("watched", "x")) is None
    with pytest.raises(NotCached, match="namespace 'elsewhere' is not watched"):
        reader.get(ObjectKey("elsewhere", "x"))
    with pytest.raises(NotCached):
        reader.reached(ObjectKey("elsewhere", "x"), "1")


def test_cluster_wide_cache_knows_every_namespace() -> None:
    reader = ScopedReader({EVERYWHERE: informer()})

    assert reader.get(ObjectKey("anywhere", "x")) is None
