# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The table of providers in ``docs/configuration.md``: what the catalogue and the engine know.

Nothing in it is written by hand. What a provider requires is found out by leaving everything out
and reading the complaints, so the table says what users would be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from api.v1alpha2 import Section, parse
from api.validation import validate
from configs import endpoints, eras
from configs.catalogue import ALIASES, Catalogue, ProviderType, UnknownProvider, embedded
from configs.distributions import Distributions
from configs.engine import generate
from configs.eras import ERAS, Era
from configs.errors import ConfigError

ERA: Final[Era] = "0.7"
"""The era that the table is about."""

DISTRIBUTION: Final = "starter"
"""One of that era."""

_HEAD: Final = (
    "`provider`", "also", "type", "`endpoint` becomes", "`apiKey` becomes", "needs", "servers"
)  # fmt: skip
_REQUIRED: Final = "is required"
_EXAMPLES: Final = ("postgresql://user@host:5432/db", "https://host:443", "tcps://host:1")
"""URLs of which each provider that has an endpoint takes one."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A row: what a short name means.

    Attributes:
        section: of the spec.
        api: the server's name of it.
        short: what users write.
        kind: what it means.
        connected: whether it means that only together with an endpoint or a credential.
    """

    section: Section
    api: str
    short: str
    kind: ProviderType
    connected: bool = False


def provider_table() -> str:
    """Sub-sections with a table each, in the order of the sections of the spec."""
    known = embedded()
    return "\n".join(_section(section, known) for section in eras.sections_of(ERA))


def _section(section: Section, known: Catalogue) -> str:
    api = eras.api_of(section, ERA)
    assert api is not None
    title = f"#### {section}\n\n"
    if api != section:
        title += f"The server calls this API `{api}`.\n\n"
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(row, known) for row in _rows(section, api, known))]
    return title + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(section: Section, api: str, known: Catalogue) -> Iterator[_Named]:
    """Every short name; two rows for what exists inside the server and as a service."""
    for short in known.short_names(ERA, api):
        inside = known.find(ERA, api, short, connected=False)
        service = known.find(ERA, api, short, connected=True)
        if inside.name.split("::", 1)[1] == short:  # not so where a name stands for another type
            yield _Named(section, api, short, inside)
        if service != inside:
            yield _Named(section, api, short, service, connected=True)


def _row(row: _Named, known: Catalogue) -> tuple[str, ...]:
    kind = row.kind
    return (
        f"`{row.short}`",
        _codes(_also(row, known)),
        f"`{kind.name}`",
        _codes(_endpoint_keys(row)),
        _codes([kind.secret] if kind.secret else []),
        _needs(row),
        ", ".join(_eras(row, known)),
    )


def _also(row: _Named, known: Catalogue) -> Iterator[str]:
    """Other names under which users get the type."""
    for api, name in ALIASES:
        if api == row.api and name != row.short:
            found = known.find(ERA, api, name, connected=row.connected or row.kind.is_remote)
            if found.name == row.kind.name:
                yield name


def _endpoint_keys(row: _Named) -> list[str]:
    """What the engine makes of the first URL that it does not refuse."""
    for example in _EXAMPLES if row.kind.endpoint else ():
        try:
            return list(endpoints.expand(row.kind, example, api=row.api))
        except endpoints.EndpointError:
            continue
    return []


def _needs(row: _Named) -> str:
    """Fields without which it is refused, then sections without which it does not work."""
    sections = [eras.section_of(api, ERA) for api in row.kind.needs]
    parts = (_codes(_required(row)), _codes(name for name in sections if name))
    return "; ".join(part for part in parts if part)


def _required(row: _Named) -> list[str]:
    """The fields that the complaints about a bare provider name."""
    provider = {"provider": row.kind.name if row.connected else row.short}
    resource: dict[str, Any] = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "bare"},
        "spec": {"distribution": {"name": DISTRIBUTION}, "providers": {row.section: provider}},
    }
    errors = list(validate(resource).errors)
    try:
        generate("bare", "", parse(resource).spec, distributions=Distributions.load())
    except ConfigError as error:
        errors += error.errors
    prefix = f"spec.providers.{row.section}."
    found = [e.path.removeprefix(prefix) for e in errors if e.message.startswith(_REQUIRED)]
    return list(dict.fromkeys(found))


def _eras(row: _Named, known: Catalogue) -> Iterator[str]:
    """The eras in which the name leads to a type of the same kind, inside or remote."""
    for era in ERAS:
        api = eras.api_of(row.section, era)
        for connected in (False, True) if api else ():
            try:
                found = known.find(era, api or "", row.short, connected=connected)
            except UnknownProvider:
                continue
            if found.is_remote == row.kind.is_remote:
                yield f"{era} ({', '.join(found.releases)})" if found.releases else era
                break


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
