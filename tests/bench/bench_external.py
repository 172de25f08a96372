# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How long a pod takes longer to start with external providers, but for pulling their images.

    make bench-external
    python -m tests.bench.bench_external [--providers N] [--json]

A provider has ten dependency wheels (``tests.support.large_providers``). Each program runs in a
process of its own, as in the pod: the installer by the pip of the image and by that of a server's
Python, which are the two deliveries; ``merge-run-yaml``; the preflight in a real server's Python.

The bars: 30 s to install a provider, 0.5 s until the merge begins, 30 s for the preflight of ten.
Exit code 1 if one is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs import yaml_reader
from hack.root import ROOT
from hack.servers.bed import Bed
from hack.servers.installing import install
from hack.servers.releases import newest
from tests.bench.report import Bar, bar_lines
from tests.support.large_providers import large_image
from tests.support.provider_pod import OUR_PYTHON, Ended, ProviderPod, pip_python, run
from tests.support.provider_wheels import ProviderImage

INSTALL_BAR_S: Final = 30.0
START_BAR_S: Final = 0.5
PREFLIGHT_BAR_S: Final = 30.0
SERVER: Final = newest("0.7")

_STARTS = 5


@dataclass(frozen=True, slots=True)
class Times:
    """What was measured, in seconds.

    Attributes:
        providers: how many there were in the end.
        files: of the packages of one.
        wheels_mib: of the wheels of one.
        packages_mib: of what is installed of them.
        install_by_image: one, with the pip of its image.
        install_by_server: one that is mounted into the server's image, with the pip of that.
        start: of ``merge-run-yaml`` without work.
        merge_one: with one provider.
        merge_all: with all.
        preflight_one: with one provider.
        preflight_all: with all.
    """

    providers: int
    files: int
    wheels_mib: float
    packages_mib: float
    install_by_image: float
    install_by_server: float
    start: float
    merge_one: float
    merge_all: float
    preflight_one: float
    preflight_all: float

    def bars(self) -> list[Bar]:
        """What has one."""
        return [
            Bar("install by the image's pip", self.install_by_image, INSTALL_BAR_S, "s"),
            Bar("install by the server's pip", self.install_by_server, INSTALL_BAR_S, "s"),
            Bar("merge-run-yaml: start", self.start, START_BAR_S, "s"),
            Bar(f"preflight of {self.providers}", self.preflight_all, PREFLIGHT_BAR_S, "s"),
        ]


def measure(bed: Bed, providers: int) -> Times:
    """Everything, one after the other.

    Args:
        bed: of servers.
        providers: how many there are in the end.
    """
    place = bed.household.place("bench-external")
    one, other = _made(place, "one"), _made(place, "other")
    image = large_image(0)
    by_image = _ended(one.install(image, "p0"))
    with pip_python(bed, SERVER) as python:
        by_server = _ended(other.install(image, "p0", python=python, bed=bed))
    merge_one = _ended(one.merge(_base()))
    preflight_one = _ended(one.preflight(bed, SERVER))
    for number in range(1, providers):
        _ended(one.install(large_image(number), f"p{number}"))
    installed = [path for path in other.staged.rglob("*") if path.is_file()]
    times = Times(
        providers=providers,
        files=len(installed),
        wheels_mib=_mib(_wheels(image)),
        packages_mib=_mib(sum(path.stat().st_size for path in installed)),
        install_by_image=by_image,
        install_by_server=by_server,
        start=_start(),
        merge_one=merge_one,
        merge_all=_ended(one.merge(_base())),
        preflight_one=preflight_one,
        preflight_all=_ended(one.preflight(bed, SERVER)),
    )
    bed.household.clear(place)
    return times


def _made(place: Path, name: str) -> ProviderPod:
    (place / name).mkdir()
    return ProviderPod(place / name)


def _ended(step: Ended) -> float:
    """The seconds of a program that did what it should.

    Raises:
        RuntimeError: it did not.
    """
    if step.status:
        raise RuntimeError(step.err)
    return step.seconds


def _start() -> float:
    """The least of several, for whatever else is running only adds."""
    command = [*OUR_PYTHON, "-m", "llamastack_operator.merge_run_yaml", "--help"]
    return min(_ended(run(command, cwd=ROOT)) for _ in range(_STARTS))


def _base() -> dict[str, Any]:
    """The configuration of the largest distribution."""
    text = (ROOT / "configs" / "data" / "base" / "starter.yaml").read_text(encoding="utf-8")
    base: dict[str, Any] = yaml_reader.load(text)
    return base


def _wheels(image: ProviderImage) -> int:
    return sum(len(wheel.build()) for wheel in image.wheels)


def _mib(size: int) -> float:
    return round(size / 1024 / 1024, 1)


def text(times: Times) -> str:
    """The table."""
    lines = [
        f"a provider with ten dependency wheels: {times.wheels_mib} MiB of wheels, "
        f"{times.files} files in {times.packages_mib} MiB installed",
        "",
        *bar_lines(times.bars()),
        "",
        f"merge of 1 provider, and of {times.providers:3} {times.merge_one:15.2f} s "
        f"{times.merge_all:7.2f} s",
        f"preflight of 1 provider {times.preflight_one:24.2f} s",
    ]
    return "\n".join(lines)


def main() -> int:
    """Prints the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--providers", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    times = measure(install(), arguments.providers)
    bars = times.bars()
    if arguments.json:
        made = [{**dataclasses.asdict(bar), "ok": bar.ok} for bar in bars]
        print(json.dumps({**dataclasses.asdict(times), "bars": made}, indent=1))
    else:
        print(text(times))
    return 0 if all(bar.ok for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
