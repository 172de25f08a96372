# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Makes configs/data/catalogue.json: which provider types a server knows, and their keys.

Input, one file or several:

* the digest of many releases:
  `{release: {api: {type: {keys, required, endpoint_key, secret_key}}}}`
* the details of one release: `{package, version, apis: {api: {type: {api_dependencies, …}}}}`,
  which alone says what other APIs a provider needs.

Output: by era, so that one entry serves all releases of one schema generation. What the releases of
an era disagree on is taken from the newest; a type that some of them lack is marked `releases`.

    python -m tests.support.make_catalogue DIGEST DETAILS... > configs/data/catalogue.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

ERAS: Final[Mapping[str, tuple[str, ...]]] = {
    "0.4": ("llama_stack 0.4.7",),
    "0.5-0.6": ("llama_stack 0.5.4", "llama_stack 0.6.1"),
    "0.7": ("llama_stack 0.7.3",),
    "ogx": ("ogx 1.5.0",),
}
"""Era → its releases in the digest, newest last."""

RENAMED: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("agents", "inline::meta-reference"): ("responses", "inline::builtin"),
    ("eval", "inline::meta-reference"): ("eval", "inline::builtin"),
    ("tool_runtime", "inline::rag-runtime"): ("tool_runtime", "inline::file-search"),
}
"""What 0.7 renamed: the dependencies of the old one are those of the new one."""

RENAMED_APIS: Final = {"responses": "agents"}
"""Names of APIs in eras before 0.7."""


def main(arguments: list[str]) -> None:
    """Reads the files named on the command line, writes the catalogue to standard output."""
    digest: Json = {}
    details: list[Json] = []
    for name in arguments:
        data = json.loads(Path(name).read_text(encoding="utf-8"))
        if "apis" in data:
            details.append(data)
        else:
            digest |= data
    print(render(catalogue(digest, details)), end="")


def catalogue(digest: Json, details: list[Json]) -> Json:
    """The catalogue by era.

    Args:
        digest: See the module.
        details: Of the releases whose dependencies are known; other eras inherit from the first.
    """
    by_release = {f"{item['package']} {item['version']}": item["apis"] for item in details}
    first = next(iter(by_release.values()))
    return {
        era: _era(
            {release: digest[release] for release in releases}, by_release.get(releases[-1], first)
        )
        for era, releases in ERAS.items()
    }


def _era(releases: Mapping[str, Json], dependencies: Json) -> Json:
    merged: dict[str, dict[str, Json]] = {}
    seen: dict[tuple[str, str], list[str]] = {}
    for release, apis in releases.items():
        for api, types in apis.items():
            for name, facts in types.items():
                merged.setdefault(api, {})[name] = facts
                seen.setdefault((api, name), []).append(release.split()[1])
    return {
        api: {
            name: _entry(
                facts,
                _needs(api, name, dependencies, set(merged)),
                seen[api, name] if len(seen[api, name]) < len(releases) else [],
            )
            for name, facts in sorted(types.items())
        }
        for api, types in sorted(merged.items())
    }


def _needs(api: str, name: str, dependencies: Json, served: set[str]) -> list[str]:
    """APIs with providers that this one cannot start without."""
    known = dependencies.get(api, {}).get(name)
    if known is None:
        new_api, new_name = RENAMED.get((api, name), (api, name))
        known = dependencies.get(new_api, {}).get(new_name)
    if known is None and api == "vector_io":
        return ["inference"]  # true of every vector_io provider of every release
    needed = (known or {}).get("api_dependencies", [])
    # Other APIs (models, prompts, …) are the server's own: they are always there.
    return sorted(
        {name if name in served else RENAMED_APIS.get(name, "") for name in needed} & served
    )


def _entry(facts: Json, needs: list[str], releases: list[str]) -> Json:
    entry = {
        "endpoint": facts["endpoint_key"],
        "secret": facts["secret_key"],
        "required": sorted(facts["required"]),
        "needs": needs,
        "keys": sorted(facts["keys"]),
        "releases": releases,
    }
    return {key: value for key, value in entry.items() if value}


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


if __name__ == "__main__":
    main(sys.argv[1:])
