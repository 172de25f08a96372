# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether packages get what they require, as far as that can be told without the server.

What providers bring is first on the server's path. So a version of theirs that does not meet a
requirement is a failure, as in the preflight; what they do not bring is left to the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from configs.external.distributions import Distribution, Staged
from configs.external.selection import environment_of

_FAMILY = re.compile(r"(llama[-_.]+stack|ogx)([-_.].+)?", re.IGNORECASE)


class Unmet(NamedTuple):
    """A requirement that what providers bring does not meet.

    Attributes:
        by: who requires it.
        text: the requirement.
        installed: what there is; ``None`` if the server has to have it.
        is_family: whether it is about the server itself or its relatives, which is no failure.
    """

    by: Distribution
    text: str
    installed: Distribution | None
    is_family: bool


def unmet(one: Staged, runs: Mapping[str, Distribution]) -> Iterator[Unmet]:
    """Requirements of a provider's packages that are not met by packages of providers.

    Args:
        one: what the provider brings.
        runs: what of all providers is installed, by name.
    """
    environment = {**environment_of(one.python, one.machine), "extra": ""}
    for distribution in one.distributions:
        if runs.get(distribution.name) is not distribution:
            continue  # another version runs, and its requirements are those that count
        for text in distribution.requires:
            requirement = _requirement(text, environment)
            if requirement is None:
                continue
            installed = runs.get(canonicalize_name(requirement.name))
            if installed is None or not _meets(installed, requirement):
                family = _FAMILY.fullmatch(requirement.name) is not None
                yield Unmet(distribution, str(requirement), installed, family)


def _requirement(text: str, environment: Mapping[str, str]) -> Requirement | None:
    """The requirement, if it is one and applies; those of extras do not."""
    try:
        found = Requirement(text)
        applies = found.marker is None or found.marker.evaluate(dict(environment))
    except (ValueError, UndefinedEnvironmentName):
        return None
    return found if applies else None


def _meets(installed: Distribution, requirement: Requirement) -> bool:
    """Whether a version will do."""
    try:
        return requirement.specifier.contains(Version(installed.version), prereleases=True)
    except ValueError:  # of a number that Python does not read, for its length
        return False
