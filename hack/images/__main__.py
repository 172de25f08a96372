# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images by hand: ``python -m hack.images {operator,server,probe}``.

Makes an image if it is not in the cache, and prints where its archive is: for ``podman load -i``,
or ``python -m hack.cluster.node load``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.node import programs
from hack.images import base, operator, places, probe, server


def _probe() -> Path:
    program = programs.obtain()["pause"]
    directory = places.cache_of_user().directory
    directory.mkdir(parents=True, exist_ok=True)
    return probe.image(probe.NAME, program, directory / "probe.tar")


_MAKERS: Mapping[str, tuple[str, Callable[[], Path]]] = {
    "operator": (operator.NAME, operator.image),
    "server": (server.NAME, server.image),
    "probe": (probe.NAME, _probe),
    "base": (f"only layer of {base.NAME}", base.layer),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make images; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m hack.images",
        description="Make container images without a registry, and print their archives' paths.",
        epilog="; ".join(f"{name}: {text}" for name, (text, _) in _MAKERS.items()),
    )
    parser.add_argument("images", nargs="+", choices=sorted(_MAKERS), metavar="IMAGE")
    options = parser.parse_args(arguments)
    try:
        for name in options.images:
            print(_MAKERS[name][1]())
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)  # modes go into the images
    sys.exit(main())
