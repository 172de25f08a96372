# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is pinned decides where programs are kept, and agrees with what they are built from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hack.cluster.binaries import as_directory
from hack.cluster.cache import Platform, pins_hash
from hack.cluster.versions import GO, MODULES, PROGRAMS, minor_of


def test_cache_directory_changes_with_every_pin_and_with_the_platform(tmp_path: Path) -> None:
    here = Platform("linux", "amd64")
    copy = tmp_path / "modules"
    for path in MODULES.glob("*/go.*"):
        (copy / path.parent.name).mkdir(parents=True, exist_ok=True)
        (copy / path.parent.name / path.name).write_bytes(path.read_bytes())
    same = pins_hash(here, copy)
    sums = (copy / "kwok" / "go.sum").read_text()
    (copy / "kwok" / "go.sum").write_text(sums.replace("h1:", "h2:", 1))

    assert same == pins_hash(here)
    assert len({same, pins_hash(here, copy), pins_hash(Platform("linux", "arm64"))}) == 3


@pytest.mark.parametrize("name", PROGRAMS)
def test_module_of_each_program_is_pinned_at_its_version(name: str) -> None:
    spec = PROGRAMS[name]
    text = (MODULES / spec.module / "go.mod").read_text()
    (required,) = re.findall(r"^require (\S+) (\S+)$", text, re.MULTILINE)

    assert spec.package.startswith(required[0])
    assert required[1] == spec.version
    assert re.search(rf"^go {GO[0]}\.{GO[1]}\.0$", text, re.MULTILINE)
    if spec.module == "kubernetes":
        staging = set(re.findall(r"^replace k8s.io/\S+ => k8s.io/\S+ (\S+)$", text, re.MULTILINE))
        assert staging == {spec.version.replace("v1.", "v0.")}


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("v1.36.3", (1, 36)),
        ("1.36", (1, 36)),
        ("3.6.5", (3, 6)),
        ("v1.360.1", (1, 360)),
        ("v1", None),
    ],
)
def test_minor_version_is_read(text: str, minor: tuple[int, int] | None) -> None:
    assert minor_of(text) == minor


def test_programs_from_several_places_are_linked_into_one_directory(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    one, two = tmp_path / "one" / "etcd", tmp_path / "two" / "kwok"
    for program in (one, two):
        program.parent.mkdir()
        program.touch(mode=0o755)

    directory = as_directory({"etcd": one, "kwok": two}, environment)
    again = as_directory({"etcd": one, "kwok": two}, environment)

    assert directory == again
    assert (directory / "etcd").resolve() == one.resolve()
    assert (directory / "kwok").resolve() == two.resolve()
    assert as_directory({"etcd": one}, environment) == one.parent
