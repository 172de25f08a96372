# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The order of external providers, and what each is called where."""

from __future__ import annotations

import pytest

from api.external_apis import API_OF_SECTION
from configs.eras import ERAS
from configs.installs import installs
from tests.support.config_specs import spec_of
from tests.support.installing import provider, wanted


def test_order_is_that_of_the_sections_and_of_their_lists_however_they_are_written() -> None:
    written = {
        section: [provider(f"{section.lower()}-{name}") for name in ("z", "a")]
        for section in reversed(list(API_OF_SECTION))
    }

    found = wanted(**written)

    assert [install.provider.provider_id for install in found] == [
        f"{section}-{name}"
        for section in (
            "inference", "safety", "agents", "vectorio", "datasetio", "scoring", "eval",
            "toolruntime", "posttraining",
        )
        for name in ("z", "a")
    ]  # fmt: skip


def test_provider_knows_its_place_and_its_container() -> None:
    _, _, last = wanted(inference=[provider("a")], vectorIo=[provider("b"), provider("c")])

    assert (last.section, last.index) == ("vectorIo", 1)
    assert last.path == "spec.externalProviders.vectorIo[1]"
    assert last.container == "install-provider-c"


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"externalProviders": {}},
        {"externalProviders": {"inference": []}},
        {"externalProviders": {"install": {"sizeLimit": "1Gi"}}},
    ],
)
def test_spec_without_providers_installs_nothing(sections: dict[str, object]) -> None:
    spec = spec_of(sections)

    assert list(installs(spec)) == []
    assert not spec.installs_providers


def test_api_is_what_servers_of_the_era_call_it() -> None:
    agents, data, training = wanted(
        agents=[provider("a")], datasetIo=[provider("d")], postTraining=[provider("p")]
    )

    assert [agents.api(era) for era in ERAS] == ["agents", "agents", "responses", "responses"]
    assert [data.api(era) for era in ERAS] == ["datasetio", "datasetio", "datasetio", None]
    assert [training.api(era) for era in ERAS] == ["post_training", "post_training", None, None]


def test_api_in_a_config_of_which_nothing_is_known_is_that_of_provider_images() -> None:
    found = wanted(**{section: [provider(section.lower())] for section in API_OF_SECTION})

    assert [install.api(None) for install in found] == list(API_OF_SECTION.values())
