# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Shields that are registered when the server starts (FR-043).

A shield goes to the first safety provider. Llama Guard needs more than that: the shield's model,
as `<inference provider>/<model>`. The server does not check it; a shield without one fails on its
first use. So the model is looked for where a reader would look: in the shield's name, then among
the registered models, where "guard" in the name of exactly one is telling enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.v1alpha2 import Reason
from configs import references
from configs.draft import Config, Draft

NEED_PROVIDER: Final = "resources.shields requires at least one safety provider to be configured"

_PATH: Final = "spec.resources.shields"
_LLAMA_GUARD: Final = "inline::llama-guard"
_CODE_SCANNER: Final = "inline::code-scanner"
_SCANNER: Final = "code-scanner"
"""The provider's own name of its one shield. The server ends at any other (code_scanner.py)."""


def register(shields: Sequence[str], draft: Draft, *, models: Sequence[str]) -> None:
    """Adds shields to the config.

    Args:
        shields: Their names, from the spec.
        draft: The config.
        models: Registered models, as clients write them.
    """
    if not shields:
        return
    candidates = draft.candidates("safety")
    if not candidates:
        hint = "" if draft.era != "ogx" else "server ogx has no shields"
        reason = Reason.MISSING_PROVIDER_FOR_RESOURCE
        draft.findings.error(_PATH, NEED_PROVIDER, hint, reason=reason)
        return
    registered = draft.resources.setdefault("shields", [])
    for index, name in enumerate(shields):
        if any(_is_on(shield, name, draft) for shield in registered):
            continue  # the base has it, with what it needs
        registered[:] = [shield for shield in registered if shield.get("shield_id") != name]
        entry: Config = {"shield_id": name, "provider_id": candidates[0].provider_id}
        if candidates[0].provider_type == _LLAMA_GUARD:
            if model := _model(name, models, draft):
                entry["provider_shield_id"] = model
            else:
                draft.findings.warn(
                    f"{_PATH}[{index}]",
                    "names no model for Llama Guard, so its first use will fail",
                    "register a Llama Guard model in spec.resources.models, or write the shield as "
                    "<inference provider>/<model>",
                )
        elif candidates[0].provider_type == _CODE_SCANNER:
            entry["provider_shield_id"] = _SCANNER
        registered.append(entry)


def _is_on(shield: Config, name: str, draft: Draft) -> bool:
    provider = references.active(str(shield.get("provider_id", "")), draft.variables)
    return shield.get("shield_id") == name and provider is not None


def _model(shield: str, models: Sequence[str], draft: Draft) -> str | None:
    provider, slash, _ = shield.partition("/")
    if slash and any(item.provider_id == provider for item in draft.candidates("inference")):
        return shield
    for model in models:
        if shield in {model, model.partition("/")[2]}:
            return model
    guards = [model for model in models if "guard" in model.partition("/")[2].lower()]
    return guards[0] if len(guards) == 1 else None
