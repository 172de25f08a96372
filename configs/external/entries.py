# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the resource says of its external providers, as the merge gets it.

The operator writes one file a provider into a ConfigMap, with two digits at the beginning of its
name that say its place in the order of the resource. They are trusted, and still checked: an id is
part of a path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from api.external_apis import API_OF_SECTION, MAX_PROVIDER_ID, PROVIDER_ID
from configs.external import paths
from configs.external.failures import Provider

_FILE = re.compile(rf"[0-9]{{2}}-({PROVIDER_ID})\.json")
_TEXTS: Final = ("providerId", "api", "section", "image", "initContainerName")
_CONFIG_MAP: Final = "override"


@dataclass(frozen=True, slots=True)
class Entry:
    """An external provider of the resource.

    Attributes:
        provider: its id, image and init container.
        api: name of its API in the configuration that runs.
        section: of the resource that it is in.
        index: in the section.
        config: its configuration; ``None`` if the resource has none. May be secret: never shown.
    """

    provider: Provider
    api: str
    section: str
    index: int
    config: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """Where in the external providers of the resource it is."""
        return f"{self.section}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Input:
    """What the operator wrote.

    Attributes:
        entries: the providers, in the order of the resource.
        base: who wrote the base configuration, which decides how an override is told.
    """

    entries: tuple[Entry, ...]
    base: Literal["generated", "config-map"]


class InputError(ValueError):
    """A file is not what the operator writes. Says which, and nothing of its content."""


def is_input(name: str) -> bool:
    """Whether a file of that name is read."""
    return name == paths.BASE_INPUT or _FILE.fullmatch(name) is not None


def read(files: Mapping[str, bytes]) -> Input:
    """The providers, and what the base is.

    Args:
        files: content by name; those that are no input are left alone.

    Raises:
        InputError: a file cannot be read.
    """
    entries = tuple(_entry(name, files[name]) for name in sorted(files) if _FILE.fullmatch(name))
    base = _object(paths.BASE_INPUT, files.get(paths.BASE_INPUT, b"{}"))
    overridden = base.get("source") == _CONFIG_MAP
    return Input(entries, "config-map" if overridden else "generated")


def _entry(name: str, raw: bytes) -> Entry:
    data = _object(name, raw)
    for key in _TEXTS:
        if not isinstance(data.get(key), str) or not data[key]:
            msg = f"{name}: {key} must be a string"
            raise InputError(msg)
    match = _FILE.fullmatch(name)
    if match is None or match[1] != data["providerId"] or len(match[1]) > MAX_PROVIDER_ID:
        msg = f"{name}: providerId is not the one of the file's name"
        raise InputError(msg)
    if data["section"] not in API_OF_SECTION:
        msg = f"{name}: section is not one of {', '.join(API_OF_SECTION)}"
        raise InputError(msg)
    index, config = data.get("index"), data.get("config")
    if not isinstance(index, int) or isinstance(index, bool):
        msg = f"{name}: index must be an integer"
        raise InputError(msg)
    if config is not None and not isinstance(config, dict):
        msg = f"{name}: config must be an object"
        raise InputError(msg)
    provider = Provider(data["providerId"], data["image"], data["initContainerName"])
    return Entry(provider, data["api"], data["section"], index, config)


def _object(name: str, raw: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        # The text of the error of a decoder quotes what it decodes: its line has to do.
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        msg = f"{name}: not JSON{where}"
        raise InputError(msg) from None
    if not isinstance(data, dict):
        msg = f"{name}: must be an object"
        raise InputError(msg)
    return data
