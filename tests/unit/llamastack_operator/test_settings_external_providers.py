# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Flags and variables about external providers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest

from llamastack_operator import settings_values as values
from llamastack_operator.settings import Settings, SettingsError, add_arguments, from_args


def read(*words: str, env: Mapping[str, str] | None = None) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_args(parser.parse_args(words), env or {}, namespace_file=Path("/nonexistent"))


@pytest.mark.parametrize(
    ("words", "env", "image"),
    [
        ([], {}, ""),
        ([], {"OPERATOR_IMAGE": "a:1"}, "a:1"),
        ([], {"LLAMASTACK_OPERATOR_OPERATOR_IMAGE": "b:1", "OPERATOR_IMAGE": "a:1"}, "b:1"),
        (["--operator-image", "c:1"], {"OPERATOR_IMAGE": "a:1"}, "c:1"),
        (["--operator-image="], {"OPERATOR_IMAGE": "a:1"}, "a:1"),
    ],
)
def test_image_is_that_of_the_flag_then_of_the_variables(
    words: list[str], env: dict[str, str], image: str
) -> None:
    assert read(*words, env=env).operator_image == image


def test_flags_are_read() -> None:
    found = read(
        "--external-provider-delivery=auto",
        "--external-provider-memory=4Gi",
        "--external-provider-volume=100G",
        "--preflight=false",
    )

    assert (
        found.external_provider_delivery,
        found.external_provider_memory,
        found.external_provider_volume,
        found.preflight,
    ) == ("auto", "4Gi", "100G", False)


@pytest.mark.parametrize("word", ["image-volume", "init-container", "auto"])
def test_delivery_is_one_of_three(word: str) -> None:
    assert read(f"--external-provider-delivery={word}").external_provider_delivery == word


@pytest.mark.parametrize(
    ("flag", "allowed"),
    [
        ("--external-provider-delivery", "one of init-container, image-volume, auto"),
        ("--external-provider-memory", "a quantity such as 512Mi or 4Gi"),
        ("--external-provider-volume", "a quantity such as 512Mi or 4Gi"),
        ("--preflight", "true or false"),
    ],
)
def test_mistake_names_the_flag_the_value_and_what_is_allowed(flag: str, allowed: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{flag}: 'much' is not {allowed}$"):
        read(f"{flag}=much")


@pytest.mark.parametrize("text", ["1", "512Mi", "4Gi", "100G", "5k", "1Ki", "2T", "3Ti", "1M"])
def test_quantity_is_an_amount_of_bytes(text: str) -> None:
    assert values.quantity(text) == text


@pytest.mark.parametrize("text", ["", "0", "-1Gi", "1.5Gi", "1gi", "100m", "1K", "1Gi ", "1Gi\n"])
def test_quantity_that_is_none_or_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a quantity"):
        values.quantity(text)
