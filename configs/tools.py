# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Tools that are registered when the server starts (FR-042).

Up to 0.6 a tool group is registered with its provider. From 0.7 on the server makes the groups from
the providers it has and throws away what the config says (found by booting), so nothing is written;
what remains is to make sure that a provider is there that makes the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from api.v1alpha2 import Reason
from configs.draft import Candidate, Config, Draft

NEED_PROVIDER: Final = "resources.tools requires at least one toolRuntime provider to be configured"

_PATH: Final = "spec.resources.tools"
_BUILTIN: Final = "builtin::"
_FILE_SEARCH: Final = ("inline::file-search", "inline::rag-runtime")
_SERVED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "websearch": (
        "remote::brave-search",
        "remote::tavily-search",
        "remote::bing-search",
        "remote::exa-search",
        "remote::nimble-search",
        "remote::serply-search",
    ),
    "rag": _FILE_SEARCH,
    "file_search": _FILE_SEARCH,
    "wolfram_alpha": ("remote::wolfram-alpha",),
}
"""Built-in tool group → provider types that make it."""

_MCP: Final = ("remote::model-context-protocol",)


def register(tools: Sequence[str], draft: Draft) -> None:
    """Adds tool groups to the config, where the server still reads them.

    Args:
        tools: names of tool groups, from the spec; without ``::`` they are built-in ones.
        draft: the config.
    """
    if not tools:
        return
    candidates = draft.candidates("tool_runtime")
    if not candidates:
        reason = Reason.MISSING_PROVIDER_FOR_RESOURCE
        draft.findings.error(_PATH, NEED_PROVIDER, reason=reason)
        return
    groups: dict[str, Config] = {}
    for index, tool in enumerate(tools):
        provider = _provider(tool, f"{_PATH}[{index}]", candidates, draft)
        if provider:
            group = _group(tool)  # rag and file_search are the same one
            groups[group] = {"toolgroup_id": group, "provider_id": provider.provider_id}
    if draft.era in {"0.7", "ogx"} or not groups:
        return
    kept = [
        group
        for group in draft.resources.get("tool_groups", [])
        if group.get("toolgroup_id") not in groups
    ]
    draft.resources["tool_groups"] = [*kept, *groups.values()]


def _provider(tool: str, path: str, candidates: list[Candidate], draft: Draft) -> Candidate | None:
    """The first provider that serves a tool; for a tool of one's own, the first of all."""
    short = tool.removeprefix(_BUILTIN)
    types = _MCP if tool.startswith("mcp::") else _SERVED_BY.get(short, ())
    for candidate in candidates:
        if candidate.provider_type in types:
            return candidate
    if not types:
        if draft.era in {"0.7", "ogx"}:
            draft.findings.warn(
                path,
                f"server {draft.era} makes tool groups from its providers and registers no other",
                f"known: {', '.join(sorted(_SERVED_BY))}",
            )
        return candidates[0]
    names = [name.split("::", 1)[1] for name in types]
    known = [
        name for name in names if name in draft.catalogue.short_names(draft.era, "tool_runtime")
    ]
    draft.findings.error(
        path,
        f'no toolRuntime provider serves "{tool}"',
        f"configure {' or '.join(known)}",
        reason=Reason.MISSING_PROVIDER_FOR_RESOURCE,
    )
    return None


def _group(tool: str) -> str:
    """The id of a tool group up to 0.6, where file search is called rag."""
    if "::" in tool:
        return tool
    return f"{_BUILTIN}{'rag' if tool == 'file_search' else tool}"
