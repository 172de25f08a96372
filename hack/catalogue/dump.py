# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What an installed server says of its providers, as JSON: runs in the server's own interpreter.

Needs nothing of this repository and nothing but the server, so that it can be piped into an
interpreter wherever that lives (``python -m hack.catalogue`` does that):

    python - < hack/catalogue/dump.py

The server's registry names the class of each provider's config, and the class is the only truth
about its keys. It can be imported without what the provider itself imports: a package that is not
installed is replaced by a stub, one at a time, and only when an import stopped at it. So the output
does not depend on what else is installed. Shape:

    {package, version,
     apis: {api: {type: {fields: {key: {types, required}},
                         names: keys that stand for one of these,
                         unknown: "ignored" | "kept" | "refused",
                         needs, deprecated, refused}}}}
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any, get_args
from unittest.mock import MagicMock

SERVERS = {"llama-stack": "llama_stack", "ogx": "ogx"}
"""Distribution → package. They are the same program under its old name and its new one."""

UNKNOWN = {None: "ignored", "ignore": "ignored", "allow": "kept", "forbid": "refused"}
"""What the server does with a key that a config class does not have, by pydantic's ``extra``."""


class _Stub(types.ModuleType):
    """Stands for a module that is not installed; has whatever is imported from it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # it is a package: anything can be imported from below it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=name)


class _Stubs(MetaPathFinder, Loader):
    """Finds the packages that were allowed to be missing."""

    def __init__(self) -> None:
        self.allowed: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """A stub, for a package that an import stopped at."""
        if fullname.partition(".")[0] not in self.allowed:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """The stub itself."""
        return _Stub(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: there is no code."""


def load(qualified: str, stubs: _Stubs, own: tuple[str, ...]) -> Any:
    """A class by its full name, over all missing packages.

    Raises:
        ModuleNotFoundError: what is missing is the server's own, or a stub did not help.
    """
    module, _, name = qualified.rpartition(".")
    while True:
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if not missing or missing in stubs.allowed or missing in own:
                raise
            stubs.allowed.add(missing)


def fields(config: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The keys of a config class, and further names that it takes for them."""
    found: dict[str, dict[str, Any]] = {}
    further: list[str] = []
    by_name = config.model_config.get("populate_by_name") or config.model_config.get(
        "validate_by_name"
    )
    for name, field in config.model_fields.items():
        # One name or a choice of them, of which the first is the one that the server writes.
        alias = field.validation_alias or field.alias or name
        key, *others = getattr(alias, "choices", [alias])
        further += [*others, name] if by_name and key != name else others
        types = sorted(set(_names(field.annotation)))
        found[key] = {"types": types, "required": field.is_required()}
    return found, sorted(further)


def _names(annotation: Any) -> Iterator[str]:
    """The plain types in an annotation: ``SecretStr | None`` is SecretStr and None.

    What is inside a dict or a list says nothing about the key itself, so it stays there.
    """
    origin = getattr(annotation, "__origin__", None)
    if isinstance(origin, type):
        yield origin.__name__
    elif inner := get_args(annotation):
        for one in inner:
            yield from _names(one)
    elif annotation is None or annotation is types.NoneType:
        yield "None"
    else:
        yield getattr(annotation, "__name__", "other")


def describe(spec: Any, stubs: _Stubs, own: tuple[str, ...]) -> dict[str, Any]:
    """One entry of the registry."""
    config = load(spec.config_class, stubs, own)
    keys, further = fields(config)
    return {
        "fields": keys,
        "names": further,
        "unknown": UNKNOWN[config.model_config.get("extra")],
        "needs": sorted(api.value for api in spec.api_dependencies),
        "deprecated": spec.deprecation_warning,
        "refused": spec.deprecation_error,
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def dump() -> dict[str, Any]:
    """Everything, of the one server that is installed.

    Raises:
        SystemExit: there is none.
    """
    installed = [name for name in SERVERS if _version(name)]
    if not installed:
        raise SystemExit(f"error: {sys.executable} has no {' and no '.join(SERVERS)}")
    distribution = installed[0]
    package = SERVERS[distribution]
    stubs = _Stubs()
    sys.meta_path.append(stubs)
    own = (package, f"{package}_api")
    registry = importlib.import_module(f"{package}.core.distribution").get_provider_registry()
    logging.disable(logging.CRITICAL)
    apis = {
        api.value: {name: describe(spec, stubs, own) for name, spec in sorted(specs.items())}
        for api, specs in sorted(registry.items(), key=lambda item: item[0].value)
    }
    return {"package": distribution, "version": _version(distribution), "apis": apis}


def main() -> None:
    """Writes the dump, and nothing else, to standard output."""
    # A server that greets or logs while it is imported must not spoil the JSON.
    output, sys.stdout = sys.stdout, sys.stderr
    output.write(json.dumps(dump(), indent=1) + "\n")


if __name__ == "__main__":
    main()
