# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A text read by each of the two YAML parsers, for tests that they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from configs import scalars, yaml_events, yaml_reader

both = pytest.mark.skipif(
    not yaml_events.HAS_C, reason="ruamel.yaml.clib has no wheel for this platform"
)
"""Of a test that compares the two."""


@dataclass(frozen=True)
class Outcome:
    """What came of a text.

    Attributes:
        documents: As `repr`, which tells 1 from 1.0 and from True; None if the text was refused.
        problem: Why it was refused.
        place: Line and column of that.
    """

    documents: str | None
    problem: str = ""
    place: tuple[int | None, int | None] = (None, None)


def outcome(text: str, parser: yaml_events.Parser, *, as_server: bool = False) -> Outcome:
    """What a text comes to when a certain parser reads it."""
    resolve = scalars.resolve_as_server if as_server else scalars.resolve
    try:
        found: Any = yaml_reader.load_all(
            text, parser=parser, resolve=resolve, max_bytes=10_000_000
        )
    except yaml_reader.YamlError as error:
        return Outcome(None, error.problem, (error.line, error.column))
    return Outcome(repr(found))


def agreed(text: str, *, as_server: bool = False) -> Outcome:
    """What a text comes to; fails if that depends on the parser."""
    in_python = outcome(text, yaml_events.in_python, as_server=as_server)
    in_c = outcome(text, yaml_events.in_c, as_server=as_server)
    assert in_c.documents == in_python.documents, (text, in_c, in_python)
    return in_c
