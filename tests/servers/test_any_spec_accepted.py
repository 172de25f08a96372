# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever valid spec is drawn, the server's own classes accept what is rendered for it.

Nothing is booted: the classes say within milliseconds what a boot would die of, and beyond that
which keys the server would ignore without a word. Look for new examples for as long as you like
with ``pytest --hypothesis-profile=explore``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given

from configs import eras
from configs.catalogue import embedded
from configs.engine import Generated
from hack.servers.bed import Bed
from hack.servers.releases import RELEASES, Release
from hack.servers.validator import Report, Validator
from tests.support.config_specs import spec_of
from tests.support.spec_strategies import AnySpec, any_valid_spec

pytestmark = [pytest.mark.servers, pytest.mark.timeout(3600)]

_IGNORED = re.compile(r"providers\.(\w+)\[(.*?)\]\.config\.([^.\[]+)")
_FIELD = re.compile(
    r"(spec\.providers\.\w+(?:\[\d+\])?)\.(?:(?:settings|secretRefs)\.([^.]+)|(apiKey|endpoint))"
)


@pytest.fixture(scope="module")
def ask(bed: Bed) -> Iterator[Callable[[Release], Validator]]:
    """The own classes of a release; each is started once."""
    with ExitStack() as stack:
        started: dict[Release, Validator] = {}

        def validator(release: Release) -> Validator:
            if release not in started:
                started[release] = stack.enter_context(Validator(bed, release))
            return started[release]

        yield validator


def told(spec: AnySpec, found: Generated) -> set[tuple[str, str, str]]:
    """API, provider and key of what the engine warned that the server ignores."""
    by_path = {}
    for section, providers in spec_of(spec.sections).providers.items():
        if api := eras.api_of(section, spec.era):
            for item in providers:
                connected = bool(item.endpoint or item.api_key or item.secret_refs)
                kind = embedded().find(spec.era, api, item.provider, connected=connected)
                by_path[item.path] = (api, item.id, kind)
    warned = set()
    for warning in found.warnings:
        match = _FIELD.fullmatch(warning.path)
        if match and "ignore" in warning.message:
            provider, plain, explicit = match.groups()
            api, identity, kind = by_path[provider]
            key = plain or (kind.secret if explicit == "apiKey" else kind.endpoint)
            warned.add((api, identity, str(key)))
    return warned


def untold(spec: AnySpec, found: Generated, report: Report) -> list[str]:
    """What the server would ignore, and nobody said so."""
    warned = told(spec, found)
    places = [(path, _IGNORED.match(path)) for path in report.ignored]
    return [path for path, match in places if match is None or match.groups() not in warned]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)
def test_the_servers_own_classes_accept_the_config_of_any_valid_spec(
    ask: Callable[[Release], Validator], release: Release
) -> None:
    validator = ask(release)
    seen = 0

    @given(spec=any_valid_spec(release.era, release.version))
    def check(spec: AnySpec) -> None:
        nonlocal seen
        found = spec.generate()
        report = validator.check(str(found.config_yaml), spec.environment(found))
        seen += 1
        assert (report.errors, report.missing, report.duplicates) == ((), (), ()), report.lines()
        assert untold(spec, found, report) == []

    check()
    assert seen
