# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether an image could run the installer, by the names of its files."""

from __future__ import annotations

import pytest

from configs.external.offline.contents import Tree
from configs.external.offline.installer import DEFAULT_SEARCH_PATH, what_is_missing
from tests.support.provider_check import MemoryFiles

SLIM = {
    "usr/local/bin/python3.12": b"",
    "usr/local/lib/python3.12/site-packages/pip/__init__.py": b"",
}
DEBIAN = {
    "usr/lib/os-release": b"",
    "usr/bin/python3.11": b"",
    "usr/lib/python3/dist-packages/pip/__init__.py": b"",
}
UBI = {"usr/bin/python3.12": b"", "opt/app-root/lib/python3.12/site-packages/pip/__init__.py": b""}


def missing(
    files: dict[str, bytes],
    links: dict[str, str],
    path: tuple[str, ...] = DEFAULT_SEARCH_PATH,
    modes: dict[str, int] | None = None,
) -> str:
    return what_is_missing(Tree(MemoryFiles(files, links, modes)), path)


@pytest.mark.parametrize(
    ("files", "links", "path"),
    [
        (SLIM, {"usr/local/bin/python3": "python3.12"}, DEFAULT_SEARCH_PATH),
        (DEBIAN, {"bin": "usr/bin", "usr/bin/python3": "python3.11"}, ("/bin", "/usr/bin/")),
        (UBI, {"opt/app-root/bin/python3": "/usr/bin/python3.12"}, ("/opt/app-root/bin",)),
        ({**SLIM, "usr/local/bin/python3": b""}, {}, DEFAULT_SEARCH_PATH),
    ],
    ids=["slim", "debian", "ubi", "no version"],
)
def test_images_that_can(
    files: dict[str, bytes], links: dict[str, str], path: tuple[str, ...]
) -> None:
    assert missing(files, links, path) == ""


def test_images_that_cannot() -> None:
    python = {"usr/bin/python3": "python3.11"}

    assert missing({"etc/passwd": b""}, {}) == "python3"
    assert missing({"a": b""}, {"usr/bin/python3": "gone"}) == "python3"
    assert missing({"usr/bin/python3.11": b""}, python) == "pip"
    old = missing({"usr/bin/python3.9": b""}, {"usr/bin/python3": "python3.9"})
    assert old == "Python 3.11 or later (python3 is 3.9)"


def test_what_is_closed_is_not_there() -> None:
    links = {"usr/local/bin/python3": "python3.12"}

    assert missing(SLIM, links, modes={"usr/local": 0o700}) == "python3"
    assert missing(SLIM, links, modes={"usr/local/lib": 0o700}) == "pip"
