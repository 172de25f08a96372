# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where cert-manager's program comes from, and that what is pinned decides where it is kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from hack.cluster.cache import Platform
from hack.cluster.cert_manager.programs import (
    MODULE,
    MODULES,
    SPEC,
    VERSION,
    CertManager,
    obtain,
    pins_hash,
)
from hack.cluster.errors import BinariesUnavailableError
from hack.cluster.versions import GO

_HERE = Platform("linux", "amd64")


def test_module_is_pinned_at_its_version() -> None:
    text = (MODULES / SPEC.module / "go.mod").read_text("utf-8")

    assert re.findall(rf"^\s*{re.escape(MODULE)} (\S+)$", text, re.MULTILINE) == [VERSION]
    assert re.search(rf"^go {GO[0]}\.{GO[1]}\.0$", text, re.MULTILINE)


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "main.go"])
def test_place_changes_with_every_pin_and_source(tmp_path: Path, file: str) -> None:
    shutil.copytree(MODULES, tmp_path, dirs_exist_ok=True)
    same = pins_hash(_HERE, tmp_path)
    path = tmp_path / SPEC.module / file
    path.write_text(path.read_text("utf-8") + "\n", encoding="utf-8")

    assert same == pins_hash(_HERE)
    assert len({same, pins_hash(_HERE, tmp_path), pins_hash(Platform("linux", "arm64"))}) == 3


def test_what_was_built_is_found_again_without_go(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}
    place = tmp_path / "llamastack-operator" / "cert-manager" / pins_hash(Platform.here())
    (place / "definitions").mkdir(parents=True)
    (place / SPEC.name).touch(mode=0o755)

    found = obtain(environment=environment)

    assert found == CertManager(place / SPEC.name, place / "definitions")


def test_place_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()

    with pytest.raises(BinariesUnavailableError):
        obtain(environment={"XDG_CACHE_HOME": str(taken), "PATH": ""})
