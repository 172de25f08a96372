# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What images of providers do to each other in one server, by the rules of the merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from configs.external import messages, packages
from configs.external.distributions import Distribution, Staged
from configs.external.failures import ProviderError, ProviderFailure
from configs.external.offline import messages as offline
from configs.external.offline.check import Checked
from configs.external.offline.requirements import unmet
from configs.external.packages import LeftOut


def check_together(checked: Sequence[Checked]) -> list[Checked]:
    """What was found of each image, and what comes of their being in one server.

    An image that clashes with those before it is left out, so that clashes of later ones are found,
    too. One whose packages cannot be installed at all is left out from the beginning.

    Args:
        checked: what was found of each, in the order of the resource.
    """
    found = list(checked)
    usable = [number for number, one in enumerate(found) if one.staged is not None]
    left_out: Sequence[LeftOut] = ()
    while usable:
        staged = [_staged(found[number]) for number in usable]
        try:
            left_out = packages.plan(staged, _Digests(found, usable)).left_out
        except ProviderError as error:
            number = next(n for n in usable if found[n].provider is error.failure.provider)
            found[number] = _with(found[number], [error.failure])
            usable.remove(number)
        else:
            break
    staged = [_staged(found[number]) for number in usable]
    runs = _runs(staged, left_out)
    for each in left_out:
        number = usable[each.provider]
        note = messages.version_left_out(
            staged[each.provider].provider,
            str(each.distribution),
            each.taken.version,
            staged[each.taken.provider].provider,
        )
        found[number] = replace(found[number], notes=(*found[number].notes, note))
    for number in usable:
        found[number] = _with_requirements(found[number], runs)
    return found


def _staged(one: Checked) -> Staged:
    if one.staged is None:
        raise ValueError(one.provider.provider_id)
    return one.staged


class _Digests:
    """What tells files of the images that are left apart."""

    def __init__(self, checked: Sequence[Checked], numbers: Sequence[int]) -> None:
        self._digests = [checked[number].digests for number in numbers]

    def __call__(self, number: int, path: str) -> bytes:
        return self._digests[number][path]


def _runs(staged: Sequence[Staged], left_out: Sequence[LeftOut]) -> dict[str, Distribution]:
    """The version of each package that the server would have; the first of equal ones."""
    without = {(each.provider, each.distribution.name) for each in left_out}
    found: dict[str, Distribution] = {}
    for number, one in enumerate(staged):
        for distribution in one.distributions:
            if (number, distribution.name) not in without:
                found.setdefault(distribution.name, distribution)
    return found


def _with(one: Checked, failures: Sequence[ProviderFailure]) -> Checked:
    return replace(one, failures=(*one.failures, *failures))


def _with_requirements(one: Checked, runs: Mapping[str, Distribution]) -> Checked:
    failures: list[ProviderFailure] = []
    warnings: list[str] = []
    needed: dict[str, None] = {}
    for each in unmet(_staged(one), runs):
        if each.installed is None:
            if not each.is_family:
                needed[each.text] = None
        elif each.is_family:
            text = offline.other_version(one.provider, str(each.by), each.text, str(each.installed))
            warnings.append(text)
        else:
            failures.append(
                offline.missing_dependency(
                    one.provider, one.module, str(each.by), each.text, str(each.installed)
                )
            )
    notes = [offline.needed(one.provider, tuple(needed))] if needed else []
    changed = _with(one, failures)
    return replace(changed, warnings=(*one.warnings, *warnings), notes=(*changed.notes, *notes))
