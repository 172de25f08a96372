# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Runs ``dump`` in the interpreter of an installed server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

from configs.eras import ERAS
from hack.catalogue.rules import Json
from hack.root import ROOT
from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.releases import RELEASES, Release

Dumps: TypeAlias = Mapping[str, Sequence[Json]]
"""Era → the dumps of its releases, newest last."""

CATALOGUE: Final = ROOT / "configs/data/catalogue.json"
"""What is made."""

_SCRIPT: Final = Path(__file__).with_name("dump.py")
_SECONDS: Final = 120.0
"""For importing a server from a cold disk; 3 s else."""


def dumps(bed: Bed) -> Dumps:
    """What every installed release says, two at a time.

    Raises:
        BedError: one of them could not be asked.
    """
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(RELEASES, pool.map(lambda one: dump(bed, one), RELEASES), strict=True))
    return {era: [found[one] for one in RELEASES if one.era == era] for era in ERAS}


def dump(bed: Bed, release: Release) -> Json:
    """What a release says of its providers.

    Args:
        bed: the installed servers.
        release: one of them.

    Raises:
        BedError: it could not be asked.
    """
    # Through a pipe, because a path would not mean the same inside a chroot; isolated (-I), because
    # its packages must not be looked for among ours. Some of the servers' classes look into the
    # environment, so there is none.
    path = f"{os.defpath}:/usr/sbin:/sbin"  # the latter for entering a chroot
    environment = {"PATH": path, "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(
            [*bed.python(release), "-I", "-"],
            input=_SCRIPT.read_text("utf-8"),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=environment,
            check=True,
        )
    except OSError as error:
        raise BedError(f"{release.name} cannot be run: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no word"])[-1]
        raise BedError(f"{release.name} did not tell of its providers: {last}") from None
    except subprocess.TimeoutExpired:
        raise BedError(
            f"{release.name} did not tell of its providers in {_SECONDS:.0f} s"
        ) from None
    found: Json = json.loads(done.stdout)
    if found["version"] != release.version:
        raise BedError(f"{release.name}: {found['package']} {found['version']} is installed")
    return found
