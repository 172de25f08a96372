# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Inside a server's environment: every provider that the release has, and the keys of its config.

Imported by `checker`, whose `Server` it is given. The result has the shape
``{package, version, all_apis, routing_table_apis, apis: {api: {provider_type: {…}}}}``, where a
provider has ``kind`` (remote or inline), ``config_class``, ``config_fields`` (key → type, required,
default), ``unknown_keys`` (ignored, kept or error), ``sample_config``, ``pip_packages``,
``api_dependencies`` and so on; whatever is absent or empty there, is not said.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from typing import Any

_EXTRA = {"forbid": "error", "allow": "kept", "ignore": "ignored", None: "ignored"}
_QUALIFIED = re.compile(r"\b(?:[a-z_]\w*\.)+(?=\w)")
_SHOWN_CLASS = re.compile(r"<(?:enum|class) '(?:[\w.]*\.)?(\w+)'>")
_INDEX = re.compile(r"(index-url|find-links)\s+\S+")


def catalogue(server: Any) -> dict[str, Any]:
    """The catalogue of the installed release."""
    distribution = server.distribution
    registry = distribution.get_provider_registry()
    package = server.module.replace("_", "-")
    return {
        "package": server.module,
        "version": importlib.metadata.version(package),
        "all_apis": [api.value for api in distribution.stack_apis()],
        "internal_apis": sorted(a.value for a in getattr(distribution, "INTERNAL_APIS", ())),
        "routing_table_apis": {
            info.routing_table_api.value: info.router_api.value
            for info in distribution.builtin_automatically_routed_apis()
        },
        "apis": {
            api.value: {kind: _provider(server, kind, spec) for kind, spec in sorted(specs.items())}
            for api, specs in sorted(registry.items(), key=lambda item: str(item[0].value))
        },
    }


def _provider(server: Any, kind: str, spec: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "kind": kind.partition("::")[0] if "::" in kind else "inline",
        "config_class": spec.config_class,
        "module": getattr(spec, "module", None),
    }
    try:
        entry |= _config(server.config_class(spec))
    except Exception as error:  # noqa: BLE001 - a third party's module may raise anything
        entry["error"] = f"{type(error).__name__}: {error}"
    for name, value in (
        ("deprecated", spec.deprecation_warning),
        ("deprecation_error", spec.deprecation_error),
        ("toolgroup_id", getattr(spec, "toolgroup_id", None)),
    ):
        if value:
            entry[name] = value
    entry["pip_packages"] = _without_addresses(list(spec.pip_packages))
    entry["api_dependencies"] = [api.value for api in spec.api_dependencies]
    entry["optional_api_dependencies"] = [api.value for api in spec.optional_api_dependencies]
    if validator := getattr(spec, "provider_data_validator", None):
        try:
            data = server.absentees.load_class(validator, server.own)
            entry["provider_data_keys"] = list(data.model_fields)
        except Exception as error:  # noqa: BLE001 - as above
            entry["provider_data_error"] = f"{type(error).__name__}: {error}"
    return entry


def _config(model: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "config_fields": _fields(model),
        "unknown_keys": _EXTRA[model.model_config.get("extra")],
    }
    try:
        sample = model.sample_run_config(__distro_dir__="DISTRO_DIR")
        entry["sample_config"] = _without_addresses(json.loads(json.dumps(sample, default=str)))
    except Exception as error:  # noqa: BLE001 - not every class can
        entry["sample_config_error"] = f"{type(error).__name__}: {error}"
    try:
        model()
        entry["empty_config_ok"] = True
    except Exception as error:  # noqa: BLE001 - validators raise what they like
        entry["empty_config_ok"] = False
        entry["empty_config_error"] = _reason(error)
    return entry


def _reason(error: Exception) -> str:
    if not hasattr(error, "errors"):
        return " ".join(str(error).split())
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)


def _fields(model: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias if isinstance(field.validation_alias, str) else None
        key = field.alias or alias or name
        entry: dict[str, Any] = {
            "type": _type(field.annotation),
            "required": bool(field.is_required()),
        }
        if not field.is_required():
            entry["default"] = _default(field)
        if key != name:
            entry["python_name"] = name
        if "SecretStr" in str(field.annotation):
            entry["secret"] = True
        if field.deprecated:
            entry["deprecated"] = True
        if field.exclude:
            entry["excluded_from_dump"] = True
        fields[key] = entry
    return fields


def _type(annotation: Any) -> str:
    plain = isinstance(annotation, type) and not getattr(annotation, "__args__", None)
    text = annotation.__name__ if plain else str(annotation)
    text = _SHOWN_CLASS.sub(r"\1", text)
    return _QUALIFIED.sub("", text).replace("NoneType", "None")


def _default(field: Any) -> Any:
    try:
        value = field.get_default(call_default_factory=True)
    except Exception as error:  # noqa: BLE001 - a factory may want what is not there
        return f"<computed: {type(error).__name__}>"
    if hasattr(value, "model_dump_json"):
        try:
            return json.loads(value.model_dump_json())
        except Exception:  # noqa: BLE001 - only a description is wanted
            return repr(value)
    try:
        json.dumps(value)
    except TypeError:
        return str(value)
    return value


def _without_addresses(value: Any) -> Any:
    """Where an index is, is no property of a provider."""
    if isinstance(value, str):
        return _INDEX.sub(r"\1 <INDEX>", value)
    if isinstance(value, list):
        return [_without_addresses(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_addresses(item) for key, item in value.items()}
    return value
