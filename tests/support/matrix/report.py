# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The result of the matrix as the tables of docs/compatibility.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hack.servers.releases import RELEASES
from tests.support.matrix.case import Outcome

_GROUPS = {
    "distributions": "Distributions",
    "inference, alone": "Inference",
    "vector_io, alone": "Vector databases",
    "safety, alone": "Safety",
    "tool_runtime, alone": "Tools",
    "agents, alone": "Agents",
    "responses, alone": "Agents",
    "files, alone": "Files",
    "batches, alone": "Batches",
    "datasetio, alone": "Datasets",
    "scoring, alone": "Scoring",
    "eval, alone": "Evaluation",
    "post_training, alone": "Training",
    "together": "Several providers of one API in one server",
    "storage": "Storage",
    "resources": "Resources",
    "disabled": "Disabled APIs",
    "server": "Server",
}
"""Group of cases → heading, in this order."""

_ALWAYS = frozenset({"classes", "boots", "providers", "models"})


def tables(outcomes: Iterable[Outcome]) -> str:
    """Markdown: a table a group, a row a case, a column a release.

    Raises:
        ValueError: an outcome is a failure; what does not work is not documented, but fixed.
    """
    by_heading: dict[str, dict[str, dict[str, Outcome]]] = {}
    for outcome in outcomes:
        if outcome.failure:
            raise ValueError(f"{outcome.case.id}: {outcome.failure}")
        heading, row = _place(outcome)
        rows = by_heading.setdefault(heading, {})
        rows.setdefault(row, {})[outcome.case.release.name] = outcome
    order = list(dict.fromkeys(_GROUPS.values()))
    return "\n\n".join(
        _table(heading, by_heading[heading]) for heading in order if heading in by_heading
    )


def _place(outcome: Outcome) -> tuple[str, str]:
    case = outcome.case
    if case.group.endswith("together"):
        return _GROUPS["together"], f"`{case.group.split(',')[0]}`"
    row = f"`{case.name}`" if case.group.endswith("alone") else case.name
    return _GROUPS[case.group], row


def _table(heading: str, rows: dict[str, dict[str, Outcome]]) -> str:
    releases = [r.name for r in RELEASES if any(r.name in row for row in rows.values())]
    lines = [
        f"### {heading}",
        "",
        f"| | {' | '.join(releases)} |",
        f"|---{'|---' * len(releases)}|",
    ]
    lines += [
        f"| {name} | {' | '.join(_cell(row.get(release)) for release in releases)} |"
        for name, row in sorted(rows.items())
    ]
    return "\n".join(lines)


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not run"
    if not outcome.booted:
        return f"classes only: {outcome.case.why}"
    return "; ".join(["boots", *_further(outcome.proven)])


def _further(proven: Sequence[str]) -> list[str]:
    found = [each for each in proven if each not in _ALWAYS]
    # With its key is more than without: one of several is enough to say.
    return [each for each in found if each != "chat arrived" or f"{each} with the key" not in found]
