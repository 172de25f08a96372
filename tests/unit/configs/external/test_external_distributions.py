# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What pip installed, read off what it wrote, and off what it would never write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from configs.external.distributions import (
    Distribution,
    DistributionError,
    StagedFile,
    Wheels,
    dist_infos,
    read,
    read_wheels,
)

DIRECTORY = "My_Dep-1.0.dist-info"
METADATA = b"""\
Metadata-Version: 2.1
Name: My.Dep
Version: 1.0
Requires-Dist: httpx<1,>=0.27
requires-dist : other ; extra == 'x'
Summary: Version: 9

Requires-Dist: in-the-description
"""


def files(*paths: str) -> dict[str, StagedFile]:
    return dict.fromkeys(paths, StagedFile(1, 0o644))


def test_distribution_has_what_it_recorded_and_what_is_in_its_own_directory() -> None:
    found = files(
        "my_dep/__init__.py", "my_dep/a,b.py", "bin/run", f"{DIRECTORY}/METADATA", "other.py"
    )
    record = (
        b'my_dep/__init__.py,sha256=x,1\r\n"my_dep/a,b.py",,\n../../bin/run,,\n'
        b"../../../etc/passwd,,\n/other.py,,\nmissing.py,,\n\n"
    )

    assert read(DIRECTORY, METADATA, record, found) == Distribution(
        "my-dep",
        "1.0",
        ("httpx<1,>=0.27", "other ; extra == 'x'"),
        frozenset({"my_dep/__init__.py", "my_dep/a,b.py", "bin/run", f"{DIRECTORY}/METADATA"}),
    )


def test_text_of_another_distribution_is_refused() -> None:
    with pytest.raises(DistributionError) as raised:
        read("pydantic-2.0.dist-info", METADATA, b"", {})

    assert str(raised.value) == "pydantic-2.0.dist-info describes another distribution: My.Dep"


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        (b"", "name"),
        (b"Name: my-dep\n", "version"),
        (b"Name: my-dep\n\nVersion: 1.0\n", "version"),
        (b"Name: my-dep\nName: other\nVersion: 1\n", "name"),
        (b"Name: my-dep\nVersion: 1 ; rm\n", "version"),
        (b"Name: my-dep\nVersion: \xff\n", "version"),
    ],
)
def test_metadata_without_name_or_version_is_refused(metadata: bytes, problem: str) -> None:
    with pytest.raises(DistributionError) as raised:
        read(DIRECTORY, metadata, b"", {})

    assert str(raised.value) == f"My_Dep-1.0.dist-info/METADATA has no usable {problem}"


def test_record_that_is_no_list_is_refused() -> None:
    with pytest.raises(DistributionError) as raised:
        read(DIRECTORY, METADATA, b'"a"b,,\n', {})

    assert str(raised.value) == "My_Dep-1.0.dist-info/RECORD is not a list of files"


def test_distributions_are_the_directories_at_the_top() -> None:
    found = files("b-1.dist-info/METADATA", "a-1.dist-info/x/y", "a/c-1.dist-info/z", "d.dist-info")

    assert list(dist_infos(found)) == ["a-1.dist-info", "b-1.dist-info"]


def wheels(**other: Any) -> bytes:
    data = {"wheels": ["a.whl"], "files": ["packages/a.whl"], "python": "3.13"}
    return json.dumps({**data, "platform": "linux/arm64", **other}).encode()


def test_what_was_written_down_is_read() -> None:
    assert read_wheels(wheels()) == Wheels(("packages/a.whl",), "3.13", "aarch64")
    assert read_wheels(wheels(platform="linux/x86_64")).machine == "x86_64"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"{", "wheels.json is not JSON"),
        (b"[" * 100_000, "wheels.json is not JSON"),
        (b"[]", "wheels.json has no list of files"),
        (wheels(files=[1]), "wheels.json has no list of files"),
        (wheels(python="3.12\n"), "wheels.json has no usable version of Python"),
        (wheels(python=3.12), "wheels.json has no usable version of Python"),
        (wheels(platform="linux"), "wheels.json has no usable platform"),
        (wheels(platform=None), "wheels.json has no usable platform"),
    ],
)
def test_what_was_not_written_by_us_is_refused(raw: bytes, problem: str) -> None:
    with pytest.raises(DistributionError) as raised:
        read_wheels(raw)

    assert str(raised.value) == problem
