# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The last rung of the ladder: build the programs from source, through the Go module proxy.

It works wherever Go modules can be had, on any platform, and is reproducible: go.mod and go.sum
below ``modules`` pin every source, and ``-trimpath -buildvcs=false CGO_ENABLED=0`` make the result
bit-identical. Kubernetes as a dependency needs its staging modules replaced by the published ones;
those lines are in the pinned go.mod.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hack.cluster.cache import Cache, Platform
from hack.cluster.errors import BinariesUnavailableError
from hack.cluster.progress import Progress
from hack.cluster.versions import GO, MODULES, ProgramSpec, minor_of

# Measured on two cores with empty caches: etcd 22 to 94 s, four Kubernetes programs 4 to 6 min.
_USUAL_TIME = {
    "cert-manager": "2 minutes",
    "etcd": "a minute",
    "kubernetes": "5 minutes",
    "kwok": "a minute",
}
_NEEDED_BYTES = 600 * 2**20  # the programs themselves; Go's own caches are Go's to complain about

_GO_VERSION_S = 300  # it may download a toolchain of 70 MB first

_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|TLS handshake|proxyconnect"
    r"|module lookup disabled|: (?:reading|GET) https?://\S+: \d{3}"
)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_PACKAGE = re.compile(r"^[\w.~+-]+(?:/[\w.~+-]+)*$")  # what `go build -v` prints for each one
_TAIL_LINES = 4

GO_HOME = "/usr/local/go/bin"
"""Where Go's own instructions install it; many forget the last step, to put it into PATH."""

_INSTALL_GO = f"install Go {GO[0]}.{GO[1]} or newer (https://go.dev/dl)"


def build(
    specs: Sequence[ProgramSpec],
    cache: Cache,
    here: Platform,
    progress: Progress,
    environment: Mapping[str, str] = os.environ,
    *,
    modules: Path = MODULES,
) -> None:
    """Build programs of one module into the cache; call it with the cache's lock held.

    Args:
        specs: programs of one module.
        cache: where to put them.
        here: for which platform.
        progress: where to show it.
        environment: instead of the process's own.
        modules: where the module's directory is: go.mod, go.sum, and perhaps sources of ours.

    Raises:
        BinariesUnavailableError: no Go, an old one, no network, no space; says what to do.
    """
    go = find_go(environment)
    _check_space(cache.directory)
    settings = {
        **environment,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-trimpath -buildvcs=false",
        "GOWORK": "off",
        "GOOS": here.os,
        "GOARCH": here.arch,
    }
    module = specs[0].module
    with cache.workspace() as work:
        for file in sorted((modules / module).glob("*.*")):
            shutil.copyfile(file, work / file.name)
        _check_go_version(go, work, settings)
        output = work / "out"
        output.mkdir()
        # A single program gets a file name, because etcd's package is called "server".
        target = output / specs[0].name if len(specs) == 1 else f"{output}{os.sep}"
        command = [go, "build", "-v", "-ldflags", _ldflags(specs[0]), "-o", str(target)]
        if specs[0].tags:
            command += ["-tags", ",".join(specs[0].tags)]
        command += [spec.package for spec in specs]
        what = f"building {module} {specs[0].version} from source"
        names = ", ".join(spec.name for spec in specs)
        usual = f"about {_USUAL_TIME.get(module, 'a minute')} the first time: {names}"
        counted = collections.Counter[str]()

        def detail() -> str:
            return ", ".join(f"{number} {things}" for things, number in list(counted.items()))

        with progress.step(what, usual, detail):
            _run_go(command, work, settings, counted)
        for spec in specs:
            cache.install(spec, output / spec.name)


def find_go(environment: Mapping[str, str]) -> str:
    """The ``go`` command.

    Raises:
        BinariesUnavailableError: there is none in PATH, nor where its installer puts it.
    """
    places = os.pathsep.join((environment.get("PATH", ""), GO_HOME))
    go = shutil.which("go", path=places)
    if go is None:
        msg = f"Go, which could build them, is not installed: {_INSTALL_GO}"
        raise BinariesUnavailableError(msg)
    return go


def _check_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < _NEEDED_BYTES:
        needed = f"{_NEEDED_BYTES >> 20} MiB are needed"
        msg = f"{directory} has {free >> 20} MiB of free space, {needed}"
        raise BinariesUnavailableError(msg)


def _check_go_version(go: str, directory: Path, settings: Mapping[str, str]) -> None:
    """Ask inside the module: a Go since 1.21 fetches the version that go.mod asks for."""
    try:
        result = subprocess.run(
            [go, "env", "GOVERSION"],
            cwd=directory,
            env=settings,
            capture_output=True,
            text=True,
            timeout=_GO_VERSION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{go} does not say its version ({error}): {_INSTALL_GO}"
        raise BinariesUnavailableError(msg) from error
    version = result.stdout.strip().removeprefix("go")
    if result.returncode or (minor_of(version) or (0, 0)) < GO:
        said = _last_lines(result.stderr.splitlines()) or f"this is Go {version}"
        msg = f"{go} is too old to build them ({said}): {_INSTALL_GO}"
        raise BinariesUnavailableError(msg)


def _ldflags(spec: ProgramSpec) -> str:
    """Strip symbols; Kubernetes also needs to be told its version.

    Otherwise the server says v0.0.0-master, and whoever checks its version takes it for ancient.
    """
    flags = ["-s", "-w", *spec.ldflags]
    if spec.module == "kubernetes":
        major, minor = minor_of(spec.version) or (0, 0)
        facts = {
            "gitVersion": spec.version,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
        }
        for name, value in facts.items():
            flags += ["-X", f"k8s.io/component-base/version.{name}={value}"]
    return " ".join(flags)


def _run_go(
    command: Sequence[str],
    directory: Path,
    settings: Mapping[str, str],
    counted: collections.Counter[str],
) -> None:
    """Run go and count what it reports.

    Raises:
        BinariesUnavailableError: it failed; with what else it said.
    """
    said = collections.deque[str](maxlen=50)
    with _child(command, directory, settings) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("go: downloading "):
                counted["modules fetched"] += 1
            elif _PACKAGE.match(line):
                counted["packages compiled"] += 1
            else:
                said.append(line.strip())
        if process.wait():
            raise BinariesUnavailableError(_explain("\n".join(said), settings))


@contextlib.contextmanager
def _child(
    command: Sequence[str], directory: Path, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A child whose whole group (compilers, linkers) is gone when the block is left."""
    with subprocess.Popen(
        command,
        cwd=directory,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _explain(output: str, settings: Mapping[str, str]) -> str:
    last = _last_lines(output.splitlines())
    if _NO_SPACE.search(output):
        return (
            "no space left while building: a first build takes 10 GB in the caches of Go "
            f"(`go env GOMODCACHE GOCACHE` says where): {last}"
        )
    if _NETWORK.search(output):
        proxy = settings.get("GOPROXY") or "the one of `go env GOPROXY`"
        return f"the Go module proxy ({proxy}) does not answer, check the network: {last}"
    return f"go build failed: {last}"


def _last_lines(lines: Sequence[str]) -> str:
    return " | ".join(line for line in lines[-_TAIL_LINES:] if line.strip())
