# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the server knows: provider types by era and API, and what users call them (R-D5).

The server ignores keys that it does not know, at every level and without a word, and does not boot
on a provider type that it does not know. So neither is ever guessed: ``data/catalogue.json``, made
from the installed server packages by ``make catalogue``, says for each type under which keys it
takes an endpoint and a secret, what it requires, and which APIs it cannot be without.

Users write short names. A short name is the part of a type after ``remote::`` or ``inline::``; what
else may be said is the table below, by hand: names that changed between eras, and habits.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from api.spelling import closest
from configs import eras
from configs.eras import ERAS, Era

UnknownKeys: TypeAlias = Literal["ignored", "kept", "refused"]


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One provider type of one API in one era.

    Attributes:
        name: full type, e.g. ``remote::vllm``.
        endpoint: config key that takes the endpoint; None if the provider takes none.
        secret: config key that takes the credential; None if it takes none, or a pair of them.
        required: config keys without which the server does not boot, or the provider not work.
        nullable: those of them that must be there, but for which null will do.
        needs: APIs (with providers) that it cannot be without.
        keys: every config key it knows.
        unknown_keys: what becomes of any other: "ignored" without a word, "kept" for the client
            library behind the provider, or "refused": the server does not boot.
        releases: the releases of the era that have it; empty means all.
        only: keys that some of those releases do not know, each with the ones that do.
        deprecated: the server's own words about what to use instead; empty if it is not.
        known: False for a type that the catalogue does not have, and so knows no facts of.
    """

    name: str
    endpoint: str | None = None
    secret: str | None = None
    required: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    unknown_keys: UnknownKeys = "ignored"
    releases: tuple[str, ...] = ()
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    deprecated: str = ""
    known: bool = True

    @property
    def is_remote(self) -> bool:
        """Whether it talks to a service elsewhere."""
        return self.name.startswith("remote::")


class UnknownProvider(LookupError):
    """No provider type of this API and era is meant by the name.

    Attributes:
        message: what is wrong.
        hint: what there is instead.
    """

    def __init__(self, message: str, hint: str) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} ({hint})")


ALIASES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        # 0.7 renamed what serves agents, evaluations and file search.
        ("responses", "meta-reference"): ("builtin",),
        ("agents", "builtin"): ("meta-reference",),
        ("eval", "meta-reference"): ("builtin", "meta-reference"),
        ("eval", "builtin"): ("builtin", "meta-reference"),
        ("tool_runtime", "rag-runtime"): ("file-search", "rag-runtime"),
        ("tool_runtime", "file-search"): ("file-search", "rag-runtime"),
        ("tool_runtime", "rag"): ("file-search", "rag-runtime"),
        # Deprecated types that only stand for another one.
        ("vector_io", "sqlite_vec"): ("sqlite-vec",),
        ("vector_io", "builtin"): ("faiss",),
        ("vector_io", "meta-reference"): ("faiss",),
        # What people say.
        ("vector_io", "chroma"): ("chromadb",),
        ("tool_runtime", "mcp"): ("model-context-protocol",),
        ("tool_runtime", "brave"): ("brave-search",),
        ("tool_runtime", "tavily"): ("tavily-search",),
        ("tool_runtime", "bing"): ("bing-search",),
        ("files", "meta-reference-files"): ("localfs",),
    }
)
"""(API, name) → what comes after the colons, best first."""

_OPENAI_SPEAKER: Final = (
    "it speaks the OpenAI API, so use vllm or openai with its URL, ending in /v1, as endpoint"
)
_GONE: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("inference", "tgi"): f"servers from 0.7 on have no TGI provider; {_OPENAI_SPEAKER}",
        ("inference", "huggingface"): "use tgi (up to 0.6), or vllm with the model's OpenAI URL",
        ("inference", "meta-reference"): "servers from 0.5 on do not load weights themselves",
    }
)
"""(API, name) → what to do where the era lacks it."""


class Catalogue:
    """The types of all eras."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Reads the form of ``data/catalogue.json``."""
        self._types = {
            (era, api): {name: _type(name, facts) for name, facts in types.items()}
            for era, apis in data.items()
            for api, types in apis.items()
        }

    def types(self, era: Era, api: str) -> Mapping[str, ProviderType]:
        """The types of an API, by full name; empty if the era lacks the API."""
        return self._types.get((era, api), {})

    def short_names(self, era: Era, api: str) -> tuple[str, ...]:
        """The short names of an API's types, sorted."""
        # A type such as remote::hf::endpoint has no short name: `::` marks a full one.
        names = {name.split("::", 1)[1] for name in self.types(era, api)}
        return tuple(sorted(name for name in names if "::" not in name))

    def find(self, era: Era, api: str, name: str, *, connected: bool) -> ProviderType:
        """The type that a user means.

        Args:
            era: of the base config.
            api: the server's name of the API.
            name: short name or full type. A full type that the catalogue does not have is returned
                bare: an image may bring providers of its own. Not so one that other eras have:
                whoever writes that means the server's own.
            connected: whether the user gave an endpoint or a credential. It decides for the few
                that exist both as a service and inside the server (chromadb, milvus, qdrant).

        Raises:
            UnknownProvider: nothing goes by that name, or only in other eras.
        """
        types = self.types(era, api)
        if "::" in name:
            if found := types.get(name):
                return found
            if elsewhere := self._eras_with(era, api, name):
                raise self._of_another_era(era, api, name, elsewhere)
            return ProviderType(name, known=False)
        prefixes = ("remote::", "inline::") if connected else ("inline::", "remote::")
        for suffix in (*ALIASES.get((api, name), ()), name):
            for prefix in prefixes:
                if found := types.get(prefix + suffix):
                    return found
        raise self._unknown(era, api, name)

    def _eras_with(self, era: Era, api: str, name: str) -> list[Era]:
        """The eras that have a full type in the same section of the spec."""
        section = eras.section_of(api, era)
        if section is None:
            return []
        return [
            other for other in ERAS if name in self.types(other, eras.api_of(section, other) or "")
        ]

    def _of_another_era(
        self, era: Era, api: str, name: str, elsewhere: list[Era]
    ) -> UnknownProvider:
        hints = [f"known: {', '.join(sorted(self.types(era, api)))}"]
        if gone := _GONE.get((api, name.split("::", 1)[1])):
            hints.append(gone)
        others = " and ".join(elsewhere)
        message = f"server {era} has no type {name} for the API {api}; servers {others} have it"
        return UnknownProvider(message, "; ".join(hints))

    def _unknown(self, era: Era, api: str, name: str) -> UnknownProvider:
        known = self.short_names(era, api)
        hints = [f"known: {', '.join(known)}"] if known else []
        if gone := _GONE.get((api, name)):
            hints.append(gone)
        elif near := closest(name.lower(), known):
            hints.append(f'did you mean "{near}"?')
        hints.append("a full type such as remote::example is passed on as it is")
        message = f'unknown provider "{name}" for the API {api} of server {era}'
        return UnknownProvider(message, "; ".join(hints))


def _type(name: str, facts: Mapping[str, Any]) -> ProviderType:
    return ProviderType(
        name,
        endpoint=facts.get("endpoint"),
        secret=facts.get("secret"),
        required=tuple(facts.get("required", ())),
        needs=tuple(facts.get("needs", ())),
        nullable=tuple(facts.get("null", ())),
        keys=frozenset(facts.get("keys", ())),
        unknown_keys=facts.get("unknown", "ignored"),
        releases=tuple(facts.get("releases", ())),
        only=tuple((key, tuple(some)) for key, some in facts.get("only", {}).items()),
        deprecated=facts.get("deprecated", ""),
    )


@functools.cache
def embedded() -> Catalogue:
    """The catalogue that the operator brings; read once."""
    text = resources.files("configs").joinpath("data/catalogue.json").read_bytes()
    return Catalogue(json.loads(text))
