# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""See the operator work: ``python -m hack.quickstart``, which is ``make run``.

Exit status: 0 when the sample became Ready, and whatever was started was stopped by Ctrl-C or by
``--once``; 1 for a failure, which is explained; 2 for a wrong command line; 130 when interrupted
before the sample was Ready.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence

from configs.yaml_reader import load_all
from hack.cluster.errors import ClusterError
from hack.cluster.ports import free_port
from hack.quickstart import guide
from hack.quickstart.clusters import Cluster, cluster
from hack.quickstart.follow import Follower, NotReadyInTime, client_of
from hack.quickstart.screen import Screen
from hack.root import ROOT
from informers.errors import ApiError
from informers.ports import ObjectKey
from llamastack_operator.kube.config import KubeConfigError
from llamastack_operator.observability import logging
from tests.support.operator_process import COMMAND, OperatorProcess

DESCRIPTION = """\
See the operator work: take the cluster that KUBECONFIG names, or start a control plane
with simulated nodes; install the custom resource; run the operator; create a sample and
show its way to Ready. Then it stays, until Ctrl-C stops everything that it started.
"""
INTERRUPTED = 128 + signal.SIGINT
_INSTALL_S = 90.0
_LOOPBACK = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit status."""
    options = _parser().parse_args(arguments)
    _treat_as_interrupt(signal.SIGTERM, signal.SIGHUP)
    logging.configure(level="warning")
    screen = Screen(sys.stdout)
    try:
        with cluster() as where:
            return _in_cluster(where, screen, options)
    except (ClusterError, KubeConfigError, ApiError, NotReadyInTime) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hack.quickstart",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--once", action="store_true", help="stop as soon as the sample is Ready, for CI"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="until the sample is Ready (default: 60; 900 in the cluster of KUBECONFIG)",
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("seconds, more than 0")
    return seconds


def _treat_as_interrupt(*numbers: signal.Signals) -> None:
    """However somebody ends us, we stop what we started."""
    # A shell starts what it puts into the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in numbers:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def _in_cluster(where: Cluster, screen: Screen, options: argparse.Namespace) -> int:
    screen.title(f"Cluster: {where.title}")
    if not where.ours:
        screen.say(
            f"The custom resource definition and a sample in namespace {where.namespace} will be\n"
            "created there. The operator runs on this machine; stop another one before."
        )
    screen.title("Installing the custom resource")
    # Somebody's API server may not reach this machine; ours does.
    port = free_port() if where.ours else None
    _install(where, *([f"--webhook-url=https://{_LOOPBACK}:{port}"] if port else []))
    screen.title("Starting the operator")
    show = _Show(where, screen, options)
    # Simulated nodes run no servers that could be asked.
    flags = (
        ("--probe-servers=off", f"--webhook-port={port}", f"--webhook-host={_LOOPBACK}")
        if port
        else ()
    )
    with OperatorProcess(where.kubeconfig, *flags) as operator:
        operator.wait_ready()
        screen.say(f"process {operator.pid}, log in {operator.log_file}")
        try:
            asyncio.run(show.run(operator))
        except KeyboardInterrupt:
            if not show.ready:
                raise
        finally:
            _stop(operator, where, screen)
    return 0


def _stop(operator: OperatorProcess, where: Cluster, screen: Screen) -> None:
    """Let the operator finish what it does, as Kubernetes would; say what stays."""
    if operator.running:
        screen.title("Stopping")
        screen.say(f"The operator stopped with exit status {operator.terminate()}")
    if not where.ours:
        screen.say(guide.left_behind(where))


def _install(where: Cluster, *flags: str) -> None:
    """By the operator's own command, as a user would."""
    command = [*COMMAND, "install", f"--kubeconfig={where.kubeconfig}", *flags]
    try:
        status = subprocess.run(command, cwd=ROOT, timeout=_INSTALL_S, check=False).returncode
    except subprocess.TimeoutExpired as error:
        msg = f"the installation did not end within {_INSTALL_S:.0f} s"
        raise ClusterError(msg) from error
    if status:
        msg = f"the installation failed (exit status {status}); the line above says why"
        raise ClusterError(msg)


class _Show:
    """From the sample to the interrupt.

    Attributes:
        ready: whether the sample became Ready.
    """

    def __init__(self, where: Cluster, screen: Screen, options: argparse.Namespace) -> None:
        self._where = where
        self._screen = screen
        self._once = bool(options.once)
        self._ready_s = float(options.timeout or where.ready_s)
        self.ready = False

    async def run(self, operator: OperatorProcess) -> None:
        """Returns with ``--once`` only; otherwise it takes an interrupt."""

        def alive() -> None:
            if not operator.running:
                raise operator.failure(f"the operator ended with exit status {operator.wait(0)}")

        key = ObjectKey(self._where.namespace, guide.NAME)
        screen = self._screen
        sample = load_all(guide.SAMPLE.read_bytes())
        screen.title(f"Creating {guide.shown(guide.SAMPLE)}")
        screen.start_clock()
        async with (
            client_of(self._where.kubeconfig) as client,
            Follower(client, key, screen, alive) as follower,
        ):
            await follower.create(sample)
            await follower.until_ready(self._ready_s)
            self.ready = True
            if self._once:
                return
            screen.title("Try next, in another terminal")
            screen.say(guide.next_steps(self._where, operator))
            screen.title("What changes is shown below; Ctrl-C stops everything that was started")
            await follower.forever()


if __name__ == "__main__":
    sys.exit(main())
