# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Eras: generations of the server's config schema (R-D5a), and what its APIs are called in each.

Every server release since 0.2 writes ``version: 2``, so the number tells nothing; names of keys,
APIs and providers changed all the same, without aliases: a config of one era does not boot on
another. An era is what a base config, a catalogue entry and the engine agree on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from api.v1alpha2 import Section

Era: TypeAlias = Literal["0.4", "0.5-0.6", "0.7", "ogx"]
"""Named after the server releases that read it; ogx is the renamed project, 1.x."""

ERAS: Final[tuple[Era, ...]] = get_args(Era)
"""Oldest first."""

_BEFORE_0_7: Final[tuple[Era, ...]] = ("0.4", "0.5-0.6")
_LLAMA_STACK: Final[tuple[Era, ...]] = (*_BEFORE_0_7, "0.7")


def _in(api: str, eras: tuple[Era, ...] = ERAS) -> Mapping[Era, str]:
    return dict.fromkeys(eras, api)


_APIS: Final[Mapping[Section, Mapping[Era, str]]] = MappingProxyType(
    {
        "inference": _in("inference"),
        "safety": _in("safety", _LLAMA_STACK),
        "vectorIo": _in("vector_io"),
        "toolRuntime": _in("tool_runtime"),
        "telemetry": {},  # environment variables since 0.4: configs.telemetry
        "agents": {**_in("agents", _BEFORE_0_7), **_in("responses", ("0.7", "ogx"))},
        "memory": {},  # ended before 0.2
        "datasetIo": _in("datasetio", _LLAMA_STACK),
        "scoring": _in("scoring", _LLAMA_STACK),
        "eval": _in("eval", _LLAMA_STACK),
        "postTraining": _in("post_training", _BEFORE_0_7),
        "files": _in("files"),
        "batches": _in("batches"),
    }
)


def api_of(section: Section, era: Era) -> str | None:
    """The server's name of the API behind a section of the spec; None where the era lacks it."""
    return _APIS[section].get(era)


def sections_of(era: Era) -> tuple[Section, ...]:
    """The sections that an era has an API for."""
    return tuple(section for section, names in _APIS.items() if era in names)


def section_of(api: str, era: Era) -> Section | None:
    """The section of the spec that configures an API; None for one that the spec does not reach."""
    return next((name for name, names in _APIS.items() if names.get(era) == api), None)
