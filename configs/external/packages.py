# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The one tree of packages that the server runs with, out of what each provider brings.

It is put together file by file, because providers share directories: two with modules below
``my_org`` both have that package. The first provider in the order of the resource that brings a
file wins; a later one with the same path must bring the same content. So nothing of a provider is
missing without a failure, except for the distributions of which another version, or the same one
of an earlier provider, is taken (FR-X024).

Which files are compared, and when: ``digest`` is called only for files of two providers that have
one path and one size.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from configs.external import messages, selection, standard_library
from configs.external.distributions import Distribution, Staged
from configs.external.failures import ProviderError, ProviderFailure, one_line
from configs.external.selection import Clash, Option

Digest: TypeAlias = Callable[[int, str], bytes]
"""Number of a provider, path of a file of it → what tells its content from others."""

_SERVER_DISTRIBUTIONS: Final = frozenset(
    {"llama-stack", "llama-stack-client", "llama-stack-api", "ogx"}
)
_SERVER_PREFIX: Final = "ogx-"
_PROVIDER_PREFIX: Final = "ogx-provider-"
_SERVER_FILE = re.compile(
    r"((?:llama_stack|ogx)(?:_client|_api)?)(?:/__init__)?(?:\.[A-Za-z0-9_-]+)*\.(?:py|pyc|so)"
)
_DESCRIPTION: Final = ".dist-info/"
"""What is below says who built a distribution, and how: it differs between builds of one source."""

_SCRIPTS: Final = "bin/"
"""Scripts that pip made begin with the path of the Python that installed them."""


