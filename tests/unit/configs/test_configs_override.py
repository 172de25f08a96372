# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A user's own config.yaml: what is refused of it, and what is only said."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.v1alpha2 import ConfigSource, Reason
from configs.base import read_base
from configs.errors import ConfigError
from configs.override import PATH, check, examine
from configs.yaml_reader import MAX_BYTES

STARTER = resources.files("configs").joinpath("data/base/starter.yaml").read_bytes()
OLD = b"version: 2\nproviders: {}\nmetadata_store: {type: sqlite}\n"
ERA_0_4 = resources.files("configs").joinpath("data/base/meta-reference-gpu.yaml").read_bytes()


def refusal(raw: bytes, era: str | None = "0.7") -> tuple[str, str]:
    with pytest.raises(ConfigError) as raised:
        check(examine(raw), era)  # type: ignore[arg-type]
    (error,) = raised.value.errors
    assert error.path == PATH
    assert error.hint
    return raised.value.reason, error.message


def test_config_of_the_image_is_taken_without_a_word() -> None:
    assert check(examine(STARTER), "0.7") == ("0.7", "")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: [", "config.yaml cannot be read: line 1, column"),
        (b"version: 2\nversion: 2", "config.yaml cannot be read: line 2"),
        (b"\xff\xfe\xff", "config.yaml cannot be read: "),
        (b"", "config.yaml is not a mapping"),
        (b"- version: 2", "config.yaml is not a mapping"),
        (b"version: 2", "config.yaml has no mapping `providers`"),
        (b"version: 2\nproviders: []", "config.yaml has no mapping `providers`"),
        (b"#" * (MAX_BYTES + 1), f"config.yaml has {MAX_BYTES + 1} bytes"),
    ],
)
def test_what_is_no_config_is_refused(raw: bytes, message: str) -> None:
    reason, text = refusal(raw)

    assert reason == Reason.CONFIG_GENERATION_FAILED
    assert text.startswith(message)


@pytest.mark.parametrize(
    ("written", "shown"),
    [("3", "3"), ("'3'", "3"), ("true", "True"), ("", "(none)"), ("[2]", "[2]"), ("two", "two")],
)
def test_other_versions_are_refused_with_those_that_are_read(written: str, shown: str) -> None:
    reason, text = refusal(f"version: {written}\nproviders: {{}}".encode())

    assert reason == Reason.UNSUPPORTED_CONFIG_VERSION
    assert text == f"Unsupported config.yaml version {shown}. Supported versions: 2"


@pytest.mark.parametrize("written", ["version: 2\n", "version: '2'\n", 'version: " 2 "\n', ""])
def test_a_version_is_read_as_the_server_reads_it(written: str) -> None:
    found = examine(f"{written}providers: {{}}".encode())

    assert (found.reason, found.version) == (None, 2)
    assert (
        read_base(f"{written}providers: {{}}\napis: []", source=ConfigSource.EMBEDDED).version == 2
    )


def test_config_before_0_4_is_refused_for_an_image_that_is_known_to_be_later() -> None:
    reason, text = refusal(OLD)

    assert reason == Reason.UNSUPPORTED_CONFIG_VERSION
    assert "metadata_store at the top" in text


def test_config_before_0_4_is_left_to_an_image_that_is_not_known() -> None:
    assert check(examine(OLD), None) == (None, "")


def test_config_of_another_era_is_pointed_out_and_not_refused() -> None:
    era, note = check(examine(ERA_0_4), "0.7")

    assert era == "0.4"
    assert note.startswith("It looks like one for servers of 0.4, and the image's is 0.7")


def test_config_without_certificate_is_pointed_out_where_https_is_asked_for() -> None:
    with_tls = (
        STARTER + b"server: {tls_certfile: /x}\n"
        if b"server:" not in STARTER
        else (STARTER.replace(b"server:", b"server:\n  tls_certfile: /x", 1))
    )

    assert "server.tls_certfile" in check(examine(STARTER), "0.7", https=True)[1]
    assert check(examine(with_tls), "0.7", https=True)[1] == ""


def test_digest_is_of_the_bytes() -> None:
    assert examine(STARTER).digest != examine(STARTER + b"\n").digest
    assert examine(STARTER) == examine(STARTER)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_text_is_too_odd_to_be_examined(raw: bytes) -> None:
    assert examine(raw).reason is not None or examine(raw).version == 2


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("ab:${}.", max_size=5),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.sampled_from(["providers", "inference", "config", "storage", "apis", "server"]),
                children,
                max_size=3,
            )
        ),
        max_leaves=10,
    )
)
def test_no_shape_is_too_odd_to_be_judged(data: object) -> None:
    body = {"version": 2, "providers": {"inference": data}, "storage": data, "server": data}
    examined = examine(json.dumps(body).encode())

    assert examined.reason is None
    if not examined.marks:
        assert check(examined, "0.7", https=True)[0] is not None
