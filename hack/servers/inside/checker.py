# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Inside a server's environment: checks configs with the server's own classes and functions.

Started by ``validator`` as ``python checker.py MODULE``, where MODULE is ``llama_stack`` or
``ogx``. Each line of standard input is a question in JSON, each line of standard output its answer.

What the server itself does when it starts is done with its own code as far as nothing is created:
substitution of the environment, parsing, the registry of providers, the order in which they are
resolved (``core.resolver``), the classes of their configs. Beyond that, keys are compared with the
fields of those classes, because pydantic ignores what it does not know.
"""

from __future__ import annotations

import collections
import copy
import importlib
import json
import logging
import os
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

DISABLED = "__disabled__"


class Server:
    """The server's modules."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.own = (module, f"{module}_api")
        self.stack: Any = importlib.import_module(f"{module}.core.stack")
        self.types: Any = importlib.import_module(f"{module}.core.datatypes")
        self.distribution: Any = importlib.import_module(f"{module}.core.distribution")
        self.resolver: Any = importlib.import_module(f"{module}.core.resolver")
        self.configure: Any = importlib.import_module(f"{module}.core.configure")
        self.storage: Any = importlib.import_module(f"{module}.core.storage.datatypes")
        self.log: Any = importlib.import_module(f"{module}.log")
        self.yaml: Any = importlib.import_module("yaml")
        self.pydantic: Any = importlib.import_module("pydantic")
        # Beside this file; the environment knows none of our packages.
        self.absentees: Any = importlib.import_module("absentees").Absentees()
        sys.meta_path.append(self.absentees)

    def config_class(self, spec: Any) -> Any:
        """The class of a provider's config."""
        return self.absentees.load_class(spec.config_class, self.own)


class Keys:
    """Finds the keys of a document that no class knows."""

    def __init__(self, server: Server) -> None:
        self._model = server.pydantic.BaseModel
        self.ignored: list[str] = []

    def look(self, value: Any, annotation: Any, where: str) -> None:
        """Compare a value with the type that it will be parsed into."""
        kinds = list(_plain(annotation))
        if isinstance(value, dict):
            self._look_into_map(value, kinds, where)
        elif isinstance(value, list):
            inner = [a for k in kinds if typing.get_origin(k) is list for a in typing.get_args(k)]
            if inner:
                for index, item in enumerate(value):
                    self.look(item, typing.Union[tuple(inner)], f"{where}[{index}]")  # noqa: UP007

    def look_into_model(self, value: dict[str, Any], model: Any, where: str) -> None:
        """Compare a map with one class."""
        self._look_into_models(value, [model], where)

    def _look_into_map(self, value: dict[str, Any], kinds: list[Any], where: str) -> None:
        for kind in kinds:
            arguments = typing.get_args(kind)
            if kind is dict or typing.get_origin(kind) is dict:
                if len(arguments) == 2:
                    for name, item in value.items():
                        self.look(item, arguments[1], f"{where}.{name}")
                return
        models = [k for k in kinds if isinstance(k, type) and issubclass(k, self._model)]
        if models:
            self._look_into_models(value, models, where)

    def _look_into_models(self, value: dict[str, Any], models: list[Any], where: str) -> None:
        if "type" in value:  # the one that a discriminated union would choose
            fits = [model for model in models if value["type"] in _types_of(model)]
            models = fits or models
        if any(model.model_config.get("extra") in {"allow", "forbid"} for model in models):
            return  # kept, or an error of its own
        fields: dict[str, Any] = {}
        for model in models:
            fields |= _fields(model)
        for name, item in value.items():
            path = f"{where}.{name}" if where else str(name)
            if name in fields:
                self.look(item, fields[name].annotation, path)
            else:
                self.ignored.append(path)


def _plain(annotation: Any) -> Iterator[Any]:
    """The members of a union, without Annotated."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _plain(typing.get_args(annotation)[0])
    elif origin in {typing.Union, types.UnionType}:
        for member in typing.get_args(annotation):
            yield from _plain(member)
    else:
        yield annotation


def _types_of(model: Any) -> tuple[Any, ...]:
    """The values of a class's discriminator."""
    field = model.model_fields.get("type")
    if field is None:
        return ()
    values = [field.default, *typing.get_args(field.annotation)]
    return tuple(getattr(value, "value", value) for value in values)