class Link(NamedTuple):
    """A file of the tree.

    Attributes:
        provider: number of the provider whose file it is.
        path: of the file, there and in the tree.
    """

    provider: int
    path: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A distribution of a provider of which another version is taken.

    Attributes:
        provider: number of the provider.
        distribution: what it brings.
        taken: what runs.
    """

    provider: int
    distribution: Distribution
    taken: Option


@dataclass(frozen=True, slots=True)
class Plan:
    """How the tree is made.

    Attributes:
        links: its files, sorted by provider and path.
        left_out: distributions of which another version is in it.
        hiding: numbers of providers, with modules of Python that they bring and that are not in it.
    """

    links: tuple[Link, ...]
    left_out: tuple[LeftOut, ...]
    hiding: tuple[tuple[int, str], ...] = ()


def plan(staged: Sequence[Staged], digest: Digest) -> Plan:
    """How the tree is made of what the providers bring.

    Args:
        staged: what each brings, in the order of the resource.
        digest: what tells contents of files apart.

    Raises:
        ProviderError: packages of a provider do not go together with those of others, or hide
            the server's own.
    """
    for one in staged:
        for problem in own_problems(one):
            raise ProviderError(problem)
    taken = _select(staged)
    tree = _Tree(staged, digest)
    hiding = [standard_library.hiding(one.files) for one in staged]
    for number, one in enumerate(staged):
        tree.compare(number, taken)
        hidden = {path for files in hiding[number].values() for path in files}
        for path in _files_of(number, one, taken):
            if path not in hidden:
                tree.add(number, path)
    tree.check_directories()
    left_out = tuple(
        LeftOut(number, distribution, taken[distribution.name])
        for number, one in enumerate(staged)
        for distribution in one.distributions
        if distribution.version != taken[distribution.name].version
    )
    modules = tuple((number, module) for number, found in enumerate(hiding) for module in found)
    return Plan(tree.links(), left_out, modules)


def installed_text(staged: Sequence[Staged], left_out: Sequence[LeftOut] = ()) -> str:
    """The list of what is installed, by provider and image (FR-X024).

    Args:
        staged: what each provider brings.
        left_out: what of it is not in the tree.
    """
    without = {(each.provider, each.distribution.name): each.taken for each in left_out}
    lines = []
    for number, one in enumerate(staged):
        lines.append(f"# provider: {one.provider.provider_id} image: {one.provider.image}")
        for distribution in one.distributions:
            line = f"{distribution.name}=={distribution.version}"
            taken = without.get((number, distribution.name))
            if taken is not None:
                by = staged[taken.provider].provider.provider_id
                line = f"# {line} is left out: {taken.version} of provider {by} is installed"
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def is_server_distribution(name: str) -> bool:
    """Whether a distribution is the server's own, by its name as PEP 503 compares names.

    Providers are often named after the server; those are not.
    """
    return name in _SERVER_DISTRIBUTIONS or (
        name.startswith(_SERVER_PREFIX) and not name.startswith(_PROVIDER_PREFIX)
    )


def own_problems(one: Staged) -> Iterator[ProviderFailure]:
    """What is wrong with the packages of a provider, whatever others bring.

    Args:
        one: what the provider brings.
    """
    seen: dict[str, str] = {}
    for distribution in one.distributions:
        if is_server_distribution(distribution.name):
            yield messages.hides_server(one.provider, distribution.name)
        if distribution.name in seen:
            versions = f"{seen[distribution.name]} and {distribution.version}"
            problem = f"{distribution.name} is there in two versions: {versions}"
            yield messages.unusable_staging(one.provider, problem)
        seen[distribution.name] = distribution.version
    for path in one.files:
        if match := _SERVER_FILE.fullmatch(path):
            yield messages.hides_server(one.provider, match[1])


def _select(staged: Sequence[Staged]) -> dict[str, Option]:
    if not staged:
        return {}
    environment = selection.environment_of(staged[0].python, staged[0].machine)
    options = selection.options_of(staged)
    try:
        return selection.select(options, environment)
    except Clash as clash:
        raise ProviderError(_conflict(staged, clash)) from clash


def _conflict(staged: Sequence[Staged], clash: Clash) -> ProviderFailure:
    conflicting = [staged[number].provider for number in clash.providers]
    causes = [one_line(str(demand)) for demand in clash.demands]
    for option in clash.options:
        by = staged[option.provider].provider.provider_id
        causes.append(f"{one_line(str(option.distribution))} comes with provider '{by}'")
    return messages.conflict(conflicting[-1], causes, conflicting)


def _files_of(number: int, one: Staged, taken: Mapping[str, Option]) -> Iterator[str]:
    """The files of a provider that belong into the tree.

    Those of a distribution that is taken, and those that belong to none. A file that two
    distributions share is left out only if both are.
    """
    wanted: set[str] = set()
    unwanted: set[str] = set()
    for distribution in one.distributions:
        is_taken = taken[distribution.name].provider == number
        (wanted if is_taken else unwanted).update(distribution.files)
    return (path for path in sorted(one.files) if path in wanted or path not in unwanted)


class _Tree:
    """The files of the tree, and whose each is."""

    def __init__(self, staged: Sequence[Staged], digest: Digest) -> None:
        self._staged = staged
        self._digest = digest
        self._owners: dict[str, int] = {}

    def add(self, number: int, path: str) -> None:
        """A file of a provider; one that is there already must be the same.

        Raises:
            ProviderError: it is another.
        """
        owner = self._owners.setdefault(path, number)
        if owner != number and not self._same(owner, number, path):
            self._fail(number, messages.other_content(path, self._staged[owner].provider))

    def compare(self, number: int, taken: Mapping[str, Option]) -> None:
        """What a provider brings of versions that are taken from another must be the same.

        Raises:
            ProviderError: it is not.
        """
        for distribution in self._staged[number].distributions:
            option = taken[distribution.name]
            if option.provider == number or option.version != distribution.version:
                continue
            other = self._staged[option.provider].provider
            first = _comparable(option.distribution)
            second = _comparable(distribution)
            if missing := sorted(first ^ second):
                self._fail(number, messages.other_files(missing[0], str(distribution), other))
            for path in sorted(first):
                if not path.startswith(_SCRIPTS) and not self._same(option.provider, number, path):
                    self._fail(number, messages.other_content(path, other))

    def check_directories(self) -> None:
        """No file may be where another one needs a directory.

        Raises:
            ProviderError: one is.
        """
        for path, number in self._owners.items():
            parent = path.rpartition("/")[0]
            while parent:
                owner = self._owners.get(parent)
                if owner is not None:
                    first, last = sorted((owner, number))
                    other = self._staged[first].provider
                    self._fail(last, messages.file_and_directory(parent, other))
                parent = parent.rpartition("/")[0]

    def links(self) -> tuple[Link, ...]:
        """All files."""
        by_provider: defaultdict[int, list[str]] = defaultdict(list)
        for path, number in self._owners.items():
            by_provider[number].append(path)
        return tuple(
            Link(number, path)
            for number in sorted(by_provider)
            for path in sorted(by_provider[number])
        )

    def _same(self, first: int, second: int, path: str) -> bool:
        sizes = self._staged[first].files[path].size, self._staged[second].files[path].size
        return sizes[0] == sizes[1] and self._digest(first, path) == self._digest(second, path)

    def _fail(self, number: int, cause: str) -> None:
        raise ProviderError(messages.conflict(self._staged[number].provider, [cause]))


def _comparable(distribution: Distribution) -> frozenset[str]:
    """Files that a distribution has wherever it is built and installed."""
    return frozenset(path for path in distribution.files if _DESCRIPTION not in path)
