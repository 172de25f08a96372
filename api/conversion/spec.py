# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The spec in the other version, as far as that version can say it.

:data:`MOVES` is the whole mapping: where a field is in each version, and how its value changes on
the way. What no row names is not lost: :mod:`api.conversion.hidden` finds and keeps it.

The two directions fit together: what one of them says, the other reads back, and saying it again
gives the same (``up(down(up(x))) == up(x)``, ``down(up(down(x))) == down(x)``). The hidden fields
stand on that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from api.conversion import items
from api.conversion.places import ABSENT, get, put, same
from api.conversion.shared import common
from api.model import Json
from api.v1alpha2.networking import ALLOWED_NAMESPACE

Value: TypeAlias = Any
"""A JSON value, or :data:`ABSENT`."""


def _as_it_is(value: Value) -> Value:
    return value


def _nothing(value: Value) -> Value:
    """For a field that is said elsewhere in that direction."""
    return ABSENT


def _unless_empty(value: Value) -> Value:
    """The Go operator takes an empty text and 0 for a field that was left out."""
    return ABSENT if value == "" or (value == 0 and not isinstance(value, bool)) else value


@dataclass(frozen=True, slots=True)
class Move:
    """One field.

    Attributes:
        old: where it is in v1alpha1, below ``spec``.
        new: where it is in v1alpha2, below ``spec``.
        up: its value in v1alpha2.
        down: its value in v1alpha1.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    up: Callable[[Value], Value] = _as_it_is
    down: Callable[[Value], Value] = _as_it_is


def _both(change: Callable[[Value], Value]) -> tuple[Callable[[Value], Value], ...]:
    """Up and down alike: what one direction would not say, the other must not show."""
    return change, change


# --- values that change on the way ---------------------------------------------------------------


def _unless_negative(replicas: Value) -> Value:
    """The Go operator's schema lets it through, and no Deployment can be made of it.

    In v1alpha2 there is a scale, and the API server would refuse every write to such an object, the
    removal of a finalizer included.
    """
    is_number = isinstance(replicas, int | float) and not isinstance(replicas, bool)
    return ABSENT if is_number and replicas < 0 else replicas


def _budget(budget: Value) -> Value:
    """An empty one has the Go operator's default."""
    return {"maxUnavailable": 1} if budget == {} else budget


def _variables(env: Value) -> Value:
    """Each variable once, with its last value, and with one source."""
    if not isinstance(env, list | tuple):
        return env
    last = {item["name"]: i for i, item in enumerate(env) if _is_named(item)}
    kept = [item for i, item in enumerate(env) if not _is_named(item) or last[item["name"]] == i]
    return [_with_one_source(item) for item in kept]


def _with_one_source(variable: Any) -> Any:
    """Kubernetes takes an empty value for none when there is another source."""
    if not isinstance(variable, Mapping) or variable.get("value") != "":
        return variable
    if get(variable, ("valueFrom",)) is ABSENT:
        return variable
    return {key: value for key, value in variable.items() if key != "value"}


def _is_named(item: Any) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("name"), str)


def _config_map(reference: Value) -> Value:
    """A reference to a ConfigMap; without a name it refers to none."""
    if not isinstance(reference, Mapping):
        return reference
    if get(reference, ("configMapName",)) in ("", ABSENT):
        return ABSENT
    empty = get(reference, ("configMapNamespace",)) == ""
    return {k: v for k, v in reference.items() if not (empty and k == "configMapNamespace")}


def _allowed(allowed: Value) -> Value:
    """Namespaces and labels once each, and no namespace that cannot be."""
    if not isinstance(allowed, Mapping):
        return allowed
    result = dict(allowed)
    for field, is_possible in (("namespaces", is_namespace), ("labels", _is_anything)):
        if isinstance(listed := allowed.get(field), list | tuple):
            result[field] = [item for item in _once(listed) if is_possible(item)]
    return result


