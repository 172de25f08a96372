# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every spec that must become a config: what Hypothesis draws the proof of the engine from.

``any_valid_spec(era)`` knows what a user can know: the sections and provider types of the era, what
each type requires, which APIs it cannot be without, what the base has. It does not know how the
engine does its work, so what it draws is accepted by the engine and by the server, or one of the
three is wrong. Everything drawn is JSON, so that a spec can be stored and given to another process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from api.v1alpha2.providers import SECTIONS
from configs import connection, eras, references
from configs.base import BaseConfig, EmbeddedBaseConfigs
from configs.catalogue import ProviderType, embedded
from configs.engine import Generated
from configs.eras import Era
from configs.secrets import EnvFromSecret
from controller.llamastack.planning.plan import Plan, make_plan
from hack.validate_configs import every_variable
from hack.validate_configs import text_of as embedded_text
from tests.support.bases import HAND_MADE, IMAGE, base_of, generate_on, text_of
from tests.support.config_specs import (
    DISTRIBUTIONS,
    IDENTIFIERS,
    NAME,
    NAMESPACE,
    Json,
    generate,
    secret,
    spec_of,
)
from tests.support.provider_strategies import ProviderMaker
from tests.support.provider_values import made_up

CONNECTION: Final = "postgresql://keeper:pass%2Fword@db.example:5433/stack"
"""What the Secrets of databases hold."""

_PLAIN: Final[dict[str, str]] = {
    "vector_io": "faiss", "files": "localfs", "tool_runtime": "model-context-protocol",
    "datasetio": "localfs", "scoring": "basic", "agents": "meta-reference", "responses": "builtin",
}  # fmt: skip
"""What a server has of its own for an API that something needs."""

_SEARCH: Final = ("brave", "tavily", "bing", "exa", "nimble", "serply")
_MODELS = st.sampled_from(
    ["meta-llama/Llama-3.2-3B-Instruct", "llama3.2:3b", "é中", "true", "1e5", "null", "~", "a b",
     "Llama-Guard-3-1B", "x/y/z", "0x10", "- m", "m #1", "'q'", "5"]
) | IDENTIFIERS  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnySpec:
    """A spec of an era.

    Attributes:
        era: of its base config.
        sections: of the spec; JSON.
    """

    era: Era
    sections: Json

    def generate(self) -> Generated:
        """What the engine makes of it."""
        if "name" in self.sections["distribution"]:
            return generate(**self.sections)
        return generate_on(self.era, **self.sections)

    def environment(self, found: Generated) -> dict[str, str]:
        """The variables that the server's container would have, secrets made up."""
        env: dict[str, str] = {}
        derived: dict[str, str] = {}
        if storage := found.storage_secret:
            values = {
                item.source: "of redis" if item.redis else CONNECTION for item in storage.values
            }
            sources = {(item.name, item.key): value for item, value in values.items()}
            derived = connection.derive(storage, sources)
        for item in found.env:
            if not isinstance(item, EnvFromSecret):
                env[item.name] = item.value
            elif storage and item.secret_name == storage.name:
                env[item.name] = derived[item.key]
            else:
                env[item.name] = made_up(item.name, item.path)
        given = spec_of(self.sections).workload.overrides.env
        return {**env, **{item.name: item.value or "" for item in given}}


def plan_of(spec: AnySpec) -> tuple[Json, Plan]:
    """The resource with a spec, and what the controller makes of it."""
    resource = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": "u", "generation": 1},
        "spec": spec.sections,
    }
    base = None if "name" in spec.sections["distribution"] else base_of(spec.era)
    return resource, make_plan(resource, DISTRIBUTIONS, base=base)


@st.composite
def any_valid_spec(draw: st.DrawFn, era: str, release: str = "") -> AnySpec:
    """Specs that the engine must accept.

    Args:
        draw: of Hypothesis.
        era: of the base config, one of ``configs.eras.ERAS``.
        release: a server's version: nothing is drawn that this one lacks; empty for all of the era.
    """
    known = next(item for item in eras.ERAS if item == era)
    names = [name for name, entry in DISTRIBUTIONS.known.items() if entry.era == known]
    choices = [{"image": IMAGE}] if known in HAND_MADE else []
    distribution = draw(st.sampled_from([*choices, *({"name": name} for name in names)]))
    maker = _Maker(draw, known, release, _Base.of(distribution, known))
    return AnySpec(known, {"distribution": distribution, **maker.sections()})


