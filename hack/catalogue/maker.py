# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The catalogue out of the dumps of releases, by era. Pure: dumps in, text out.

An era is the releases that one config serves, so one entry speaks for all of them. What they
disagree on is taken from the newest that has the type; a type or a key that only some have says
which (``releases``, ``only``), because the others would not boot on it, or ignore it in silence.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence

from hack.catalogue.rules import Json, Undecided, entry

_USUAL = {"unknown": "ignored"}
"""Values that need no saying; neither do empty ones."""


def catalogue(eras: Mapping[str, Sequence[Json]]) -> Json:
    """The catalogue.

    Args:
        eras: era → the dumps of its releases, newest last.

    Raises:
        Undecided: a provider is new or has changed, and the rules do not know what to do with it.
    """
    return {era: _era(dumps) for era, dumps in eras.items()}


def _era(dumps: Sequence[Json]) -> Json:
    found: dict[tuple[str, str], dict[str, Json]] = {}
    for dump in dumps:
        version = dump["version"]
        for api, types in dump["apis"].items():
            for name, facts in types.items():
                if facts["refused"]:
                    continue  # the server does not boot on it, and says why
                try:
                    made = entry(api, name, facts, dump["apis"])
                except Undecided as error:
                    raise Undecided(f"{dump['package']} {version}: {error}") from None
                found.setdefault((api, name), {})[version] = made
    versions = [dump["version"] for dump in dumps]
    catalogue: dict[str, Json] = {}
    for (api, name), by_version in sorted(found.items()):
        catalogue.setdefault(api, {})[name] = _merged(by_version, versions)
    return catalogue


def _merged(by_version: Mapping[str, Json], versions: Sequence[str]) -> Json:
    """One entry for all releases of an era that have the type."""
    merged = dict(list(by_version.values())[-1])
    keys = sorted({key for one in by_version.values() for key in one["keys"]})
    having = {key: [v for v, one in by_version.items() if key in one["keys"]] for key in keys}
    merged["keys"] = keys
    merged["only"] = {key: some for key, some in having.items() if len(some) < len(by_version)}
    merged["releases"] = list(by_version) if len(by_version) < len(versions) else []
    return {key: value for key, value in merged.items() if value and value != _USUAL.get(key)}


def render(data: Json) -> str:
    """JSON with one provider type a line: a new release is a readable diff."""
    lines = ["{"]
    for era_at, (era, apis) in enumerate(data.items()):
        lines.append(f" {json.dumps(era)}: {{")
        for api_at, (api, types) in enumerate(apis.items()):
            lines.append(f"  {json.dumps(api)}: {{")
            rows = [f"   {json.dumps(name)}: {json.dumps(entry)}" for name, entry in types.items()]
            lines.append(",\n".join(rows))
            lines.append("  }" + ("," if api_at < len(apis) - 1 else ""))
        lines.append(" }" + ("," if era_at < len(data) - 1 else ""))
    return "\n".join([*lines, "}", ""])


def changes(old: Json, new: Json) -> list[str]:
    """What differs, a line each with era, API and type; empty if nothing does."""
    before, after = _flat(old), _flat(new)
    return [
        line
        for line in difflib.unified_diff(before, after, "checked in", "installed", n=0, lineterm="")
        if not line.startswith("@@")
    ]


def _flat(data: Json) -> list[str]:
    return [
        f"{era} {api} {name} {json.dumps(entry)}"
        for era, apis in data.items()
        for api, types in apis.items()
        for name, entry in types.items()
    ]
