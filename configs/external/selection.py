# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which version of a distribution runs, where external providers bring several (FR-X024).

One Python has one version of each. The first that the order of the resource comes to is taken, if
everybody who requires the distribution can live with it, and else the next. Where versions depend
on each other, all combinations are tried, so that providers fail together only if nothing fits; the
search ends after so many steps that no real set of packages needs.

What nobody brings several of is not looked at: whether a requirement is met at all depends on the
server's own packages, and only the preflight knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from configs.external.distributions import Distribution, Staged

_STEPS: Final = 20_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Option:
    """A version of a distribution, and the first provider that brings it.

    Attributes:
        provider: number of the provider in the order of the resource.
        distribution: what it brings.
    """

    provider: int
    distribution: Distribution

    @property
    def name(self) -> str:
        """Of the distribution."""
        return self.distribution.name

    @property
    def version(self) -> str:
        """Of the distribution."""
        return self.distribution.version


Options: TypeAlias = Mapping[str, Sequence[Option]]
"""Name → its versions, in the order of the resource."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A requirement on a distribution of which there are several versions.

    Attributes:
        by: who requires it.
        name: of what is required.
        versions: that will do.
    """

    by: Option
    name: str
    versions: SpecifierSet

    def takes(self, option: Option) -> bool:
        """Whether a version will do. A version that is none only does where any one does."""
        if not self.versions:
            return True
        try:
            return self.versions.contains(Version(option.version), prereleases=True)
        except ValueError:  # also of a number that Python does not read, for its length
            return False

    def __str__(self) -> str:
        return f"{self.by.distribution} depends on {self.name}{self.versions}"


class Clash(Exception):
    """No version of a distribution will do for everybody.

    Attributes:
        options: its versions.
        demands: the requirements that exclude one of them.
    """

    def __init__(self, options: Sequence[Option], demands: Sequence[Demand]) -> None:
        super().__init__(options[0].name)
        self.options = tuple(options)
        self.demands = tuple(demands)

    @property
    def providers(self) -> list[int]:
        """Whose packages exclude each other, in their order; at least two."""
        demanding = {demand.by.provider for demand in self.demands}
        if len(demanding) < 2:  # noqa: PLR2004 -- a clash has two sides
            demanding |= {option.provider for option in self.options}
        return sorted(demanding)


def options_of(staged: Sequence[Staged]) -> Options:
    """All versions of all distributions.

    Args:
        staged: what each provider brings, in the order of the resource.
    """
    found: dict[str, dict[str, Option]] = {}
    for provider, one in enumerate(staged):
        for distribution in one.distributions:
            versions = found.setdefault(distribution.name, {})
            versions.setdefault(distribution.version, Option(provider, distribution))
    return {name: tuple(found[name].values()) for name in sorted(found)}


def select(options: Options, environment: Mapping[str, str]) -> dict[str, Option]:
    """One version of each distribution.

    Args:
        options: what there is.
        environment: of the server, for the markers of requirements (PEP 508).

    Raises:
        Clash: no combination fits.
    """
    chosen = {name: versions[0] for name, versions in options.items()}
    contested = {name: versions for name, versions in options.items() if len(versions) > 1}
    if not contested:
        return chosen
    demands = [
        demand
        for versions in options.values()
        for option in versions
        for demand in _demands(option, contested, environment)
    ]
    fixed = [demand for demand in demands if demand.by.name not in contested]
    domains = {
        name: _taken_by_all(versions, [demand for demand in fixed if demand.name == name])
        for name, versions in contested.items()
    }
    for name, domain in domains.items():
        if not domain:
            raise _clash(contested[name], [demand for demand in fixed if demand.name == name])
    found = _search(domains, [demand for demand in demands if demand.by.name in contested])
    if found is None:
        raise _first_clash(contested, domains, demands)
    return chosen | found


def environment_of(python: str, machine: str) -> dict[str, str]:
    """What markers are asked of: a server on Linux.

    Args:
        python: minor version, as ``3.12``.
        machine: as ``platform.machine()`` says it.
    """
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def _demands(
    option: Option, contested: Options, environment: Mapping[str, str]
) -> Iterator[Demand]:
    """Requirements of one version on what there are several of; those of extras are not meant."""
    for text in option.distribution.requires:
        match = _NAME.match(text)
        name = canonicalize_name(match[0]) if match else ""
        if name not in contested:
            continue
        try:
            requirement = Requirement(text)
            applies = requirement.marker is None or requirement.marker.evaluate(dict(environment))
        except (ValueError, UndefinedEnvironmentName):
            continue  # nobody could have installed by it, either
        if applies:
            yield Demand(option, name, requirement.specifier)


