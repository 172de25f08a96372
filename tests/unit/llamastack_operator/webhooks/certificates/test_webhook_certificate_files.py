# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A pair that somebody else keeps, in a folder (H4)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llamastack_operator.webhooks.certificates.files import FileKeeper
from llamastack_operator.webhooks.certificates.pair import Pair
from llamastack_operator.webhooks.tls import ServingContext
from tests.support.authority import Authority
from tests.support.serving import Counts, pair_of

FIRST, SECOND = pair_of(Authority()), pair_of(Authority())


class Folder:
    """With a keeper that looks at it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts = Counts()
        self.serving = ServingContext(self.counts)
        self.keeper = FileKeeper(path, self.serving, self.counts)
        self._time = 1_000_000_000

    def put(self, **files: bytes) -> None:
        for name, content in files.items():
            path = self.path / f"tls.{name}"
            path.write_bytes(content)
            self._time += 1
            os.utime(path, (self._time, self._time))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_pair_is_served_and_read_once(folder: Folder) -> None:
    folder.put(crt=FIRST.certificate, key=FIRST.key)

    for _ in range(3):
        folder.keeper.look()

    assert folder.serving.pair == FIRST
    assert (folder.counts.reads, folder.counts.failed_reads) == (1, 0)


def test_new_pair_takes_its_place(folder: Folder) -> None:
    folder.put(crt=FIRST.certificate, key=FIRST.key)
    folder.keeper.look()
    folder.put(crt=SECOND.certificate, key=SECOND.key)
    folder.keeper.look()

    assert folder.serving.pair == SECOND


def test_half_of_a_pair_is_not_served_until_the_other_half_comes(folder: Folder) -> None:
    folder.put(crt=FIRST.certificate, key=FIRST.key)
    folder.keeper.look()
    folder.put(crt=SECOND.certificate)
    folder.keeper.look()
    assert folder.serving.pair == FIRST

    folder.put(key=SECOND.key)
    folder.keeper.look()
    assert folder.serving.pair == SECOND


@pytest.mark.parametrize("junk", [b"", b"junk", b"\xff" * 99])
def test_junk_leaves_what_was_served_and_is_counted_once(folder: Folder, junk: bytes) -> None:
    folder.put(crt=FIRST.certificate, key=FIRST.key)
    folder.keeper.look()
    folder.put(crt=junk)

    for _ in range(3):
        folder.keeper.look()

    assert folder.serving.pair == FIRST
    assert (folder.counts.reads, folder.counts.failed_reads) == (2, 1)


def test_files_may_come_later_and_go_again(folder: Folder) -> None:
    folder.keeper.look()
    folder.keeper.look()
    assert folder.serving.pair is None
    assert folder.counts.failed_reads == 1

    folder.put(crt=FIRST.certificate, key=FIRST.key)
    folder.keeper.look()
    assert folder.serving.pair == FIRST

    (folder.path / "tls.key").unlink()
    folder.keeper.look()
    assert folder.serving.pair == FIRST


def test_link_that_the_kubelet_exchanges_is_followed(tmp_path: Path) -> None:
    for name, pair in (("one", FIRST), ("two", SECOND)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tls.crt").write_bytes(pair.certificate)
        (tmp_path / name / "tls.key").write_bytes(pair.key)
    link = tmp_path / "..data"
    link.symlink_to("one")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    folder = Folder(tmp_path)
    folder.keeper.look()

    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(link)
    folder.keeper.look()

    assert folder.serving.pair == SECOND


def test_chain_of_certificates_is_served_whole(folder: Folder) -> None:
    chain = Pair(FIRST.certificate + SECOND.certificate, FIRST.key)
    folder.put(crt=chain.certificate, key=chain.key)
    folder.keeper.look()

    assert folder.serving.pair == chain
