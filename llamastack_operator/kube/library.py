# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The loaders of credentials of kubernetes_asyncio, without its classes of API objects.

Whichever part of that library one imports, its packages import a class for every kind of object
that Kubernetes has: 860 modules, 35 MiB and a quarter of a second, of which the loaders use three
modules. So empty packages stand in for the two that do it while the loaders are imported, and are
taken away again: who imports the library afterwards gets all of it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARY = "kubernetes_asyncio"
_CLIENT = f"{_LIBRARY}.client"
_CONFIG = f"{_LIBRARY}.config"


@dataclass(frozen=True, slots=True)
class Loaders:
    """What is used of the library.

    Attributes:
        configuration: class of what the loaders fill.
        in_cluster: loads the service account of the pod.
        kubeconfig: coroutine function; loads kubeconfig files.
    """

    configuration: Any
    in_cluster: Any
    kubeconfig: Any


@functools.cache
def loaders() -> Loaders:
    """The loaders; imported when they are first asked for."""
    try:
        with _stand_ins() as client:
            module: Any = importlib.import_module(f"{_CLIENT}.configuration")
            client.Configuration = module.Configuration
            client.ApiClient = None  # named by a loader of clients, which is not used
            config: Any = importlib.import_module(_CONFIG)
    except (ImportError, AttributeError):  # a release that is built otherwise
        module, config = (importlib.import_module(name) for name in (_CLIENT, _CONFIG))
    return Loaders(module.Configuration, config.load_incluster_config, config.load_kube_config)


@contextlib.contextmanager
def _stand_ins() -> Iterator[Any]:
    """Empty packages in the place of those that import everything; yields that of the client.

    Raises:
        ImportError: there is no such library.
    """
    found = importlib.util.find_spec(_LIBRARY)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"{_LIBRARY} is not installed")
    before = _take_away()
    for name in (_LIBRARY, _CLIENT):
        parts = name.split(".")[1:]
        package = ModuleType(name)
        package.__path__ = [str(Path(place, *parts)) for place in found.submodule_search_locations]
        sys.modules[name] = package
    try:
        yield sys.modules[_CLIENT]
    finally:
        _take_away()
        sys.modules.update(before)


def _take_away() -> dict[str, ModuleType]:
    """The modules of the library that are loaded, which are not any more."""
    names = [name for name in sys.modules if name.partition(".")[0] == _LIBRARY]
    return {name: sys.modules.pop(name) for name in names}
