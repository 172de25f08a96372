# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Installs what is missing: environments of the releases, and the programs around them.

Two installers at a time take turns by the cache's lock; what one has finished the other finds.
"""

from __future__ import annotations

from collections.abc import Sequence

from hack.cluster.errors import ClusterError
from hack.cluster.progress import Progress
from hack.servers import chroot, debian, interpreters, places, venvs, wheels
from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.releases import INSTALLED, Release

SUBJECT = "servers"


def install(releases: Sequence[Release] = INSTALLED, *, progress: Progress | None = None) -> Bed:
    """Have the servers and programs ready; may take minutes the first time, and shows what it does.

    Args:
        releases: which servers.
        progress: where to show it; standard error by default.

    Raises:
        BedError: one of them is not to be had; says what to install or set.
    """
    progress = progress or Progress(subject=SUBJECT)
    try:
        return Bed.open(releases)
    except chroot.NoPythonError:
        raise
    except BedError:
        pass
    cache = places.cache_of_user()
    in_chroot = chroot.is_wanted()
    try:
        with cache.locked(progress):
            bed = Bed(cache.directory, chroot.tree(cache.directory) if in_chroot else None)
            if bed.chroot is not None:
                chroot.make(bed.chroot, progress)
            _install_programs(bed, progress)
            _install_releases(bed, releases, progress)
            wheels.download(bed.wheels, bed.python(releases[-1]), progress)
    except ClusterError as error:  # of the cache
        raise BedError(str(error)) from error
    return Bed.open(releases)


def _install_programs(bed: Bed, progress: Progress) -> None:
    missing = [name for name in debian.PACKAGES if bed.find(name) is None]
    if missing and bed.chroot is None:
        with progress.step(f"fetching {', '.join(missing)}", "from Debian's packages"):
            debian.unpack(missing, bed.unpacked)


def _install_releases(bed: Bed, releases: Sequence[Release], progress: Progress) -> None:
    python = chroot.PYTHON if bed.chroot is not None else str(interpreters.find_python())
    for release in releases:
        directory = bed.venv(release)
        if places.is_finished(directory):
            continue
        with progress.step(f"installing {release.name}", "half a minute or so, once"):
            if bed.chroot is not None:
                chroot.make_venv(bed.chroot, release, directory)
            else:
                venvs.make_venv(release, directory, python)
