# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Links of an image lead within it, and nobody in particular reads it."""

from __future__ import annotations

import pytest

from configs.external.offline import contents
from configs.external.offline.contents import Closed, Tree
from tests.support.provider_check import MemoryFiles

FILES = {"lls-provider/a/file": b"one", "lls-provider/b": b"two", "opt/x/deep": b"three"}


def tree(links: dict[str, str] | None = None, modes: dict[str, int] | None = None) -> Tree:
    return Tree(MemoryFiles(FILES, links, modes))


@pytest.mark.parametrize(
    ("leads", "found"),
    [
        ("b", "lls-provider/b"),
        ("./a/../b", "lls-provider/b"),
        ("/opt/x/deep", "opt/x/deep"),
        ("../opt//x/deep", "opt/x/deep"),
        ("../../../../../opt/x/deep", "opt/x/deep"),
        ("/", ""),
        ("gone", None),
        ("b/below", None),
        ("link", None),
        ("/lls-provider/other", None),
    ],
)
def test_links_lead_within_the_image(leads: str, found: str | None) -> None:
    there = tree({"lls-provider/link": leads, "lls-provider/other": "link"})

    place = there.find("/lls-provider/link")

    assert (place[0] if place else None) == found


def test_directory_may_be_a_link() -> None:
    there = tree({"packages": "opt", "opt/y": "x"})

    assert there.names("/packages") == ["x", "y"]
    assert there.names("/packages/x/deep") == there.names("/gone") == []
    with there.open("/packages/y/deep") as file:
        assert file.read() == b"three"
    with pytest.raises(FileNotFoundError):
        there.open("/packages/y")


@pytest.mark.parametrize(
    ("closed", "mode"), [("opt", 0o754), ("opt/x", 0o750), ("opt/x/deep", 0o640)]
)
def test_what_is_closed_to_some_is_closed(closed: str, mode: int) -> None:
    there = tree(modes={closed: mode})

    with pytest.raises(Closed) as error:
        there.open("/opt/x/deep")

    assert error.value.path == f"/{closed}"


def test_directory_that_may_be_entered_may_not_be_listed() -> None:
    there = tree(modes={"opt": 0o751})

    assert there.kind("/opt/x/deep") == "file"
    with pytest.raises(Closed):
        there.names("/opt")


def test_root_is_the_users_own_matter() -> None:
    assert tree(modes={"": 0o700}).names("/") == ["lls-provider", "opt"]


def test_files_that_metadata_may_name() -> None:
    links = {
        "lls-provider/to-file": "/opt/x/deep",
        "lls-provider/to-directory": "a",
        "lls-provider/to-nothing": "gone",
        "lls-provider/two\nlines": "b",
        "lls-provider/into-closed": "/opt/x/deep",
    }
    there = tree(links, {"lls-provider/a": 0o750})

    assert there.files("/lls-provider", ["packages/w.whl"]) == (
        "packages/w.whl", "b", "into-closed", "to-file",
    )  # fmt: skip
    closed = tree(links, {"opt": 0o750})
    assert closed.files("/lls-provider", []) == ("b", "a/file")
    assert there.files("/nowhere", []) == ()


def test_files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_FILES", 1)

    assert tree().files("/lls-provider", ["first"]) == ("first",)
    assert len(tree().files("/lls-provider", [])) == 1
