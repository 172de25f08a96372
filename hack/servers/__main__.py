# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The servers by hand: ``python -m hack.servers``.

Results go to standard output, everything else to standard error. The exit code is 0, or 1 for a
failure that one line explains or a config that is not right, or 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hack.cluster.progress import Progress
from hack.command_line import Commands
from hack.servers import wheels
from hack.servers.bed import Bed
from hack.servers.endpoint import OpenAIEndpoint
from hack.servers.errors import BedError, BootFailed, ServerAnswered
from hack.servers.installing import SUBJECT, install
from hack.servers.places import PROVIDER_LOCK
from hack.servers.releases import INSTALLED, Release, find, newest
from hack.servers.resolving import resolve
from hack.servers.server import LlamaServer
from hack.servers.validator import Validator

_DESCRIPTION = """\
Real Llama Stack servers on this machine, to prove configs with: each release in an
environment of its own, made of exactly what its lock file lists, and Redis,
PostgreSQL and a container registry for what the servers talk to.

  python -m hack.servers install                  # once, a minute or two
  python -m hack.servers list                     # what is there
  python -m hack.servers validate config.yaml     # ask its classes, no boot
  python -m hack.servers check config.yaml        # boot, show, stop
  python -m hack.servers boot config.yaml         # boot, stay until Ctrl-C

A config may use ${env.RUN_DIR}, a directory that the server can write, and
${env.FAKE_URL}, the base URL of an inference endpoint that answers everything and
runs as long as the server. Everything is below ~/.cache/llamastack-operator/servers.
It needs Python 3.12 or later (PATH or pyenv), or root for a Debian chroot;
LLAMASTACK_OPERATOR_BED=chroot asks for the latter.
"""

_SHOWN = ("/v1/version", "/v1/providers", "/v1/models")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    return _commands().run(arguments, (BedError, OSError), describe=_described)


def _described(error: Exception) -> str:
    """A server that did not start is explained by its log."""
    if isinstance(error, BootFailed):
        return f"{error.log}\nerror: {error.error}"
    return f"error: {error}"


def _commands() -> Commands:
    commands = Commands("python -m hack.servers", _DESCRIPTION)

    several = argparse.ArgumentParser(add_help=False)
    several.add_argument(
        "releases",
        nargs="*",
        type=_release,
        metavar="RELEASE",
        help="e.g. 0.7.3, ogx or an era such as 0.5-0.6 (default: all)",
    )
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("config", type=Path, help="the config.yaml")
    one.add_argument(
        "-r", "--release", type=_release, default=newest("0.7"), help="which server (default: 0.7)"
    )
    one.add_argument(
        "-e",
        "--env",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the server; may be repeated",
    )

    commands.add("install", _install, "install what is missing and print where it is", several)
    commands.add("list", _list, "list the releases, and whether they are installed")
    commands.add("boot", _boot, "run a server with a config until Ctrl-C, print its address", one)
    commands.add("check", _check, "boot a config, print version, providers and models, stop", one)
    commands.add(
        "validate", _validate, "check a config with the server's classes, without booting", one
    )
    commands.add("lock", _lock, "make the lock files again, as of the days in releases.py", several)
    return commands


def _release(text: str) -> Release:
    try:
        return find(text)
    except KeyError:
        known = ", ".join(release.version for release in INSTALLED)
        raise argparse.ArgumentTypeError(f"{text} is none of {known}") from None


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("NAME=VALUE is needed")
    return name, value


def _install(options: argparse.Namespace) -> int:
    started = time.monotonic()
    bed = install(options.releases or INSTALLED)
    Progress(subject=SUBJECT).say(f"ready after {time.monotonic() - started:.1f} s")
    print(bed.directory)
    return 0


def _list(options: argparse.Namespace) -> int:
    del options
    bed = Bed.here()
    for release in INSTALLED:
        there = "installed" if bed.has(release) else "not installed"
        print(f"{release.name:20}era {release.era:10}{there}")
    for name in bed.programs():
        path = bed.find(name)
        print(f"{name:20}{path or 'not installed'}")
    return 0


def _boot(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop like Ctrl-C
    asyncio.run(_serve(options, forever=True))
    return 0


def _check(options: argparse.Namespace) -> int:
    asyncio.run(_serve(options, forever=False))
    return 0


async def _serve(options: argparse.Namespace, *, forever: bool) -> None:
    bed = Bed.open([options.release])
    config = options.config.read_text(encoding="utf-8")
    started = time.monotonic()
    async with OpenAIEndpoint() as endpoint:
        env = {"FAKE_URL": endpoint.url, **dict(options.env)}
        async with LlamaServer(bed, options.release, config, env) as server:
            seconds = time.monotonic() - started
            Progress(subject=SUBJECT).say(f"{options.release.name} is up after {seconds:.1f} s")
            if forever:
                print(server.url, flush=True)
                await asyncio.Event().wait()
            for path in _SHOWN:
                try:
                    answer = await server.get(path)
                except ServerAnswered as error:
                    answer = str(error)
                print(f"GET {path}\n{json.dumps(answer, indent=1)}")


def _validate(options: argparse.Namespace) -> int:
    bed = Bed.open([options.release])
    env = {"RUN_DIR": "/tmp", "FAKE_URL": "http://127.0.0.1:9/v1", **dict(options.env)}  # noqa: S108
    with Validator(bed, options.release) as validator:
        report = validator.check(options.config.read_text(encoding="utf-8"), env)
    for line in report.lines():
        print(line)
    print(f"{options.release.name}: {'right' if report.ok else 'not right'}")
    return 0 if report.ok else 1


def _lock(options: argparse.Namespace) -> int:
    progress = Progress(subject=SUBJECT)
    for release in options.releases or INSTALLED:
        resolve(release, progress)
        print(release.lock)
    if wheels.SERVER in (options.releases or INSTALLED):
        wheels.resolve(progress)
        print(PROVIDER_LOCK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
