# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whichever YAML parser is there, what real servers ship is the same data."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.servers.bed import Bed
from hack.servers.releases import RELEASES, Release
from tests.support.yaml_parsers import agreed, both

pytestmark = [pytest.mark.servers, both]


def _texts(folder: Path) -> dict[str, str]:
    """The YAML files of a server's environment, those of its dependencies, too."""
    return {
        str(path.relative_to(folder)): path.read_text("utf-8")
        for pattern in ("*.yaml", "*.yml")
        for path in sorted(folder.rglob(pattern))
    }


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)
def test_every_file_that_a_server_ships_is_read_alike(bed: Bed, release: Release) -> None:
    texts = _texts(bed.venv(release))
    configs = [name for name in texts if "/distributions/" in name]
    assert configs

    for name, text in texts.items():
        found = agreed(text, as_server=True)
        assert found.documents is not None or name not in configs, found
