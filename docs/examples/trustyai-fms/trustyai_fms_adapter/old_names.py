# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The names by which the published package imports the server's classes.

Since 0.4 they are in ``llama_stack_api``, and two messages and what described an adapter are gone.
"""

import contextlib
import importlib.util
import sys
from types import ModuleType

_MODULES = (
    "llama_stack.apis",
    "llama_stack.apis.inference",
    "llama_stack.apis.resource",
    "llama_stack.apis.safety",
    "llama_stack.apis.shields",
    "llama_stack.providers.datatypes",
    "llama_stack.schema_utils",
)
IN_NEW_SERVER = importlib.util.find_spec("llama_stack_api") is not None
"""Whether the names have to be given; servers of 0.2 have them."""


class _Gone:
    """In place of a class that the server has no more."""

    def __init__(self, content):
        self.content = content


_GONE = dict.fromkeys(("AdapterSpec", "CompletionMessage", "Message", "remote_provider_spec"), _Gone)


@contextlib.contextmanager
def old_names():
    """While it is entered, the published package can be imported in servers of 0.7, too."""
    if not IN_NEW_SERVER:
        yield
        return
    import llama_stack_api

    for name in _MODULES:
        module = ModuleType(name)
        vars(module).update({**_GONE, **vars(llama_stack_api), "__name__": name, "__path__": []})
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in _MODULES:
            del sys.modules[name]
