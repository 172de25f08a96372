# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Who has an id in the end: the distribution, the spec, the user's ConfigMap, an external provider.

The spec's own providers take the place of the distribution's, a ConfigMap that of everything before
it, and an external provider that of whoever has its id, and of nobody else.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from configs import references, scalars, yaml_reader
from configs.external import merge
from configs.external.entries import Entry
from configs.external.failures import Provider
from configs.external.merge import ExternalProvider
from configs.external.metadata import Metadata
from tests.support.bases import base_of, generate_on

Json = dict[str, Any]

IDS: Final = ("vllm", "openai", "mine", "other")
"""The first two are the distribution's."""

_SOME: Final = st.lists(st.sampled_from(IDS), unique=True, max_size=3)


def external(provider_id: str) -> ExternalProvider:
    """One of a type that nobody else has."""
    entry = Entry(Provider(provider_id, "image", "container"), "inference", "inference", 0)
    kind = f"remote::{provider_id}-of-an-image"
    return ExternalProvider(entry, Metadata("n", "1", "v", "m", kind, "inference", "w", (), ()))


def generated(own: list[str]) -> Json:
    """The configuration of a spec with these providers of its own."""
    entries = [{"id": each, "provider": "ollama", "endpoint": "http://o:11434"} for each in own]
    sections: Json = {"providers": {"inference": entries}} if own else {}
    text = generate_on("0.7", disabled=["files"], **sections).config_yaml
    config: Json = yaml_reader.load((text or "").encode(), resolve=scalars.resolve_as_server)
    return config


def types(config: Any) -> dict[str, str]:
    """Id → type of the providers of inference."""
    entries = (config.get("providers") or {}).get("inference") or []
    found = [
        (references.nominal(entry["provider_id"]), entry["provider_type"]) for entry in entries
    ]
    assert len(dict(found)) == len(found), "two have one id"
    return dict(found)


def of(ids: list[str], kind: str) -> dict[str, str]:
    return {each: kind.format(each) for each in ids}


@settings(max_examples=100, deadline=None)
@given(own=_SOME, config_map=st.none() | _SOME, images=_SOME)
def test_last_one_who_brings_an_id_has_it(
    own: list[str], config_map: list[str] | None, images: list[str]
) -> None:
    if config_map is None:
        base = generated(own)
        before = types(base)
        assert before == (of(own, "remote::ollama") if own else types(base_of("0.7").data))
    else:
        before = of(config_map, "remote::{}-of-a-config-map")
        entries = [{"provider_id": i, "provider_type": kind} for i, kind in before.items()]
        base = {"version": 2, "providers": {"inference": entries}, "unknown": [1]}

    found = merge.merge(base, [external(each) for each in images])

    assert types(found.config) == before | of(images, "remote::{}-of-an-image")
    assert len([text for text in found.warnings if "overrides" in text]) == len(
        before.keys() & set(images)
    )
    assert {k: v for k, v in found.config.items() if k not in ("providers", "apis")} == {
        k: v for k, v in base.items() if k not in ("providers", "apis")
    }
