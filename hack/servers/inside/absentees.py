# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Inside a server's environment: imports a config class whose module wants what is not there.

A provider's module may import at its top what only running it needs. To know the keys of its
config, none of that has to work, so whatever is missing is replaced by something that has every
attribute. Used by ``checker``.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any
from unittest.mock import MagicMock


class Absent(types.ModuleType):
    """A package that is not installed and that a config class's module imports."""

    __path__: list[str] = []  # noqa: RUF012 - as Python itself has it for packages

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=name)


class Absentees(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets a provider's module be imported for its config class without what it will need to run.

    Only for names that were missing when they were asked for: what is installed is never hidden.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        del module

    def load_class(self, path: str, own: tuple[str, ...]) -> Any:
        """A class by its dotted path."""
        module, _, name = path.rpartition(".")
        while True:
            try:
                return getattr(importlib.import_module(module), name)
            except ModuleNotFoundError as error:
                top = (error.name or "").partition(".")[0]
                if not top or top in self.names or top.startswith(own):
                    raise
                self.names.add(top)
                for loaded in [m for m in sys.modules if m == module or m.startswith(f"{module}.")]:
                    del sys.modules[loaded]
