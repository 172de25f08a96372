# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Distributions and their base configs."""

from __future__ import annotations

import json

import pytest

from api.v1alpha2 import ConfigSource, Reason
from api.v1alpha2.distribution import Distribution
from configs.base import EmbeddedBaseConfigs, read_base
from configs.distributions import BadTable, Distributions
from configs.errors import ConfigError
from hack.root import ROOT
from tests.support.config_specs import DISTRIBUTIONS

NAMES = ["meta-reference-gpu", "postgres-demo", "remote-vllm", "starter"]


def test_the_names_are_those_of_the_go_operator_and_tags_are_pinned() -> None:
    assert sorted(DISTRIBUTIONS.images) == NAMES
    for image in DISTRIBUTIONS.images.values():
        assert image.startswith("docker.io/llamastack/distribution-")
        assert image.rpartition(":")[2][0].isdigit()


def test_an_override_changes_the_image_and_nothing_else() -> None:
    known = Distributions.load({"starter": "registry.local/starter@sha256:0", "typo": "x"})

    overridden = known.resolve(Distribution(name="starter"))
    original = DISTRIBUTIONS.resolve(Distribution(name="starter"))

    assert overridden.image == "registry.local/starter@sha256:0"
    assert (overridden.era, overridden.base) == (original.era, original.base)
    assert known.unknown_overrides == ("typo",)


def test_overrides_replace_each_other_and_know_what_they_replaced() -> None:
    once = DISTRIBUTIONS.overridden({"starter": "x:1"})
    other = once.overridden({"remote-vllm": "y:1"})

    assert once.known["starter"].is_overridden
    assert not other.known["starter"].is_overridden
    assert other.images["starter"] == DISTRIBUTIONS.images["starter"]
    assert other.images["remote-vllm"] == "y:1"


def test_another_table_takes_the_place_of_the_embedded_one() -> None:
    entry = {"image": "mine:1", "era": "0.7", "base": "starter.yaml"}
    table = Distributions.read(json.dumps({"mine": entry, "bare": {**entry, "base": None}}))

    assert table.images == {"bare": "mine:1", "mine": "mine:1"}
    assert table.known["bare"].base is None
    assert not table.known["mine"].is_overridden


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object of distributions by name"),
        ("{}", "is not an object of distributions by name"),
        ('{"a": 1}', "a: is not an object with always, base, era, image"),
        ('{"a": {"imagee": ""}}', "a: is not an object with always, base, era, image"),
        ('{"a": {"era": "0.7"}}', "a.image: is not an image"),
        ('{"a": {"image": "x", "era": "9"}}', "a.era: is not one of 0.4, 0.5-0.6, 0.7, ogx"),
        ('{"a": {"image": "x", "era": "0.7", "base": "../x"}}', "a.base: is not one of "),
        ('{"a": {"image": "x", "era": "0.7", "always": 1}}', "a.always: is neither"),
    ],
)
def test_a_bad_table_is_refused_with_the_place(text: str, problem: str) -> None:
    with pytest.raises(BadTable) as refused:
        Distributions.read(text)

    assert str(refused.value).startswith(problem)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        DISTRIBUTIONS.resolve(Distribution(name="startr"))

    assert str(caught.value) == (
        'spec.distribution.name: Unknown distribution "startr". Available distributions: '
        "meta-reference-gpu, postgres-demo, remote-vllm, starter"
    )


def test_an_image_resolves_to_itself_without_a_base() -> None:
    resolved = DISTRIBUTIONS.resolve(Distribution(image="example.com/mine:1"))

    assert (resolved.image, resolved.base, resolved.name) == ("example.com/mine:1", None, "custom")
    assert EmbeddedBaseConfigs().base_of(resolved) is None


@pytest.mark.parametrize("name", [n for n in NAMES if DISTRIBUTIONS.known[n].base])
def test_every_embedded_base_is_read_and_is_of_its_era(name: str) -> None:
    resolved = DISTRIBUTIONS.known[name]

    base = EmbeddedBaseConfigs().base_of(resolved)

    assert base is not None
    assert (base.era, base.version, base.source) == (resolved.era, 2, ConfigSource.EMBEDDED)
    assert len(base.digest) == 64


@pytest.mark.parametrize(("written", "shown"), [("3", "3"), ("one", "one"), ("~", "(none)")])
def test_another_version_is_refused_in_the_words_of_the_requirements(
    written: str, shown: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_base(f"version: {written}\nproviders: {{}}", source=ConfigSource.OCI_LABEL)

    assert caught.value.reason is Reason.UNSUPPORTED_CONFIG_VERSION
    assert caught.value.errors[0].message == (
        f"Unsupported config.yaml version {shown}. Supported versions: 2"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "- 1", "version: 2\nproviders: []", "version: 2\nproviders: {inference: {}}",
        "version: 2\nproviders: {inference: [1]}", "version: 2\napis: x",
        "version: 2\nproviders: {inference: [{provider_id: a}]}",
        "version: 2\nproviders: {inference: [{provider_id: a, provider_type: b, config: 1}]}",
        "version: 2\nregistered_resources: {models: [1]}", "version: 2\nregistered_resources: []",
        "version: 2\nstorage: []", "version: 2\nstorage: {backends: {a: 1}}",
        "version: 2\nserver: 1", "version: 2\nvector_stores: x",
    ],
)  # fmt: skip
def test_a_base_that_the_engine_could_not_work_with_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_base(text, source=ConfigSource.OCI_LABEL)

    assert caught.value.reason is Reason.CONFIG_GENERATION_FAILED
    assert caught.value.errors[0].path == "spec.distribution"


def test_a_base_of_unknown_origin_is_of_the_era_that_it_looks_like() -> None:
    base = read_base("version: 2\nproviders: {responses: []}", source=ConfigSource.OCI_LABEL)

    assert base.era == "0.7"


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_distributions_is_true(name: str) -> None:
    page = (ROOT / "docs/compatibility.md").read_text("utf-8")
    entry = DISTRIBUTIONS.known[name]
    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))

    cells = [cell.strip() for cell in row.strip("| ").split("|")]

    assert cells[:4] == [f"`{text}`" for text in (name, entry.image, entry.era, entry.base)]
    assert cells[4].startswith("always") == entry.always
