# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which wheels fit a platform and a Python: what pip in the official images would take."""

from __future__ import annotations

import pytest
from packaging.tags import parse_tag

from configs.external.offline.target import Target, is_python, machine_of

X86 = Target("3.12", "x86_64")
ARM = Target("3.12", "aarch64")
ANY = Target("3.12")


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("py3-none-any", {X86, ARM, ANY}),
        ("py2.py3-none-any", {X86, ARM, ANY}),
        ("py312-none-any", {X86, ARM, ANY}),
        ("cp312-none-any", {X86, ARM, ANY}),
        ("py2-none-any", set()),
        ("py313-none-any", set()),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", {X86, ANY}),
        ("cp312-cp312-manylinux_2_39_aarch64", {ARM, ANY}),
        ("cp312-cp312-manylinux1_x86_64", {X86, ANY}),
        ("cp312-cp312-linux_x86_64", {X86, ANY}),
        ("cp39-abi3-manylinux_2_28_x86_64", {X86, ANY}),
        ("py3-none-manylinux_2_28_x86_64", {X86, ANY}),
        ("cp311-cp311-manylinux_2_28_x86_64", set()),
        ("cp313-abi3-manylinux_2_28_x86_64", set()),
        ("cp312-cp312t-manylinux_2_28_x86_64", set()),
        ("cp312-cp312-musllinux_1_2_x86_64", set()),
        ("cp312-cp312-macosx_11_0_arm64", set()),
        ("cp312-cp312-win_amd64", set()),
        ("pp310-pypy310_pp73-manylinux_2_28_x86_64", set()),
    ],
)
def test_tags_that_fit(tag: str, fits: set[Target]) -> None:
    assert {target for target in (X86, ARM, ANY) if target.takes(parse_tag(tag))} == fits


@pytest.mark.parametrize(
    ("platform", "machine"),
    [
        ("linux/amd64", "x86_64"),
        ("linux/arm64", "aarch64"),
        ("linux/arm64/v8", "aarch64"),
        ("linux/x86_64", "x86_64"),
        ("linux/s390x", "s390x"),
        ("windows/amd64", None),
        ("amd64", None),
        ("linux/", None),
        ("linux/a\n", None),
        ("", None),
    ],
)
def test_platforms(platform: str, machine: str | None) -> None:
    assert machine_of(platform) == machine


def test_words_for_messages() -> None:
    assert (X86.platform, ARM.platform, ANY.platform) == ("linux/x86_64", "linux/arm64", "")
    assert ARM.where == "Python 3.12 on linux/arm64"
    assert ANY.where == "Python 3.12 on the platform of the nodes"
    assert X86.abi == "cpython-312"


def test_versions_of_python() -> None:
    texts = ["3.11", "3.12", "3", "3.12.1", "2.7", "3.x", ""]

    assert [text for text in texts if is_python(text)] == ["3.11", "3.12"]