def _taken_by_all(options: Sequence[Option], demands: Sequence[Demand]) -> tuple[Option, ...]:
    return tuple(option for option in options if all(demand.takes(option) for demand in demands))


def _search(
    domains: Mapping[str, Sequence[Option]], demands: Sequence[Demand]
) -> dict[str, Option] | None:
    """The first combination in which every version has what it requires.

    Depth first, in the order of the names. A version that is tried leaves of the names after it
    only what goes together with it, so a dead end shows at once. Without recursion: a provider may
    bring more names than Python has levels.

    Args:
        domains: what is to be chosen from, by name.
        demands: of the versions on each other.
    """
    names = list(domains)
    asked = _Asked(names, demands)
    left = dict(domains)
    replaced: list[dict[str, Sequence[Option]]] = []  # by each version that is chosen
    tried = [0]
    steps = 0
    while tried and steps < _STEPS:
        if len(replaced) == len(tried):
            left |= replaced.pop()
        name = names[len(tried) - 1]
        domain = left[name]
        if tried[-1] == len(domain):
            tried.pop()
            continue
        steps += 1
        option = domain[tried[-1]]
        tried[-1] += 1
        narrowed = asked.narrowed(option, left)
        if narrowed is None:
            continue
        narrowed[name] = (option,)
        replaced.append({each: left[each] for each in narrowed})
        left |= narrowed
        if len(tried) == len(names):
            return {each: found[0] for each, found in left.items()}
        tried.append(0)
    return None


class _Asked:
    """The requirements of versions on each other, by who has them and by who has to meet them."""

    def __init__(self, names: Sequence[str], demands: Sequence[Demand]) -> None:
        self._place = {name: place for place, name in enumerate(names)}
        self._of: dict[tuple[str, str], list[Demand]] = {}
        self._linked: dict[str, set[str]] = {}
        for demand in demands:
            self._of.setdefault((demand.by.name, demand.name), []).append(demand)
            self._linked.setdefault(demand.by.name, set()).add(demand.name)
            self._linked.setdefault(demand.name, set()).add(demand.by.name)

    def narrowed(
        self, option: Option, left: Mapping[str, Sequence[Option]]
    ) -> dict[str, Sequence[Option]] | None:
        """What a version leaves of the names after it, as far as it is about them.

        Args:
            option: the version.
            left: what is left of each name before.

        Returns:
            ``None`` if of some name nothing is left.
        """
        found: dict[str, Sequence[Option]] = {}
        for name in self._linked.get(option.name, ()):
            if self._place[name] > self._place[option.name]:
                found[name] = [
                    other
                    for other in left[name]
                    if self._fit(option, other) and self._fit(other, option)
                ]
                if not found[name]:
                    return None
            elif name == option.name and not self._fit(option, option):
                return None
        return found

    def _fit(self, by: Option, option: Option) -> bool:
        demands = self._of.get((by.name, option.name), ())
        return all(demand.takes(option) for demand in demands if demand.by is by)


def _clash(options: Sequence[Option], demands: Sequence[Demand]) -> Clash:
    """A clash about one name, with the demands that exclude a version of it."""
    excluding = [
        demand for demand in demands if not all(demand.takes(option) for option in options)
    ]
    return Clash(options, excluding)


def _first_clash(
    contested: Options, domains: Mapping[str, Sequence[Option]], demands: Sequence[Demand]
) -> Clash:
    """Of versions that depend on each other: the first name whose first version will not do."""
    chosen = {name: domain[0] for name, domain in domains.items()}
    for name, option in chosen.items():
        of_name = [demand for demand in demands if demand.name == name]
        if not all(
            demand.takes(option)
            for demand in of_name
            if chosen.get(demand.by.name, demand.by) is demand.by
        ):
            return _clash(contested[name], of_name)
    # Only after the last step of a search that was given up.
    return Clash(next(iter(contested.values())), ())