def _once(items: Sequence[Any]) -> list[Any]:
    """Each text once; anything else is left to be judged."""
    seen: set[str] = set()
    once = []
    for item in items:
        if not isinstance(item, str):
            once.append(item)
        elif item not in seen:
            seen.add(item)
            once.append(item)
    return once


def is_namespace(item: Any) -> bool:
    """Whether something could be a namespace, or stands for all of them.

    A text that could not names no pod that might connect; anything but a text is left to be judged.
    """
    return not isinstance(item, str) or re.fullmatch(ALLOWED_NAMESPACE, item) is not None


def _is_anything(item: Any) -> bool:
    return True


def _is_exposed(expose: Value) -> Value:
    """v1alpha1 has only yes and no.

    An object that somebody wrote there all the same is read alike, so that it comes back.
    """
    if isinstance(expose, Mapping):
        enabled = get(expose, ("enabled",))
        return True if enabled is ABSENT else enabled if isinstance(enabled, bool) else ABSENT
    return expose


# --- storage: two meanings in one field of v1alpha1 (R-D8) ---------------------------------------

_STORAGE: Final = ("server", "storage")
_VOLUME: Final = ("workload", "storage")
_VOLUME_FIELDS: Final = ("size", "mountPath")
_STATE_FIELDS: Final = ("type", "connectionString")


def _storage_up(spec: Mapping[str, Any], result: Json) -> None:
    storage = get(spec, _STORAGE)
    if not isinstance(storage, Mapping):
        if storage is not ABSENT:
            put(result, _VOLUME, storage)
        return
    volume, state = _volume_fields(storage), _fields(storage, _STATE_FIELDS)
    if volume or not state:  # a storage that says nothing of state is a volume even when empty
        put(result, _VOLUME, volume)
    if state:  # v1alpha1 has one backend for everything
        put(result, ("storage",), {"kv": state, "sql": dict(state)})


def _volume_fields(storage: Mapping[str, Any]) -> Json:
    volume = _fields(storage, _VOLUME_FIELDS)
    return {name: value for name, value in volume.items() if (name, value) != ("mountPath", "")}


def _storage_down(spec: Mapping[str, Any], result: Json) -> None:
    volume, stores = get(spec, _VOLUME), get(spec, ("storage",))
    state = _one_backend(stores)
    if isinstance(volume, Mapping):
        put(result, _STORAGE, {**_volume_fields(volume), **state})
    elif volume is not ABSENT:
        put(result, _STORAGE, volume)
    elif state:
        put(result, _STORAGE, state)


def _one_backend(stores: Value) -> Json:
    """What both stores have in common, if it is all of them that matters; else nothing.

    A type that v1alpha1 does not know is no exception: it may be what somebody wrote there.
    """
    kv, sql = get(stores, ("kv",)), get(stores, ("sql",))
    if not isinstance(kv, Mapping) or not isinstance(sql, Mapping):
        return {}
    state = _fields(kv, _STATE_FIELDS)
    return state if same(state, _fields(sql, _STATE_FIELDS)) else {}


def _fields(node: Mapping[str, Any], names: tuple[str, ...]) -> Json:
    return {name: node[name] for name in names if get(node, (name,)) is not ABSENT}


# --- the table -----------------------------------------------------------------------------------

_SERVER: Final = ("server",)
_CONTAINER: Final = ("server", "containerSpec")
_POD: Final = ("server", "podOverrides")
_WORKLOAD: Final = ("workload",)
_OVERRIDES: Final = ("workload", "overrides")

