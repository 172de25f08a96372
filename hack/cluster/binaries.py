# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the programs come from: a ladder, the quickest rung first.

1. What the machine has: ``KUBEBUILDER_ASSETS``, then ``PATH``; only programs whose own answer
   says that major and minor version fit.
2. The user's cache, filled by the rungs below. Its directory carries a hash of everything that is
   pinned, so another version is another directory and nothing in it is ever stale.
3. Official releases, where they can be reached.
4. A build from source, which needs Go and a Go module proxy and nothing else.

Each program is looked for by itself: the usual ``KUBEBUILDER_ASSETS`` has an API server and no
scheduler, and then only the rest is obtained.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hack.cluster.cache import Cache, Platform
from hack.cluster.download import Downloader, Sources
from hack.cluster.errors import BinariesUnavailableError, ClusterError
from hack.cluster.gobuild import build
from hack.cluster.probe import reported_version
from hack.cluster.progress import Progress
from hack.cluster.versions import PROGRAMS, ProgramSpec

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"


def obtain(
    names: Iterable[str] = tuple(PROGRAMS),
    *,
    progress: Progress | None = None,
    environment: Mapping[str, str] = os.environ,
    sources: Sources | None = None,
) -> dict[str, Path]:
    """The programs by name; may take minutes the first time, and shows what it does.

    Args:
        names: which ones.
        progress: where to show it; standard error by default.
        environment: instead of the process's own.
        sources: where releases are.

    Raises:
        BinariesUnavailableError: one of them is not to be had; says what to install or set.
    """
    if sys.platform == "win32":
        raise BinariesUnavailableError("there is no control plane for Windows: use WSL")
    progress = progress or Progress()
    wanted = [PROGRAMS[name] for name in names]
    found = from_machine(wanted, environment, progress)
    missing = [spec for spec in wanted if spec.name not in found]
    if missing:
        here = Platform.here()
        cache = Cache.of_user(environment, here)
        if len(cache.present(missing)) < len(missing):
            _fill(Downloader(cache, here, progress, sources or Sources()), missing, environment)
        found |= cache.present(missing)
    return {spec.name: found[spec.name] for spec in wanted}


def from_machine(
    wanted: Iterable[ProgramSpec], environment: Mapping[str, str], progress: Progress
) -> dict[str, Path]:
    """The first rung: what lies in ``KUBEBUILDER_ASSETS`` or ``PATH`` and fits."""

    def first_fit(spec: ProgramSpec) -> Path | None:
        for variable in (ASSETS_VARIABLE, "PATH"):
            place = environment.get(variable)
            found = shutil.which(spec.name, path=place) if place else None
            if found is None:
                continue
            version = reported_version(Path(found), spec)
            if version is not None and spec.fits(version):
                return Path(found).absolute()
            if variable == ASSETS_VARIABLE:  # somebody expects it to be used
                said = f"is {version}" if version else "does not say its version"
                progress.say(f"{found} {said}, {spec.version} is needed: not used")
        return None

    specs = list(wanted)
    with ThreadPoolExecutor(max_workers=len(specs) or 1) as pool:
        paths = pool.map(first_fit, specs)
    return {spec.name: path for spec, path in zip(specs, paths, strict=True) if path is not None}


def _fill(
    downloader: Downloader, wanted: Iterable[ProgramSpec], environment: Mapping[str, str]
) -> None:
    """Put what is missing into the cache: by download, and what that leaves, by building it."""
    cache, here, progress = downloader.cache, downloader.here, downloader.progress

    def missing() -> list[ProgramSpec]:
        present = cache.present(wanted)  # again: another process may have done it meanwhile
        return [spec for spec in wanted if spec.name not in present]

    with cache.locked(progress):
        downloader.download(missing())
        by_module = sorted(missing(), key=lambda spec: spec.module)
        try:
            for _, specs in itertools.groupby(by_module, key=lambda spec: spec.module):
                build(list(specs), cache, here, progress, environment)
        except ClusterError as error:
            names = ", ".join(spec.name for spec in missing())
            msg = f"{names}: {error}; or set {ASSETS_VARIABLE} to a directory that has them"
            raise BinariesUnavailableError(msg) from error


def as_directory(programs: Mapping[str, Path], environment: Mapping[str, str] = os.environ) -> Path:
    """One directory with all programs, as ``KUBEBUILDER_ASSETS`` and ``PATH`` want it.

    That is where they are, if they are together; otherwise a directory of links in the cache.
    """
    parents = {path.parent for path in programs.values()}
    if len(parents) == 1:
        return parents.pop()
    cache = Cache.of_user(environment, Platform.here())
    digest = hashlib.sha256("\n".join(sorted(map(str, programs.values()))).encode()).hexdigest()
    links = cache.directory.parent / f"links-{digest[:16]}"
    links.mkdir(parents=True, exist_ok=True)
    for name, path in programs.items():
        link = links / name
        if not link.is_symlink() or link.readlink() != path:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
    return links
