# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The catalogue that is checked in says what the installed servers say."""

from __future__ import annotations

import json

import pytest

from configs.eras import ERAS
from hack.catalogue import installed, maker
from hack.catalogue.installed import CATALOGUE, Dumps
from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.releases import Release, newest

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def dumps(bed: Bed) -> Dumps:
    """What all of them say."""
    return installed.dumps(bed)


@pytest.mark.parametrize("era", ERAS)
def test_an_era_made_again_is_what_is_checked_in(dumps: Dumps, era: str) -> None:
    checked_in = json.loads(CATALOGUE.read_text("utf-8"))

    made = maker.catalogue({era: dumps[era]})

    assert maker.changes({era: checked_in[era]}, made) == []


def test_the_file_is_the_rendered_text(dumps: Dumps) -> None:
    assert CATALOGUE.read_text("utf-8") == maker.render(maker.catalogue(dumps))


def test_a_server_that_cannot_be_asked_is_named(bed: Bed) -> None:
    pinned = newest("0.7")

    with pytest.raises(BedError, match=r"^llama-stack 0\.0\.1 "):
        installed.dump(bed, Release(pinned.era, pinned.package, "0.0.1"))