def _fields(model: Any) -> dict[str, Any]:
    """A class's fields by every key that it takes for them."""
    by_name = any(model.model_config.get(k) for k in ("populate_by_name", "validate_by_name"))
    keys: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        aliases = getattr(field.validation_alias, "choices", [field.validation_alias, field.alias])
        names = [alias for alias in aliases if isinstance(alias, str)]
        for key in names if names and not by_name else [*names, name]:
            keys[key] = field
    return keys


class Check:
    """One config: everything that is wrong with it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._keys = Keys(server)
        self.errors: list[str] = []
        self.missing: list[str] = []
        self.duplicates: list[str] = []
        self.notes: list[str] = []

    def run(self, text: str) -> dict[str, list[str]]:
        """The answer."""
        try:
            raw = self._server.yaml.safe_load(text)
        except self._server.yaml.YAMLError as error:
            self.errors.append(f"not YAML: {' '.join(str(error).split())}")
            return self._answer()
        if not isinstance(raw, dict):
            self.errors.append("not a map")
            return self._answer()
        try:
            resolved = self._server.stack.replace_env_vars(copy.deepcopy(raw))
        except Exception as error:  # noqa: BLE001 - whatever it is, the server dies of it
            self.errors.append(_said(error))
            self._look_at_keys(raw)
            return self._answer()
        self._look_at_keys(resolved)
        config = self._parse(raw)
        if config is not None:
            self._look_at_providers(config, resolved)
        return self._answer()

    def _answer(self) -> dict[str, list[str]]:
        return {
            "errors": self.errors,
            "ignored": self._keys.ignored,
            "missing": self.missing,
            "duplicates": self.duplicates,
            "notes": self.notes,
        }

    def _look_at_keys(self, document: dict[str, Any]) -> None:
        document = dict(document)
        # Read by the server though it is no field of the class.
        logging_config = document.pop("logging_config", None)
        if isinstance(logging_config, dict):
            self._keys.look_into_model(
                logging_config, self._server.log.LoggingConfig, "logging_config"
            )
        self._keys.look_into_model(document, self._server.types.StackConfig, "")

    def _parse(self, raw: dict[str, Any]) -> Any:
        try:
            return self._server.configure.parse_and_maybe_upgrade_config(copy.deepcopy(raw))
        except self._server.pydantic.ValidationError as error:
            self.errors += _problems(error, "")
        except Exception as error:  # noqa: BLE001 - whatever it is, the server dies of it
            self.errors.append(_said(error))
        return None

    def _look_at_providers(self, config: Any, document: dict[str, Any]) -> None:
        server = self._server
        for place, reference in _references(server, config.storage.stores, "storage.stores"):
            self._check_reference(config, place, reference)
        try:
            registry = server.distribution.get_provider_registry(config)
        except Exception as error:  # noqa: BLE001 - an external provider may raise anything
            self.errors.append(_said(error))
            return
        routed = server.distribution.builtin_automatically_routed_apis()
        by_api = {api.value: specs for api, specs in registry.items()}
        for api, providers in config.providers.items():
            seen: collections.Counter[str] = collections.Counter()
            for provider in providers:
                if not provider.provider_id or provider.provider_id == DISABLED:
                    self.notes.append(f"providers.{api}: a provider is disabled")
                    continue
                seen[provider.provider_id] += 1
                spec = by_api.get(api, {}).get(provider.provider_type)
                if spec is not None:
                    place = f"providers.{api}[{provider.provider_id}]"
                    self._look_at_provider(config, provider, spec, place)
            self.duplicates += [f"providers.{api}[{i}]" for i, times in seen.items() if times > 1]
        available = self._resolve(config, registry, routed)
        if available is not None:
            # As written: a class may drop a list that it takes.
            written = document.get("registered_resources") or {}
            self._look_at_resources(config, written, available, routed)

    def _look_at_provider(self, config: Any, provider: Any, spec: Any, place: str) -> None:
        if spec.deprecation_warning:
            self.notes.append(f"{place}: deprecated: {spec.deprecation_warning}")
        try:
            model = self._server.config_class(spec)
        except Exception as error:  # noqa: BLE001 - a third party's module may raise anything
            self.notes.append(f"{place}: its config cannot be checked: {_said(error)}")
            return
        if hasattr(model, "model_fields"):
            self._keys.look_into_model(provider.config, model, f"{place}.config")
        try:
            instance = model(**provider.config)
        except self._server.pydantic.ValidationError as error:
            self.errors += _problems(error, f"{place}.config")
        except Exception as error:  # noqa: BLE001 - whatever it is, the server dies of it
            self.errors.append(f"{place}.config: {_said(error)}")
        else:
            for where, reference in _references(self._server, instance, f"{place}.config"):
                self._check_reference(config, where, reference)

    def _check_reference(self, config: Any, place: str, reference: Any) -> None:
        family = "kv_" if isinstance(reference, self._server.storage.KVStoreReference) else "sql_"
        backend = config.storage.backends.get(reference.backend)
        if backend is None:
            self.errors.append(f"{place}: unknown backend {reference.backend!r}")
        elif not backend.type.value.startswith(family):
            has = backend.type.value
            self.errors.append(f"{place}: backend {reference.backend!r} is {has}, not {family}*")

    def _resolve(self, config: Any, registry: Any, routed: Any) -> set[str] | None:
        """The APIs that there will be, by the server's own resolver; None if it refuses."""
        resolver = self._server.resolver
        tables = {info.routing_table_api for info in routed}
        routers = {info.router_api for info in routed}
        try:
            specs = resolver.validate_and_prepare_providers(config, registry, tables, routers)
            everything = [*specs, *(api.value for api in [*tables, *routers])]
            wanted = config.apis or set(everything)
            specs.update(resolver.specs_for_autorouted_apis(wanted))
            resolver.sort_providers_by_deps(specs, config)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server dies of it
            self.errors.append(_said(error))
            return None
        internal = {api.value for api in getattr(self._server.distribution, "INTERNAL_APIS", ())}
        internal |= {"admin", "connectors", "conversations", "inspect", "prompts", "providers"}
        available = {api for api in specs if not api.startswith("inner-")} | internal
        for api in config.apis or []:
            self._check_api(api, available)
        for api, providers in specs.items():
            for identifier, provider in providers.items():
                needed = {dependency.value for dependency in provider.spec.api_dependencies}
                short = api.removeprefix("inner-")
                place = f"providers.{short}[{identifier}]"
                self.missing += [f"{place}: {name}" for name in sorted(needed - available)]
        return available

    def _check_api(self, api: str, available: set[str]) -> None:
        known = {item.value for item in self._server.distribution.stack_apis()}
        if api not in known:
            self.errors.append(f"apis: {api!r} does not exist")
        elif api not in available:
            self.errors.append(f"apis: {api!r} has no provider")

    def _look_at_resources(
        self, config: Any, written: dict[str, Any], available: set[str], routed: Any
    ) -> None:
        """Registered resources of which nobody takes notice, or whose provider is not there."""
        routers = {info.routing_table_api.value: info.router_api.value for info in routed}
        lists = {row[0]: row[1].value for row in self._server.stack.RESOURCES}
        for name in type(config.registered_resources).model_fields:
            if not written.get(name):
                continue
            if lists.get(name) not in available:
                self._keys.ignored.append(f"registered_resources.{name}")
                continue
            entries = getattr(config.registered_resources, name)
            providers = config.providers.get(routers[lists[name]], [])
            ids = {p.provider_id for p in providers} - {None, "", DISABLED}
            for index, entry in enumerate(entries):
                wanted = getattr(entry, "provider_id", None)
                place = f"registered_resources.{name}[{index}]"
                if wanted == DISABLED:
                    self.notes.append(f"{place}: disabled")
                elif wanted and wanted not in ids:
                    self.errors.append(f"{place}: provider {wanted!r} not found")


def _references(server: Server, value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """References to storage backends anywhere in a parsed config."""
    if isinstance(value, (server.storage.KVStoreReference, server.storage.SqlStoreReference)):
        yield place, value
    elif isinstance(value, server.pydantic.BaseModel):
        for name in type(value).model_fields:
            yield from _references(server, getattr(value, name), f"{place}.{name}")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _references(server, item, f"{place}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(server, item, f"{place}[{index}]")


def _problems(error: Any, place: str) -> list[str]:
    """What pydantic found; never a value, which may be a secret."""
    return [
        ".".join([*([place] if place else []), *(str(p) for p in problem["loc"])])
        + f": {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    ]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def answer(server: Server, question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question."""
    if question["op"] == "check":
        before = dict(os.environ)
        os.environ.update(question["env"])
        try:
            return Check(server).run(question["config"])
        finally:
            os.environ.clear()
            os.environ.update(before)
    return {"ready": True}


def main() -> None:
    """Answer until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    server = Server(sys.argv[1])
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        try:
            result = answer(server, json.loads(line))
        except Exception as error:  # noqa: BLE001 - the other side has to learn of it
            result = {"crash": _said(error)}
        out.write(json.dumps(result) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
