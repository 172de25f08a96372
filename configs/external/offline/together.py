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
from configs.external.offline.check import Checked, Installed
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
    usable = {number: one.installed for number, one in enumerate(found) if one.installed}
    left_out: Sequence[LeftOut] = ()
    while usable:
        try:
            left_out = _left_out(list(usable.values()))
        except ProviderError as error:
            blamed = error.failure.provider
            number = next(n for n, one in usable.items() if one.staged.provider is blamed)
            found[number] = _with(found[number], [error.failure])
            del usable[number]
        else:
            break
    staged = [one.staged for one in usable.values()]
    numbers = list(usable)
    for each in left_out:
        one = found[numbers[each.provider]]
        note = messages.version_left_out(
            one.provider,
            str(each.distribution),
            each.taken.version,
            staged[each.taken.provider].provider,
        )
        found[numbers[each.provider]] = replace(one, notes=(*one.notes, note))
    runs = _runs(staged, left_out)
    for number, installed in usable.items():
        found[number] = _with_requirements(found[number], installed.staged, runs)
    return found


def _left_out(installed: Sequence[Installed]) -> Sequence[LeftOut]:
    """The versions that do not run where there are several.

    Raises:
        ProviderError: packages do not go together.
    """
    staged = [one.staged for one in installed]
    return packages.plan(staged, lambda number, path: installed[number].digests[path]).left_out


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


def _with_requirements(one: Checked, staged: Staged, runs: Mapping[str, Distribution]) -> Checked:
    failures: list[ProviderFailure] = []
    warnings: list[str] = []
    needed: dict[str, None] = {}
    for each in unmet(staged, runs):
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