@dataclass(frozen=True, slots=True)
class _Base:
    """The base config of a distribution: its data and its text."""

    config: BaseConfig
    text: str

    @classmethod
    def of(cls, distribution: Json, era: Era) -> _Base:
        if "image" in distribution:
            return cls(base_of(era), text_of(era))
        resolved = DISTRIBUTIONS.known[distribution["name"]]
        config = EmbeddedBaseConfigs().base_of(resolved)
        assert config is not None
        return cls(config, embedded_text(resolved))

    def types(self, api: str, variables: Iterable[str]) -> list[tuple[str, str]]:
        """Id and type of its providers of an API that are on."""
        given = frozenset(variables)
        return [
            (provider_id, entry["provider_type"])
            for entry in self.config.data["providers"].get(api, ())
            if (provider_id := references.active(entry["provider_id"], given))
        ]


class _Maker:
    """One spec in the making."""

    def __init__(self, draw: st.DrawFn, era: Era, release: str, base: _Base) -> None:
        self._draw = draw
        self._era: Era = era
        self._base = base
        self._made = ProviderMaker(draw, era, release)
        self._kept: set[str] = set()  # APIs that must not be disabled

    def sections(self) -> Json:
        """All of them."""
        if self._maybe():
            self._made.env |= every_variable(self._base.text)
        found: Json = {}
        if providers := self._providers():
            found["providers"] = providers
        if resources := self._resources():
            found["resources"] = resources
        if storage := self._storage():
            found["storage"] = storage
        if disabled := self._disabled():
            found["disabled"] = disabled
        if not spec_of(found).generates_config:
            found["disabled"] = ["memory"]  # changes nothing, but is a reason to generate
        if networking := self._networking():
            found["networking"] = networking
        if workload := self._workload():
            found["workload"] = workload
        return found

    def _maybe(self) -> bool:
        return self._draw(st.booleans())

    # --- providers -------------------------------------------------------------------------------

    def _providers(self) -> Json:
        possible = eras.sections_of(self._era)
        chosen = self._draw(st.lists(st.sampled_from(possible), max_size=5, unique=True))
        if self._maybe() and "inference" not in chosen:
            chosen.append("inference")
        found: Json = {}
        for section in chosen:
            count = self._draw(st.integers(1, 3))
            items = [self._made.provider(section, single=count == 1) for _ in range(count)]
            found[section] = items[0] if count == 1 and self._maybe() else items
        if self._maybe():
            found["telemetry"] = self._made.telemetry()
        return found

    # --- resources -------------------------------------------------------------------------------

    def _on(self, api: str) -> list[tuple[str, str]]:
        """Id and type of what will serve an API."""
        if api in self._made.kinds:
            return [(identity, kind.name) for identity, kind in self._made.kinds[api]]
        return self._base.types(api, self._made.env)

    def _resources(self) -> Json:
        found: Json = {"models": self._models(), "tools": self._tools(), "shields": self._shields()}
        return {key: value for key, value in found.items() if value or self._maybe()}

    def _models(self) -> list[Any]:
        served = self._on("inference")
        if all(kind.endswith("transformers") for _, kind in served) or self._maybe():
            return []
        self._kept.add("inference")
        ids = [identity for identity, _ in served]
        return [
            self._model(name, ids)
            for name in self._draw(st.lists(_MODELS, max_size=5, unique=True))
        ]

    def _model(self, name: str, ids: list[str]) -> str | Json:
        if self._maybe():
            return name
        found: Json = {"name": name}
        if self._maybe():
            found["provider"] = self._draw(st.sampled_from(ids))
        kind = self._draw(st.sampled_from(["", "llm", "embedding", "rerank"]))
        if kind:
            found["modelType"] = kind
        if kind == "embedding" or self._maybe():
            found["embeddingDimension"] = self._draw(st.integers(1, 4096))
        if self._maybe():
            found["contextLength"] = self._draw(st.integers(1, 10**9))
        if self._maybe():
            found["quantization"] = self._draw(st.sampled_from(["fp8", "int4 ", "true", "8"]))
        return found

    def _tools(self) -> list[str]:
        served = [kind.split("::", 1)[1] for _, kind in self._on("tool_runtime")]
        if not served or self._maybe():
            return []
        possible = ["own::tool", "tool"]
        if any(kind.startswith(_SEARCH) for kind in served):
            possible += ["websearch", "builtin::websearch"]
        if {"file-search", "rag-runtime"} & set(served):
            possible += ["rag", "builtin::rag", "file_search"]
        if "wolfram-alpha" in served:
            possible += ["wolfram_alpha"]
        if "model-context-protocol" in served:
            possible += ["mcp::own"]
        self._kept |= {"tool_runtime", "inference", "files", "vector_io"}
        return self._draw(st.lists(st.sampled_from(possible), max_size=3, unique=True))

    def _shields(self) -> list[str]:
        if not self._on("safety") or self._maybe():
            return []
        self._kept |= {"safety", "inference"}
        names = st.sampled_from(["llama-guard", "code-scanner", "own shield", "a/b"]) | IDENTIFIERS
        return self._draw(st.lists(names, max_size=3, unique=True))

    # --- the rest --------------------------------------------------------------------------------

    def _storage(self) -> Json:
        kv = self._draw(
            st.sampled_from(
                [
                    None,
                    {},
                    {"type": "sqlite"},
                    {"type": "redis", "endpoint": "redis"},
                    {"type": "redis", "endpoint": "redis:6380"},
                    {"type": "redis", "endpoint": "redis://[::1]:6379/0", "password": secret("r")},
                    {"type": "postgres", "connectionString": secret("pg", "kv")},
                ]
            )
        )
        sql = self._draw(
            st.sampled_from(
                [
                    None,
                    {},
                    {"type": "sqlite"},
                    {"type": "postgres", "connectionString": secret("pg", "sql")},
                ]
            )
        )
        return {key: value for key, value in (("kv", kv), ("sql", sql)) if value is not None}

    def _disabled(self) -> list[str]:
        kept = self._needed()
        possible = [
            section
            for section in SECTIONS
            if eras.api_of(section, self._era) not in kept and section != "telemetry"
        ]
        return self._draw(st.lists(st.sampled_from(possible), max_size=4, unique=True))

    def _needed(self) -> set[str]:
        """APIs that are configured, or that something configured needs."""
        found = set(self._made.kinds) | self._kept
        kinds = [kind for kinds in self._made.kinds.values() for _, kind in kinds]
        while kinds:
            for api in kinds.pop().needs:
                if api not in found:
                    found.add(api)
                    kinds += self._filling(api)
        return found

    def _filling(self, api: str) -> list[ProviderType]:
        """What will serve an API that nobody configured: the base's providers, or a plain one."""
        types = embedded().types(self._era, api)
        names = [kind for _, kind in self._base.types(api, self._made.env)]
        names += [f"{prefix}::{_PLAIN[api]}" for prefix in ("inline", "remote") if api in _PLAIN]
        return [types[name] for name in names if name in types]

    def _networking(self) -> Json:
        found: Json = {}
        if self._maybe():
            found["port"] = self._draw(st.integers(1024, 65535))
        if self._maybe():
            found["tls"] = self._draw(
                st.sampled_from([{"enabled": False}, {"enabled": True, "secretName": "tls"}])
            )
        return found

    def _workload(self) -> Json:
        found: Json = {}
        if self._maybe():
            found["workers"] = self._draw(st.integers(1, 4))
        if self._maybe():
            path = self._draw(st.sampled_from(["/data", "/.llama", "/a/b c"]))
            found["storage"] = {"size": "1Gi", "mountPath": path}
        if self._made.env:
            env = [{"name": name, "value": value} for name, value in sorted(self._made.env.items())]
            found["overrides"] = {"env": env}
        return found
