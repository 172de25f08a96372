# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What Secrets and ConfigMaps that are none of our business cost the operator.

    python -m tests.bench.bench_foreign [-n 20000] [--bytes 1024] [--json]

The operator demands no label of the Secrets and ConfigMaps that users refer to, so it is told of
all of them. A control plane is started and the operator on it, once with none of them and once
with N of each kind, with so many bytes of data each. Measured is the time from its start until the
caches are filled, its memory then and at its highest, what is left in its caches, and how long a
resource that waits for a Secret waits once that one is there.

The bar: none of them is in a cache, and they leave no more than 40 MiB behind. It is not nothing
because a list is in memory as a whole for a moment, and the allocator keeps what it needed then;
the next list is put there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hack.cluster.binaries import obtain
from hack.cluster.plane import ControlPlane, PlaneOptions
from tests.bench.baseline_client import bare_client
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, install

BAR_MIB: Final = 40.0
NAMESPACES: Final = 20
_AT_A_TIME: Final = 32
_READY_S: Final = 300.0
_KEPT = re.compile(r'llamastack_operator_informer_objects\{informer="[^"]*-referenced[^"]*"\}')


@dataclass(frozen=True, slots=True)
class Costs:
    """One run of the operator.

    Attributes:
        foreign: Secrets, and as many ConfigMaps, that nobody refers to.
        synced_s: from its start until its caches were filled.
        cpu_s: that it used until then.
        rss_mib: its memory then.
        peak_mib: the most that it had until then.
        kept: objects in the caches of what is referred to.
        reaction_s: from the creation of a Secret that a resource waits for to its Deployment.
    """

    foreign: int
    synced_s: float
    cpu_s: float
    rss_mib: float
    peak_mib: float
    kept: int
    reaction_s: float


def measure(n: int, size: int) -> tuple[Costs, Costs]:
    """Both runs.

    Args:
        n: Secrets, and ConfigMaps.
        size: bytes of data in each.
    """
    with ControlPlane(obtain(), PlaneOptions(controller_manager=False)) as plane:
        kubeconfig = install(plane)
        before = _run(plane, kubeconfig, 0)
        asyncio.run(_fill(plane, n, size))
        return before, _run(plane, kubeconfig, n)


def _run(plane: ControlPlane, kubeconfig: Path, foreign: int) -> Costs:
    name = f"mine-{foreign}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    plane.client.create("/api/v1/namespaces", body)
    world = World(plane, name)
    began = time.monotonic()
    with OperatorProcess(kubeconfig) as operator:
        operator.wait_logged("Filled the caches", _READY_S)
        synced, cpu = time.monotonic() - began, operator.cpu_s()
        rss, peak = operator.rss_mib(), _peak_mib(operator.pid)
        world.resource()
        world.wait_condition("SecretsResolved", "False")
        kept = sum(v for sample, v in operator.metrics().items() if _KEPT.fullmatch(sample))
        created = time.monotonic()
        world.secret()
        eventually("the Deployment is there", lambda: world.get("deployment", "demo"))
        reaction = time.monotonic() - created
        world.delete("llsd", "demo")
        operator.terminate()
    return Costs(foreign, synced, cpu, rss, peak, int(kept), reaction)


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found.group(1)) / 1024 if found else 0.0


async def _fill(plane: ControlPlane, n: int, size: int) -> None:
    for number in range(NAMESPACES):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _home(number)}}
        plane.client.create("/api/v1/namespaces", body)
    async with bare_client(str(plane.kubeconfig), user_agent="bench-foreign") as client:
        for kind, resource in (("Secret", "secrets"), ("ConfigMap", "configmaps")):
            for number in range(NAMESPACES):
                path = f"/api/v1/namespaces/{_home(number)}/{resource}"
                made = _objects(kind, range(number, n, NAMESPACES), size)
                await client.post_all(path, made, at_a_time=_AT_A_TIME)


def _home(number: int) -> str:
    return f"foreign-{number}"


def _objects(kind: str, numbers: range, size: int) -> Iterator[dict[str, Any]]:
    field = "stringData" if kind == "Secret" else "data"
    for number in numbers:
        metadata = {"name": f"foreign-{number}", "labels": {"app": f"app-{number % 100}"}}
        content = {"value": f"{number:08d}" * (size // 8)}
        yield {"apiVersion": "v1", "kind": kind, "metadata": metadata, field: content}


def table(before: Costs, after: Costs) -> str:
    """For people."""
    rows = [("", f"{before.foreign} foreign", f"{after.foreign} + {after.foreign} foreign")]
    for name, unit in (
        ("synced_s", "s until the caches are filled"),
        ("cpu_s", "s of CPU until then"),
        ("rss_mib", "MiB then"),
        ("peak_mib", "MiB at most until then"),
        ("kept", "objects kept of them"),
        ("reaction_s", "s from a Secret to the Deployment that waits for it"),
    ):
        rows.append((unit, f"{getattr(before, name):.2f}", f"{getattr(after, name):.2f}"))
    return "\n".join(f"{unit:52} {one:>12} {two:>24}" for unit, one, two in rows)


def within_bar(before: Costs, after: Costs) -> bool:
    """Whether they leave nothing behind but what an allocator keeps."""
    return after.kept <= before.kept and after.rss_mib - before.rss_mib <= BAR_MIB


def main() -> int:
    """Measure and print; 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_foreign")
    parser.add_argument("-n", type=int, default=20_000, metavar="N", help="of each (%(default)s)")
    parser.add_argument("--bytes", type=int, default=1024, metavar="B", help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="numbers instead of a table")
    given = parser.parse_args()
    before, after = measure(given.n, given.bytes)
    print(json.dumps([asdict(before), asdict(after)]) if given.json else table(before, after))
    return 0 if within_bar(before, after) else 1


if __name__ == "__main__":
    sys.exit(main())