MOVES: Final = (
    Move(("replicas",), (*_WORKLOAD, "replicas"), *_both(_unless_negative)),
    Move((*_SERVER, "distribution"), ("distribution",)),
    Move((*_CONTAINER, "name"), (*_OVERRIDES, "containerName"), *_both(_unless_empty)),
    # Where both ports are given, that of the container wins, because it comes later.
    Move((*_SERVER, "port"), ("networking", "port"), up=_unless_empty, down=_nothing),
    Move((*_CONTAINER, "port"), ("networking", "port"), *_both(_unless_empty)),
    Move((*_CONTAINER, "resources"), (*_WORKLOAD, "resources")),
    Move((*_CONTAINER, "env"), (*_OVERRIDES, "env"), *_both(_variables)),
    Move((*_CONTAINER, "command"), (*_OVERRIDES, "command")),
    Move((*_CONTAINER, "args"), (*_OVERRIDES, "args")),
    Move((*_SERVER, "workers"), (*_WORKLOAD, "workers")),
    Move((*_POD, "serviceAccountName"), (*_OVERRIDES, "serviceAccountName"), *_both(_unless_empty)),
    Move((*_POD, "terminationGracePeriodSeconds"), (*_OVERRIDES, "terminationGracePeriodSeconds")),
    Move((*_POD, "volumes"), (*_OVERRIDES, "volumes")),
    Move((*_POD, "volumeMounts"), (*_OVERRIDES, "volumeMounts")),
    Move((*_SERVER, "podDisruptionBudget"), (*_WORKLOAD, "podDisruptionBudget"), *_both(_budget)),
    Move((*_SERVER, "topologySpreadConstraints"), (*_WORKLOAD, "topologySpreadConstraints")),
    Move((*_SERVER, "autoscaling"), (*_WORKLOAD, "autoscaling")),
    Move((*_SERVER, "userConfig"), ("overrideConfig",), *_both(_config_map)),
    Move(
        (*_SERVER, "tlsConfig", "caBundle"), ("networking", "tls", "caBundle"), *_both(_config_map)
    ),
    Move((*_SERVER, "tls", "enabled"), ("networking", "tls", "enabled")),
    Move(
        (*_SERVER, "tls", "secretName"), ("networking", "tls", "secretName"), *_both(_unless_empty)
    ),
    Move(
        (*_SERVER, "providers"),
        ("providers",),
        up=items.sections(items.provider_up),
        down=items.sections(items.provider_down),
    ),
    Move((*_SERVER, "disabled"), ("disabled",)),
    Move(
        (*_SERVER, "resources"),
        ("resources",),
        up=items.models(items.model_up),
        down=items.models(items.model_down),
    ),
    Move((*_SERVER, "externalProviders"), ("externalProviders",)),
    Move(("network", "exposeRoute"), ("networking", "expose"), *_both(_is_exposed)),
    Move(("network", "allowedFrom"), ("networking", "allowedFrom"), *_both(_allowed)),
)
"""Every field that both versions have; a later row beats an earlier one."""


def _shared() -> frozenset[tuple[str, ...]]:
    paths = [path for move in MOVES for path in (move.old, move.new)]
    above = [path[:length] for path in paths for length in range(len(path))]
    return frozenset(
        ("spec", *path)
        for path in (*above, _STORAGE, _VOLUME, ("providers",), ("server", "providers"))
    )


SHARED: Final = _shared()
"""Objects that several rows write into, so that none of them is ever replaced as a whole."""


def up(spec: Value) -> Value:
    """A spec of v1alpha1 in v1alpha2. Anything but an object is returned as it is."""
    if not isinstance(spec, Mapping):
        return spec
    result: Json = {}
    for move in MOVES:
        value = _changed(get(spec, move.old), move, move.up)
        if value is not ABSENT:
            put(result, move.new, value)
    _storage_up(spec, result)
    return result


def down(spec: Value) -> Value:
    """A spec of v1alpha2 in v1alpha1. Anything but an object is returned as it is."""
    if not isinstance(spec, Mapping):
        return spec
    result: Json = {}
    for move in MOVES:
        value = _changed(get(spec, move.new), move, move.down)
        if value is not ABSENT:
            put(result, move.old, value)
    _storage_down(spec, result)
    return result


def _changed(value: Value, move: Move, change: Callable[[Value], Value]) -> Value:
    if isinstance(value, Mapping):
        value = common(value, move.old, move.new)
    return value if value is ABSENT else change(value)
