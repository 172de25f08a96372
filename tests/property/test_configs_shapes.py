# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The era of a config shows in its shape, whatever part of it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from configs import detection, yaml_reader
from configs.base import EmbeddedBaseConfigs
from configs.engine import Generated
from configs.eras import Era
from configs.errors import ConfigError
from tests.support.bases import HAND_MADE, base_of, generate_on
from tests.support.config_specs import DISTRIBUTIONS, JSON, generate, valid_sections
from tests.support.json_places import shuffled

_ERAS = st.sampled_from(HAND_MADE)
_NAMES = st.sampled_from(sorted(DISTRIBUTIONS.known))


def _base(name: str) -> Any:
    found = EmbeddedBaseConfigs().base_of(DISTRIBUTIONS.known[name])
    assert found is not None
    return found


def _accepted(make: Callable[..., Generated], *args: Any, **sections: Any) -> dict[str, Any]:
    """The config; not every era has every provider of a spec that is valid in the current one."""
    try:
        found = make(*args, **sections)
    except ConfigError:
        reject()
    data: dict[str, Any] = yaml_reader.load(str(found.config_yaml))
    return data


@given(name=_NAMES, sections=valid_sections())
@settings(max_examples=40, deadline=None)
def test_what_is_generated_for_a_distribution_looks_like_its_era(
    name: str, sections: dict[str, Any]
) -> None:
    found = _accepted(generate, **{**sections, "distribution": {"name": name}})

    assert detection.detect(found) == DISTRIBUTIONS.known[name].era


@given(era=_ERAS, sections=valid_sections())
@settings(max_examples=40, deadline=None)
def test_what_is_generated_on_a_base_fits_the_era_of_the_base(
    era: Era, sections: dict[str, Any]
) -> None:
    found = _accepted(generate_on, era, **sections)

    assert era in detection.candidates(found)


@given(era=_ERAS, gone=st.sets(st.sampled_from(["inference", "files", "vector_io", "safety"])))
@settings(max_examples=40, deadline=None)
def test_a_base_without_some_of_its_apis_is_of_the_same_era(era: Era, gone: set[str]) -> None:
    data = dict(base_of(era).data)
    data["apis"] = [api for api in data["apis"] if api not in gone]
    data["providers"] = {api: all_ for api, all_ in data["providers"].items() if api not in gone}

    assert detection.candidates(data) == (era,)


@given(era=_ERAS, seed=st.randoms(use_true_random=False), extra=st.dictionaries(st.text(), JSON))
@settings(max_examples=40, deadline=None)
def test_neither_order_nor_unknown_keys_matter(era: Era, seed: Any, extra: dict[str, Any]) -> None:
    known = {"storage", "telemetry", "server", "providers", "apis", "registered_resources"}
    added = {f"x-{key}": value for key, value in extra.items() if key not in known}
    data = shuffled({**base_of(era).data, **added}, seed)

    assert detection.candidates(data) == (era,)
    assert not detection.outdated(data)


@given(data=st.dictionaries(st.sampled_from(["apis", "providers", "storage", "server"]), JSON))
@settings(max_examples=60, deadline=None)
def test_whatever_the_form_it_is_some_era(data: dict[str, Any]) -> None:
    assert detection.detect(data) in HAND_MADE
    assert isinstance(detection.outdated(data), tuple)


def test_every_distribution_is_bound_to_the_era_that_its_base_looks_like() -> None:
    for name, resolved in DISTRIBUTIONS.known.items():
        base = _base(name)

        assert base.era == resolved.era
        assert detection.candidates(base.data) == (resolved.era,)
        assert not detection.outdated(base.data)
