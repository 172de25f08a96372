# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator's own ConfigMap: what an administrator may say to a running operator. Pure.

Name and keys are the Go operator's, so its ConfigMap goes on working: ``featureFlags`` and
``image-overrides``, each a YAML document. A key is taken as a whole or not at all: with a mistake
in one, that one stays as it was when it was last good, and the other is taken. What is merely not
known is told and left out, so that the ConfigMap of a newer operator does not stop an older one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from configs import image_reference
from configs.distributions import Distributions
from configs.yaml_reader import YamlError, load
from controller.llamastack.objects.kinds import FEATURE_FLAGS, IMAGE_OVERRIDES, NETWORK_POLICY_FLAG

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_BYTES: Final = 64 * 1024
MAX_VALUES: Final = 2_000
"""Of one key: more than all distributions need, and both keys are read by the event loop within a
twentieth of a second at the worst."""

MOST_TOLD: Final = 5
"""Mistakes of one kind that are told one by one; each is a line in the log and an Event."""

_SHOWN = 80
_MAX_IMAGE = 512


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """What holds; without a ConfigMap, the defaults.

    Attributes:
        network_policies: whether servers get a NetworkPolicy.
        image_overrides: name of a distribution and its image, sorted by name.
    """

    network_policies: bool = False
    image_overrides: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of the content of the ConfigMap.

    Attributes:
        config: what holds now, or ``None``: a key is wrong and there is no last good one.
        errors: one for each key that was not taken; each begins with the key.
        warnings: one for each thing that was left out.
    """

    config: OperatorConfig | None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _Wrong(Exception):
    """Why a key is not taken, in one line that begins with a place."""


def read(
    data: Mapping[str, str],
    last: OperatorConfig | None = None,
    *,
    names: Collection[str] | None = None,
) -> Reading:
    """Read the ConfigMap.

    Args:
        data: of the ConfigMap; empty if it is absent.
        last: what held before; ``None`` if nothing was read yet.
        names: of the distributions; those that the operator brings by default.
    """
    known = Distributions.load().known if names is None else names
    errors: list[str] = []
    unknown = sorted(set(data) - {FEATURE_FLAGS, IMAGE_OVERRIDES})
    keys = f"{FEATURE_FLAGS} and {IMAGE_OVERRIDES}"
    warnings = _few(
        [f"{_shown(key)}: not a key of this ConfigMap; its keys are {keys}" for key in unknown]
    )
    taken: dict[str, Any] = {}
    for key, field, parse in _KEYS:
        try:
            taken[field], more = parse(_document(data.get(key, "")), known)
        except _Wrong as error:
            errors.append(f"{key}: {error}")
        else:
            warnings += [f"{key}: {text}" for text in _few(more)]
    if errors and last is None:
        return Reading(None, tuple(errors), tuple(warnings))
    return Reading(replace(last or OperatorConfig(), **taken), tuple(errors), tuple(warnings))


def _few(texts: list[str]) -> list[str]:
    """The first ones, and how many are left out."""
    left = len(texts) - MOST_TOLD
    return texts if left <= 0 else [*texts[:MOST_TOLD], f"{left} more of that kind"]


def _document(text: str) -> dict[str, Any]:
    try:
        content = load(text, max_bytes=MAX_BYTES, max_nodes=MAX_VALUES)
    except YamlError as error:
        raise _Wrong(f"{error}; correct the YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _Wrong(f"must be a mapping of names, not {_kind(content)}")
    return content


def _flags(content: dict[str, Any], _: Collection[str]) -> tuple[bool, list[str]]:
    unknown = sorted(set(content) - {NETWORK_POLICY_FLAG})
    warnings = [
        f"{_shown(name)}: not a flag that this operator knows; it knows {NETWORK_POLICY_FLAG}"
        for name in unknown
    ]
    flag = content.get(NETWORK_POLICY_FLAG)
    if flag is None:
        return False, warnings
    if not isinstance(flag, dict):
        raise _Wrong(
            f"{NETWORK_POLICY_FLAG}: must be a mapping such as {{enabled: true}}, not {_kind(flag)}"
        )
    warnings += [
        f"{NETWORK_POLICY_FLAG}.{_shown(name)}: not a field of the flag; its field is enabled"
        for name in sorted(set(flag) - {"enabled"})
    ]
    enabled = flag.get("enabled", False)
    if not isinstance(enabled, bool):
        raise _Wrong(f"{NETWORK_POLICY_FLAG}.enabled: must be true or false, not {_kind(enabled)}")
    return enabled, warnings


def _overrides(
    content: dict[str, Any], known: Collection[str]
) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    wrong = [
        f"{_shown(name)}: must be an image such as registry.example.org/server:1.2, not "
        f"{_kind(image)}"
        for name, image in sorted(content.items())
        if not _is_image(image)
    ]
    if wrong:
        raise _Wrong("; ".join(_few(wrong)))
    warnings = [
        f"{_shown(name)}: not a distribution; distributions are {', '.join(sorted(known))}"
        for name in sorted(set(content) - set(known))
    ]
    return tuple(sorted((n, image) for n, image in content.items() if n in known)), warnings


_Parse: TypeAlias = "Callable[[dict[str, Any], Collection[str]], tuple[Any, list[str]]]"

_KEYS: tuple[tuple[str, str, _Parse], ...] = (
    (FEATURE_FLAGS, "network_policies", _flags),
    (IMAGE_OVERRIDES, "image_overrides", _overrides),
)


def _is_image(value: object) -> bool:
    if not isinstance(value, str) or len(value) > _MAX_IMAGE:
        return False
    try:
        image_reference.parse(value)
    except image_reference.NotAnImageReference:
        return False
    return True


def _kind(value: object) -> str:
    """The value, short, so that it is found."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f'"{_shown(str(value))}"'


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
