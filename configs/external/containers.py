# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The init containers of external providers, by name.

Whoever renders a pod, and whoever reads its status, asks here; so does whoever writes a message.
"""

from __future__ import annotations

import hashlib
from typing import Final

MERGE: Final = "merge-config"
"""Merges packages and configuration; the operator's image."""

PREFLIGHT: Final = "preflight"
"""Loads the providers once before the server does; the server's image."""

_INSTALL: Final = "install-provider-"
_MOST: Final = 63  # characters of a container's name
_DIGEST: Final = 8


def install(provider_id: str) -> str:
    """The container that installs a provider; a long id is cut and told apart by its digest."""
    name = f"{_INSTALL}{provider_id}"
    if len(name) <= _MOST:
        return name
    digest = hashlib.sha256(provider_id.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _MOST - _DIGEST - 1].rstrip('-')}-{digest}"


def is_ours(container: str) -> bool:
    """Whether an init container is one of these."""
    return container in {MERGE, PREFLIGHT} or container.startswith(_INSTALL)
