# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The examples in ``docs/configuration.md``: a fragment of a spec, and what it leads to.

The second word of a fenced block says what it is:

============  =================================================================================
``spec``      a fragment of a resource; what follows up to the next one is about it
``config``    parts of its config.yaml
``errors``    what it is refused for, one line each
``warnings``  what it is warned of, one line each
``env``       ``VARIABLE <- secret/key`` or ``VARIABLE <- value``, one line each
``models``    names that clients use, one line each
============  =================================================================================

In parts of a config, keys of objects may be left out as long as something of the object is an
object or a list again; an object of plain values is shown whole, and so is a list. In lines, ``…``
stands for any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from api.v1alpha2 import parse
from configs import yaml_reader
from configs.distributions import Distributions
from configs.engine import Generated, generate
from configs.errors import ConfigError
from configs.secrets import EnvFromSecret, EnvValue
from hack.root import ROOT

PAGE: Final = ROOT / "docs" / "configuration.md"

KINDS: Final = frozenset({"config", "errors", "warnings", "env", "models"})

_BLOCK: Final = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(slots=True)
class Example:
    """A fragment of a spec, and the blocks that say what it leads to.

    Attributes:
        name: heading that it stands under, and its number there.
        spec: as written.
        shown: kind of block → its text.
    """

    name: str
    spec: dict[str, Any]
    shown: dict[str, str] = field(default_factory=dict)

    @property
    def resource(self) -> dict[str, Any]:
        """The whole resource that the fragment stands for."""
        return {
            "apiVersion": "llamastack.io/v1alpha2",
            "kind": "LlamaStackDistribution",
            "metadata": {"name": "example", "namespace": "default"},
            "spec": {"distribution": {"name": "starter"}, **self.spec},
        }

    def lines(self, kind: str) -> list[str]:
        """The lines of a block; none without it."""
        return self.shown.get(kind, "").splitlines()


def examples() -> list[Example]:
    """All of the page.

    Raises:
        ValueError: a YAML block does not say what it is, or stands without a spec.
    """
    return list(_examples(PAGE.read_text("utf-8")))


def _examples(page: str) -> Iterator[Example]:
    current: Example | None = None
    counts: dict[str, int] = {}
    for match in _BLOCK.finditer(page):
        language, kind, text = match.groups()
        if kind == "spec":
            heading = _HEADING.findall(page, 0, match.start())[-1]
            counts[heading] = counts.get(heading, 0) + 1
            current = Example(f"{heading} {counts[heading]}", yaml_reader.load(text)["spec"])
            yield current
        elif kind in KINDS and current is not None:
            current.shown[kind] = text
        elif kind or language == "yaml":
            msg = f"a block of {language} {kind or ''} that nothing checks:\n{text}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the engine makes of an example.

    Attributes:
        generated: None if it refuses it.
        errors: what it refuses it for.
    """

    generated: Generated | None
    errors: tuple[str, ...] = ()


def outcome(example: Example) -> Outcome:
    """Asks the engine; the resource has a right shape."""
    spec = parse(example.resource).spec
    try:
        found = generate("example", "default", spec, distributions=Distributions.load())
    except ConfigError as error:
        return Outcome(None, tuple(map(str, error.errors)))
    return Outcome(found)


def variable(item: EnvFromSecret | EnvValue) -> str:
    """A variable as a line of an ``env`` block."""
    if isinstance(item, EnvFromSecret):
        return f"{item.name} <- {item.secret_name}/{item.key}"
    return f"{item.name} <- {item.value}"


def matches(pattern: str, line: str) -> bool:
    """Whether a line is as shown, where ``…`` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), line) is not None


def unmatched(shown: Sequence[str], found: Sequence[str]) -> list[str]:
    """What is found and not shown, or shown and not found."""
    missing = [line for line in shown if not any(matches(line, other) for other in found)]
    extra = [line for line in found if not any(matches(other, line) for other in shown)]
    return [*(f"- {line}" for line in missing), *(f"+ {line}" for line in extra)]


def differences(shown: Any, found: Any, path: str = "config") -> Iterator[str]:
    """Where a config is not as shown."""
    if not isinstance(shown, dict) or not isinstance(found, dict):
        if shown != found:
            yield f"{path}: shown {shown!r}, found {found!r}"
        return
    if all(not isinstance(value, dict | list) for value in shown.values()):
        yield from (f"{path}.{key}: not shown" for key in found.keys() - shown.keys())
    for key, value in shown.items():
        yield from differences(value, found.get(key), f"{path}.{key}")
