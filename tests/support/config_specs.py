# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Specs for tests of the config engine: short to write, and Hypothesis' own."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from api.v1alpha2 import Spec, parse
from configs import engine, yaml_reader
from configs.catalogue import embedded
from configs.distributions import Distributions
from configs.engine import Generated
from configs.errors import ConfigError

Json = dict[str, Any]

DISTRIBUTIONS = Distributions.load()
NAME, NAMESPACE = "demo", "team-a"


def secret(name: str = "creds", key: str = "token") -> Json:
    """A reference to a Secret."""
    return {"secretKeyRef": {"name": name, "key": key}}


def spec_of(sections: Json) -> Spec:
    """A spec of the distribution starter, unless the sections say otherwise."""
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"distribution": {"name": "starter"}, **sections},
    }
    return parse(obj).spec


def generate(**sections: Any) -> Generated:
    """What the engine makes of a spec."""
    return engine.generate(NAME, NAMESPACE, spec_of(sections), distributions=DISTRIBUTIONS)


def config(**sections: Any) -> Json:
    """The config of a spec, as a reader sees it."""
    text = generate(**sections).config_yaml
    assert text is not None
    data: Json = yaml_reader.load(text)
    return data


def refused(**sections: Any) -> ConfigError:
    """The error that a spec leads to."""
    try:
        generate(**sections)
    except ConfigError as error:
        return error
    raise AssertionError("the spec was accepted")


def errors(**sections: Any) -> dict[str, str]:
    """Path → message and hint of everything that is wrong with a spec."""
    found = refused(**sections).errors
    return {error.path: f"{error.message} ({error.hint})" for error in found}


def warnings(**sections: Any) -> dict[str, str]:
    """Path → message and hint of what an accepted spec is warned of."""
    found = generate(**sections).warnings
    return {item.path: f"{item.message} ({item.hint})" for item in found}


# --- Hypothesis -----------------------------------------------------------------------------------

IDENTIFIERS = st.from_regex(r"[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,4})?", fullmatch=True)
TEXTS = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
_SECRET_NAMES = st.sampled_from(["creds", "other"])


@st.composite
def _inference(draw: st.DrawFn, index: int) -> Json:
    names = [n for n in embedded().short_names("0.7", "inference") if n not in {"bedrock", "azure"}]
    short = draw(st.sampled_from(names))
    kind = embedded().find("0.7", "inference", short, connected=True)
    provider: Json = {"id": f"{draw(IDENTIFIERS)}{index}", "provider": short}
    if kind.endpoint and (short == "vllm" or draw(st.booleans())):
        provider["endpoint"] = draw(st.sampled_from(["http://host:8000", "https://h.example/v1"]))
    if kind.secret and draw(st.booleans()):
        provider["apiKey"] = secret(draw(_SECRET_NAMES), f"key-{index}")
    settings = draw(st.dictionaries(IDENTIFIERS, JSON.filter(_harmless), max_size=3))
    settings |= {key: "p" for key in kind.required if key not in {kind.endpoint, kind.secret}}
    if settings:
        provider["settings"] = settings
    return provider


def _harmless(value: Any) -> bool:
    """Plain data without what would be read as an environment reference."""
    return "${env." not in repr(value)


@st.composite
def valid_sections(draw: st.DrawFn) -> Json:
    """Sections of a spec that the engine must accept."""
    count = draw(st.integers(1, 4))
    inference = [draw(_inference(index)) for index in range(count)]
    ids = [provider["id"] for provider in inference]
    names = draw(st.lists(IDENTIFIERS, max_size=5, unique=True))
    models: list[Any] = [
        draw(
            st.sampled_from(
                [
                    name,
                    {"name": name, "provider": ids[-1]},
                    {"name": name, "embeddingDimension": 8},
                    {"name": name, "contextLength": 4096, "quantization": "fp8"},
                ]
            )
        )
        for name in names
    ]
    sections: Json = {"providers": {"inference": inference}}
    if models:
        sections["resources"] = {"models": models}
    if draw(st.booleans()):
        sections["resources"] = {**sections.get("resources", {}), "tools": ["websearch"]}
    kv = draw(
        st.sampled_from(
            [
                None,
                {"type": "sqlite"},
                {"type": "redis", "endpoint": "redis://redis:6379", "password": secret("r")},
                {"type": "postgres", "connectionString": secret("pg", "url")},
            ]
        )
    )
    sql = draw(
        st.sampled_from([None, {}, {"type": "postgres", "connectionString": secret("pg", "url")}])
    )
    storage = {key: value for key, value in (("kv", kv), ("sql", sql)) if value is not None}
    if storage:
        sections["storage"] = storage
    if draw(st.booleans()):
        sections["disabled"] = draw(
            st.lists(
                st.sampled_from(["safety", "eval", "scoring", "batches", "datasetIo", "memory"]),
                unique=True,
            )
        )
    return sections
