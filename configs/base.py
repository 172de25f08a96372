# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Base configs: what a distribution's server runs with before the user's part is merged in.

There is one for every name in distributions.json (FR-027a), embedded, so that a cluster without a
way to the outside gets the same config. Another source (labels of an image) is another
``BaseConfigSource``; the engine does not know where a base came from, only its era and version.

Whoever wrote a base, the engine relies on its form: ``read_base`` is the one place that checks it.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Protocol

from api.errors import FieldError
from api.v1alpha2 import ConfigSource, Reason
from configs import detection, scalars, yaml_reader
from configs.distributions import Resolved
from configs.eras import Era
from configs.errors import ConfigError

SUPPORTED_VERSIONS: Final = (2,)
_QUOTED: Final = re.compile(r"\s*[-+]?[0-9]{1,9}\s*")
"""Values of ``version`` that are read (FR-029). All eras write 2; the era differs (R-D5a)."""

_PATH: Final = "spec.distribution"
_MAY_BE_NULL: Final = frozenset({"vector_stores", "safety"})
"""Sections for which the server takes null for absent."""
_SHOWN: Final = 3
"""Marks of an old config that a message shows."""


@dataclass(frozen=True, slots=True)
class BaseConfig:
    """A base config.

    Attributes:
        era: the generation of its schema.
        version: its ``version``.
        data: the config, in the form that ``read_base`` checks. Shared: never change it.
        source: where it came from.
        digest: full sha256 of its text, in hex.
    """

    era: Era
    version: int
    data: Mapping[str, Any]
    source: ConfigSource
    digest: str


class BaseConfigSource(Protocol):
    """Finds the base config of a distribution."""

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        """The base config; None if this source has none for the image.

        Raises:
            ConfigError: there is one, but it cannot be used.
        """
        ...


class EmbeddedBaseConfigs:
    """The base configs that the operator brings."""

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        """The base config that distributions.json names."""
        if resolved.base is None or resolved.era is None:
            return None
        return _embedded(resolved.base, resolved.era)


@functools.cache
def _embedded(file: str, era: Era) -> BaseConfig:
    text = resources.files("configs").joinpath(f"data/base/{file}").read_bytes()
    return read_base(text, source=ConfigSource.EMBEDDED, era=era)


def read_base(text: str | bytes, *, source: ConfigSource, era: Era | None = None) -> BaseConfig:
    """Reads and checks a base config.

    Args:
        text: a config.yaml.
        source: where it came from.
        era: its era; None to tell it by the shape.

    Raises:
        ConfigError: not YAML, not a config (ConfigGenerationFailed), or of a version or an era
            that is not supported (UnsupportedConfigVersion).
    """
    try:
        data = yaml_reader.load(text, resolve=scalars.resolve_as_server)
    except yaml_reader.YamlError as error:
        raise _unusable(f"the base config cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise _unusable("the base config is not a mapping")
    version = _version(data)
    for problem in _problems(data):
        raise _unusable(f"the base config cannot be used: {problem}")
    raw = text if isinstance(text, bytes) else text.encode()
    digest = hashlib.sha256(raw).hexdigest()
    return BaseConfig(era or _era(data), version, data, source, digest)


def _era(data: Mapping[str, Any]) -> Era:
    """The era by the shape, which is also what tells a config too old to be read."""
    seen = detection.outdated(data)
    if seen:
        shown = "; ".join(seen[:_SHOWN]) + ("; …" if len(seen) > _SHOWN else "")
        message = f"the base config is of a server before 0.4: it has {shown}"
        error = FieldError(_PATH, message, detection.SUPPORTED)
        raise ConfigError(Reason.UNSUPPORTED_CONFIG_VERSION, (error,))
    return detection.detect(data)


def version_of(data: Mapping[str, Any]) -> int | None:
    """The version of a config as the server reads it (R-D21).

    It takes a quoted number for a number, and a config without one for one of its own version.
    """
    version = data.get("version", SUPPORTED_VERSIONS[-1])
    if isinstance(version, str) and _QUOTED.fullmatch(version):
        return int(version)
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def shown_version(data: Mapping[str, Any]) -> str:
    """What stands there, for a message."""
    version = data.get("version")
    return "(none)" if version is None else str(version)[:40]


def _version(data: Mapping[str, Any]) -> int:
    version = version_of(data)
    if version in SUPPORTED_VERSIONS:
        return version
    supported = ", ".join(map(str, SUPPORTED_VERSIONS))
    shown = shown_version(data)
    message = f"Unsupported config.yaml version {shown}. Supported versions: {supported}"
    raise ConfigError(Reason.UNSUPPORTED_CONFIG_VERSION, (FieldError(_PATH, message),))


def _problems(data: Mapping[str, Any]) -> list[str]:
    """What keeps the engine from working with a config; keys that it does not touch are free."""
    found = []
    for key, of in (("apis", str), ("providers", list), ("registered_resources", list)):
        value = data.get(key, [] if key == "apis" else {})
        items = value.values() if isinstance(value, dict) else value
        if not isinstance(value, list if key == "apis" else dict) or not all(
            isinstance(item, of) for item in items
        ):
            found.append(f"{key} has another form than the server reads")
    if found:
        return found
    for api, entries in data.get("providers", {}).items():
        found.extend(f"providers.{api}: {text}" for text in map(_provider_problem, entries) if text)
    for kind, entries in data.get("registered_resources", {}).items():
        if not all(isinstance(entry, dict) for entry in entries):
            found.append(f"registered_resources.{kind} must be a list of mappings")
    found.extend(_nested_problems(data))
    return found


def _provider_problem(entry: object) -> str:
    if not isinstance(entry, dict):
        return "an entry is not a mapping"
    if not all(isinstance(entry.get(key), str) for key in ("provider_id", "provider_type")):
        return "an entry lacks provider_id or provider_type"
    return "" if isinstance(entry.get("config", {}), dict) else "a config is not a mapping"


def _nested_problems(data: Mapping[str, Any]) -> list[str]:
    found = [
        f"{key} must be a mapping"
        for key in ("storage", "server", "vector_stores", "safety")
        if not isinstance(data.get(key, {}), dict)
        and not (key in _MAY_BE_NULL and data[key] is None)
    ]
    storage = data.get("storage", {})
    for key in ("backends", "stores"):
        entries = storage.get(key, {}) if isinstance(storage, dict) else {}
        if not isinstance(entries, dict) or not all(
            isinstance(entry, dict) for entry in entries.values()
        ):
            found.append(f"storage.{key} must be a mapping of mappings")
    return found


def _unusable(message: str) -> ConfigError:
    return ConfigError(Reason.CONFIG_GENERATION_FAILED, (FieldError(_PATH, message),))
