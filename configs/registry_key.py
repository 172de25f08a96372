# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which registry a server gets (R-D16c): a new one when it would refuse to start on the old one.

The server writes every registered resource into its metadata store, never forgets one, and does
not start when one that is there comes with other fields ("already exists with conflicting field
values", core/store/registry.py of the server). So the registries of a resource are numbered, the
number is part of the store's file name or namespace, and the next one is begun when, and only when,
something that this registry may know is registered with other fields. Resources that come and go do
not change it. A number is never used twice, so no registry of the past is ever met again; what it
costs is that everything registered through the API at run time is forgotten.

What a registry knows is remembered as a ``RegistryState``: an input of the engine like the spec, so
that the same input still gives the same bytes, and an output, to be given back the next time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

MAX_BYTES: Final = 32 * 1024
"""Of a state as text. It is kept in an annotation; an object has room for 256 KiB of those."""

TOO_MANY: Final = "more resources than the operator remembers one by one"
"""Takes the place of the resources when they do not fit: any change of any of them counts then."""

_DIGEST_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class Registration:
    """Something that the server writes into its registry when it starts.

    Attributes:
        identifier: kind and the server's identifier of it, for people, too: ``model vllm/llama``.
        digest: of the fields that the server compares; see ``digest``.
        listed_by: identifier of a registration whose presence means that the server may have
            registered this one by itself, and in another way; empty if there is no such thing.
    """

    identifier: str
    digest: str
    listed_by: str = ""


@dataclass(frozen=True, slots=True)
class RegistryState:
    """What one registry may know.

    Attributes:
        key: number of the registry, from 1.
        registered: identifier → digest of everything that was registered in it so far.
    """

    key: int = 1
    registered: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def suffix(self) -> str:
        """What makes names of this registry different from those of the others."""
        return "" if self.key == 1 else f"-{self.key}"

    def dump(self) -> str:
        """As text: the same for the same state."""
        data = {"key": self.key, "registered": dict(self.registered)}
        return json.dumps(data, sort_keys=True, separators=(",", ":"))


def load(text: str) -> RegistryState | None:
    """A state from its text; None if it is not one."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    key, registered = data.get("key"), data.get("registered")
    if not isinstance(key, int) or isinstance(key, bool) or key < 1:
        return None
    if not isinstance(registered, dict) or not all(isinstance(v, str) for v in registered.values()):
        return None
    return RegistryState(key, MappingProxyType(registered))


def latest(states: Iterable[RegistryState]) -> RegistryState | None:
    """What several records of one resource's registries say of the last one; None without any."""
    found = list(states)
    if not found:
        return None
    key = max(state.key for state in found)
    known: dict[str, str] = {}
    for state in found:
        if state.key == key:
            known |= state.registered
    return RegistryState(key, MappingProxyType(known))


def digest(value: Any) -> str:
    """A short hash of JSON data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


def next_state(
    previous: RegistryState | None, registrations: Iterable[Registration]
) -> tuple[RegistryState, tuple[str, ...]]:
    """The registry for a config.

    Args:
        previous: what the registry in use may know; None for a server that never ran.
        registrations: what the config registers.

    Returns:
        The state with the config in it, which gives itself when it is put in again; and what made
        a new registry necessary, sorted: nothing while the key stays.
    """
    wanted = {item.identifier: item for item in registrations}
    current = {name: item.digest for name, item in wanted.items()}
    if previous is None:
        return _fitting(1, current), ()
    known = previous.registered
    if TOO_MANY in known or _size(current) > MAX_BYTES:
        now = _fitting(previous.key, current)
        if now.registered == known:
            return now, ()
        return RegistryState(previous.key + 1, now.registered), (TOO_MANY,)
    changed = sorted(name for name, item in wanted.items() if _conflicts(item, known))
    merged = {**known, **current}
    if not changed and merged != known and _size(merged) > MAX_BYTES:
        changed = [TOO_MANY]
    if changed:
        return _fitting(previous.key + 1, current), tuple(changed)
    return RegistryState(previous.key, MappingProxyType(merged)), ()


def _conflicts(item: Registration, known: Mapping[str, str]) -> bool:
    if item.identifier in known:
        return known[item.identifier] != item.digest
    return item.listed_by in known


def _fitting(key: int, current: Mapping[str, str]) -> RegistryState:
    """A registry with nothing but these in it, each by its name if there is room."""
    if _size(current) > MAX_BYTES:
        current = {TOO_MANY: digest(dict(current))}
    return RegistryState(key, MappingProxyType(dict(current)))


def _size(registered: Mapping[str, str]) -> int:
    return len(RegistryState(1, registered).dump().encode())
