# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the programs come from: a ladder, the quickest rung first.

1. What the machine has: ``KUBEBUILDER_ASSETS``, then ``PATH``; only programs whose own answer
   says that major and minor version fit.
2. The user's cache, filled by the rungs below. Its directory carries a hash of everything that is
   pinned, so another version is another directory and nothing in it is ever stale.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.cluster.errors import BinariesUnavailableError
from tests.support.cluster.probe import reported_version
from tests.support.cluster.progress import Progress
from tests.support.cluster.versions import PROGRAMS, ProgramSpec

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"


def obtain(
    names: Iterable[str] = PROGRAMS,
    *,
    progress: Progress | None = None,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, Path]:
    """The programs by name.

    Raises:
        BinariesUnavailableError: one of them is not to be had; says what to install or set.
    """
    progress = progress or Progress()
    wanted = [PROGRAMS[name] for name in names]
    found = from_machine(wanted, environment, progress)
    missing = [spec.name for spec in wanted if spec.name not in found]
    if missing:
        msg = f"not found: {', '.join(missing)}; set {ASSETS_VARIABLE}"
        raise BinariesUnavailableError(msg)
    return found


def from_machine(
    wanted: Iterable[ProgramSpec], environment: Mapping[str, str], progress: Progress
) -> dict[str, Path]:
    """Rung 1: what lies in ``KUBEBUILDER_ASSETS`` or ``PATH`` and fits."""

    def first_fit(spec: ProgramSpec) -> Path | None:
        for path in _candidates(spec.name, environment):
            version = reported_version(path, spec)
            if version is not None and spec.fits(version):
                return path
            said = f"is {version}" if version else "does not say its version"
            progress.say(f"{path} {said}, {spec.version} is needed: not used")
        return None

    specs = list(wanted)
    with ThreadPoolExecutor(max_workers=len(specs) or 1) as pool:
        paths = pool.map(first_fit, specs)
    return {spec.name: path for spec, path in zip(specs, paths, strict=True) if path is not None}


def _candidates(name: str, environment: Mapping[str, str]) -> Iterator[Path]:
    assets = environment.get(ASSETS_VARIABLE, "")
    for places in (assets, environment.get("PATH", "")):
        path = shutil.which(name, path=places) if places else None
        if path is not None:
            yield Path(path).absolute()
