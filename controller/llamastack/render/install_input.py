# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a pod gets to install external providers from: files of a ConfigMap of ours.

One a provider, with what the resource says of it, one about the base configuration, and the two
programs that run in images of others. They are beside the generated configuration, if there is one,
in the same immutable ConfigMap (R-D3): other content is another name, so it rolls the pods, and a
pod that restarts in the middle of a rollout installs what it was made for.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import orjson

from api.external_apis import API_OF_SECTION
from configs.external import paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from configs.installs import Install
    from controller.llamastack.render.inputs import Inputs

_SORTED: Final = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2


def files(inputs: Inputs) -> dict[str, str]:
    """Name → content; nothing without external providers.

    Args:
        inputs: of the children. A section that the server's era has no API for is refused before.
    """
    installs, generated = inputs.installs, inputs.generated
    if not installs:
        return {}
    found = {name: _script(name) for name in paths.SCRIPTS}
    found[paths.BASE_INPUT] = _json({"source": generated.source})
    for name, install in zip(_entries(installs), installs, strict=True):
        provider = install.provider
        entry: dict[str, Any] = {
            "providerId": provider.provider_id,
            "api": install.api(generated.era, generated.spelling)
            or API_OF_SECTION[install.section],
            "section": install.section,
            "index": install.index,
            "image": provider.image,
            "initContainerName": install.container,
        }
        if provider.config is not None:
            entry["config"] = provider.config
        found[name] = _json(entry)
    return found


def names(inputs: Inputs) -> list[str]:
    """The names of the files, sorted, of a resource with external providers."""
    return sorted([*paths.SCRIPTS, paths.BASE_INPUT, *_entries(inputs.installs)])


def _entries(installs: Sequence[Install]) -> list[str]:
    """The files of the providers, in their order."""
    return [
        paths.entry_input(number, install.provider.provider_id)
        for number, install in enumerate(installs)
    ]


def digest(content: Mapping[str, str]) -> str:
    """Of the content of a ConfigMap, sha256 in hex."""
    return hashlib.sha256(orjson.dumps(dict(content), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _json(value: Any) -> str:
    return orjson.dumps(value, option=_SORTED | orjson.OPT_APPEND_NEWLINE).decode()


@functools.cache
def _script(name: str) -> str:
    return resources.files("configs.external").joinpath("inside", name).read_text(encoding="utf-8")
