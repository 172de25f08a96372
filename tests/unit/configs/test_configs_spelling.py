# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a user's own config calls the API of agents: by what it says, its image, or its shape."""

from __future__ import annotations

from typing import Any

import pytest

from configs import yaml_reader
from configs.eras import ERAS, Era, api_of
from configs.override import examine
from configs.spelling import Spelling
from tests.support.bases import text_of

Json = dict[str, Any]

BARE: Json = {"version": 2, "providers": {}}
"""A config that no server in particular wrote."""

BOTH_NAMES = ("agents", "responses")
RENAMED = pytest.mark.parametrize(
    ("era", "name"), [(era, str(api_of("agents", era))) for era in ERAS]
)


def spelled(config: Json) -> Spelling:
    found = examine(yaml_reader.dump(config).encode()).spelling
    assert found is not None
    return found


def without_the_api(era: Era) -> Json:
    """A config of the era whose author has no use for agents."""
    config: Json = yaml_reader.load(text_of(era).encode())
    for name in BOTH_NAMES:
        config["providers"].pop(name, None)
    return {**config, "apis": [api for api in config["apis"] if api not in BOTH_NAMES]}


@RENAMED
@pytest.mark.parametrize("image", [*ERAS, None])
def test_config_that_names_the_api_decides_whatever_the_image_is(
    era: Era, name: str, image: Era | None
) -> None:
    found = spelled(yaml_reader.load(text_of(era).encode()))

    assert found == Spelling(name, is_named=True)
    assert found.api(image) == name


@RENAMED
def test_config_that_does_not_name_it_goes_by_the_image(era: Era, name: str) -> None:
    for shape in ERAS:
        assert spelled(without_the_api(shape)).api(era) == name


@RENAMED
def test_image_of_which_nothing_is_known_leaves_the_shape(era: Era, name: str) -> None:
    found = spelled(without_the_api(era))

    assert not found.is_named
    assert found.api(None) == name


@pytest.mark.parametrize("config", [BARE, {**BARE, "apis": []}, {**BARE, "apis": "agents"}])
def test_nothing_recognizable_goes_by_the_image_and_else_is_called_agents(config: Json) -> None:
    found = spelled(config)

    assert found.api(None) == "agents"
    assert [found.api(era) for era in ERAS] == ["agents", "agents", "responses", "responses"]


@pytest.mark.parametrize("name", BOTH_NAMES)
@pytest.mark.parametrize("value", [[], None])
def test_empty_section_or_an_entry_of_the_list_is_enough(name: str, value: Any) -> None:
    listed = {**BARE, "apis": [name]}
    empty = {**BARE, "providers": {name: value}}

    assert {spelled(each).api(None) for each in (listed, empty)} == {name}


def test_both_names_say_nothing() -> None:
    both = {**BARE, "providers": {"agents": []}, "apis": ["responses"]}

    assert [spelled(both).api(era) for era in ("0.4", "0.7")] == ["agents", "responses"]


def test_config_of_a_server_before_0_4_calls_it_agents() -> None:
    old = {**BARE, "distro_name": "x", "metadata_store": {"type": "sqlite"}}

    assert spelled(old).api(None) == "agents"


@pytest.mark.parametrize("name", BOTH_NAMES)
@pytest.mark.parametrize("is_named", [True, False])
def test_what_is_written_down_is_read_back(name: str, is_named: bool) -> None:
    found = Spelling(name, is_named=is_named)

    assert Spelling.read(str(found)) == found


@pytest.mark.parametrize("text", ["", "~", "inference", "~inference", "~~agents"])
def test_anything_else_is_nothing(text: str) -> None:
    assert Spelling.read(text) is None
