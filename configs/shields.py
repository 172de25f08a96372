# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Shields that are registered when the server starts (FR-043).

A shield goes to the first safety provider. Llama Guard needs more than that: the shield's model,
as ``<inference provider>/<model>``. The server does not check it; a shield without one fails on its
first use. So the model is looked for where a reader would look: in the shield's name, then among
the registered models, where "guard" in the name of exactly one is telling enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        shields: their names, from the spec.
        draft: the config.
        models: registered models, as clients write them.
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
    on = {shield.get("shield_id") for shield in registered if _is_on(shield, draft)}
    off = {shield.get("shield_id") for shield in registered} - on
    model_of = _models_by_shield(models)
    for index, name in enumerate(shields):
        if name in on:
            continue  # the base has it, with what it needs
        if name in off:
            registered[:] = [shield for shield in registered if shield.get("shield_id") != name]
        on.add(name)
        entry: Config = {"shield_id": name, "provider_id": candidates[0].provider_id}
        if candidates[0].provider_type == _LLAMA_GUARD:
            if model := _model(name, model_of, draft):
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


def _is_on(shield: Config, draft: Draft) -> bool:
    return references.active(str(shield.get("provider_id", "")), draft.variables) is not None


_ANY: Final = ""
"""Stands for every shield that no model is named after; no shield is called so."""


def _models_by_shield(models: Sequence[str]) -> Mapping[str, str]:
    """The model by the names that a shield of it may have; made once, lists may be long."""
    found: dict[str, str] = {}
    for model in models:
        found.setdefault(model, model)
        found.setdefault(model.partition("/")[2], model)
    found.pop(_ANY, None)
    guards = [model for model in models if "guard" in model.partition("/")[2].lower()]
    return found if len(guards) != 1 else {**found, _ANY: guards[0]}


def _model(shield: str, model_of: Mapping[str, str], draft: Draft) -> str | None:
    provider, slash, _ = shield.partition("/")
    if slash and any(item.provider_id == provider for item in draft.candidates("inference")):
        return shield
    return model_of.get(shield) or model_of.get(_ANY)
