# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Providers and models, whose fields have other names in v1alpha1.

===================  ======================  =========================================
v1alpha1             v1alpha2                of a
===================  ======================  =========================================
``config``           ``settings``            provider
``region``           ``settings.region``     provider; wins over the same key of config
``deploymentName``   ``settings.…``          provider; likewise
``host``             ``secretRefs.host``     provider
``metadata.…``       two fields, see below   model
===================  ======================  =========================================

Everything else has one name in both versions, fields that nobody knows yet included. What has
another form (a model that is only a name, something that is no object at all) goes through as it
is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from api.conversion.places import ABSENT, get
from api.conversion.shared import common
from api.model import Json

Convert: TypeAlias = Callable[[Any], Any]

SETTINGS: Final = ("region", "deploymentName")
"""Settings that are fields of their own in v1alpha1."""

METADATA: Final = ("contextLength", "embeddingDimension")
"""Fields of a model that are in ``metadata`` in v1alpha1."""


_OLD_SECTIONS: Final = ("server", "providers")
_NEW_SECTIONS: Final = ("providers",)
_OLD_MODELS: Final = ("server", "resources", "models")
_NEW_MODELS: Final = ("resources", "models")


def sections(convert: Convert) -> Convert:
    """Convert every provider of every section."""

    def converted(providers: Any) -> Any:
        if not isinstance(providers, Mapping):
            return providers
        return {name: _each(section, convert) for name, section in providers.items()}

    return converted


def models(convert: Convert) -> Convert:
    """Convert every model of the resources."""

    def converted(resources: Any) -> Any:
        if not isinstance(resources, Mapping) or not isinstance(resources.get("models"), list):
            return resources
        return {**resources, "models": _each(resources["models"], convert)}

    return converted


def _each(section: Any, convert: Convert) -> Any:
    if isinstance(section, Mapping):
        return convert(section)
    if isinstance(section, list | tuple):
        return [convert(item) if isinstance(item, Mapping) else item for item in section]
    return section


def provider_up(item: Mapping[str, Any]) -> Json:
    """A provider of v1alpha1 in v1alpha2."""
    result = _others(item)
    settings = get(item, ("config",))
    named = {name: item[name] for name in SETTINGS if get(item, (name,)) is not ABSENT}
    if isinstance(settings, Mapping):
        result["settings"] = {**settings, **named}
    elif settings is not ABSENT:
        result["settings"] = settings
    elif named:
        result["settings"] = named
    if (host := get(item, ("host",))) is not ABSENT:
        result["secretRefs"] = {"host": host}
    return result


def provider_down(item: Mapping[str, Any]) -> Json:
    """A provider of v1alpha2 in v1alpha1, as far as v1alpha1 can say it."""
    result = _others(item)
    settings = get(item, ("settings",))
    if isinstance(settings, Mapping):
        named = {name: settings[name] for name in SETTINGS if _is_text(settings.get(name))}
        rest = {name: value for name, value in settings.items() if name not in named}
        if rest or not named:
            result["config"] = rest
        result |= named
    elif settings is not ABSENT:
        result["config"] = settings
    if (host := get(item, ("secretRefs", "host"))) is not ABSENT:
        result["host"] = host
    return result


def _is_text(value: Any) -> bool:
    """Whether a field of v1alpha1 may hold it: an empty one is refused there."""
    return isinstance(value, str) and value != ""


def _others(item: Mapping[str, Any]) -> Json:
    """What is the same in both. All sections have the same model."""
    return _given(common(item, (*_OLD_SECTIONS, "inference"), (*_NEW_SECTIONS, "inference")))


def model_up(item: Mapping[str, Any]) -> Json:
    """A model of v1alpha1 in v1alpha2."""
    result = _given(common(item, _OLD_MODELS, _NEW_MODELS))
    for name in METADATA:
        if (value := get(item, ("metadata", name))) is not ABSENT:
            result[name] = value
    return result


def model_down(item: Mapping[str, Any]) -> Json:
    """A model of v1alpha2 in v1alpha1, as far as v1alpha1 can say it."""
    result = _given(common(item, _OLD_MODELS, _NEW_MODELS))
    metadata = {name: item[name] for name in METADATA if get(item, (name,)) is not ABSENT}
    if metadata:
        result["metadata"] = metadata
    return result


def _given(item: Json) -> Json:
    return {key: value for key, value in item.items() if value is not None}
