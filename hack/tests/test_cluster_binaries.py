# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The ladder that the programs of the control plane are obtained by.

Programs are small scripts that say a version, and so is ``go``; directories, locks and processes
are real. Nothing here reaches the network.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hack.cluster import gobuild
from hack.cluster.binaries import from_machine, obtain
from hack.cluster.cache import Cache, Platform
from hack.cluster.download import Sources
from hack.cluster.errors import BinariesUnavailableError
from hack.cluster.probe import reported_version
from hack.cluster.process import ProcessId
from hack.cluster.progress import Progress
from hack.cluster.versions import PROGRAMS
from hack.root import ROOT

_KUBECTL = PROGRAMS["kubectl"]
_NOWHERE = Sources(*(["http://127.0.0.1:9"] * 3))  # the discard port: refused at once

_SAYS = {
    "etcd": "etcd Version: 3.6.7",
    "kube-apiserver": "Kubernetes v1.36.0",
    "kube-controller-manager": "Kubernetes v1.36.0",
    "kube-scheduler": "Kubernetes v1.36.0",
    "kubectl": "Client Version: v1.36.0",
    "kwok": "kwok version v0.8.1 go1.26.8 (linux/amd64)",
}

_FAKE_GO = r"""
import json, os, pathlib, sys
if sys.argv[1] == "env":
    print(os.environ.get("FAKE_GO_VERSION", "go1.26.8"))
    sys.exit()
log = pathlib.Path(os.environ["FAKE_GO_LOG"])
with log.open("a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.listdir()]) + "\n")
target = sys.argv[sys.argv.index("-o") + 1]
packages = sys.argv[sys.argv.index("-o") + 2 :]
for package in packages:
    name = os.path.join(target, os.path.basename(package)) if target.endswith("/") else target
    pathlib.Path(name).write_text("built " + package)
print("go: downloading k8s.io/api v0.36.3", file=sys.stderr)
print("k8s.io/api/core/v1", file=sys.stderr)
if "FAKE_GO_ERROR" in os.environ:
    print(os.environ["FAKE_GO_ERROR"], file=sys.stderr)
    sys.exit(1)
if "FAKE_GO_HANGS" in os.environ:
    import time
    log.with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(600)
"""


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _says(path: Path, text: str) -> Path:
    return _script(path, f"echo {shlex.quote(text)}")


def _assets(directory: Path, *names: str) -> Path:
    for name in names:
        _says(directory / name, _SAYS[name])
    return directory


class _Machine:
    """A home directory and a PATH with nothing but what the test put there."""

    def __init__(self, root: Path) -> None:
        self.path = root / "path"
        self.path.mkdir()
        self.go_log = root / "go.log"
        self.environment = {
            "PATH": str(self.path),
            "XDG_CACHE_HOME": str(root / "cache"),
            "FAKE_GO_LOG": str(self.go_log),
        }
        self.told = io.StringIO()
        self.cache = Cache.of_user(self.environment, Platform.here())

    def install_go(self, **settings: str) -> None:
        code = self.path / "go.py"
        code.write_text(_FAKE_GO)
        _script(
            self.path / "go", f'exec {shlex.quote(sys.executable)} {shlex.quote(str(code))} "$@"'
        )
        self.environment |= settings

    def obtain(self, *names: str, sources: Sources = _NOWHERE) -> Mapping[str, Path]:
        return obtain(
            names or tuple(PROGRAMS),
            progress=Progress(self.told, every=60),
            environment=self.environment,
            sources=sources,
        )

    def builds(self) -> list[str]:
        return self.go_log.read_text().splitlines() if self.go_log.exists() else []

    def leftovers(self) -> list[str]:
        return [p.name for p in self.cache.directory.parent.glob(".*")]


@pytest.fixture
def machine(tmp_path: Path) -> _Machine:
    return _Machine(tmp_path)


# --- what the machine has ------------------------------------------------------------------


def test_assets_come_before_path_and_any_patch_version_fits(
    machine: _Machine, tmp_path: Path
) -> None:
    assets = _assets(tmp_path / "assets", *PROGRAMS)
    _says(machine.path / "etcd", "etcd Version: 3.6.5")
    machine.environment["KUBEBUILDER_ASSETS"] = str(assets)

    programs = machine.obtain()

    assert programs == {name: assets / name for name in PROGRAMS}
    assert not machine.cache.directory.exists()


def test_old_kubectl_in_path_is_passed_over_for_the_cache(machine: _Machine) -> None:
    _says(machine.path / "kubectl", "Client Version: v1.32.4-dispatcher")
    cached = _script(machine.cache.directory / "kubectl", "exit 0")

    assert machine.obtain("kubectl") == {"kubectl": cached}


def test_asset_that_does_not_fit_is_told_and_path_is_tried(
    machine: _Machine, tmp_path: Path
) -> None:
    _says(tmp_path / "assets" / "kubectl", "Client Version: v1.30.0")
    fitting = _says(machine.path / "kubectl", "Client Version: v1.36.9")
    machine.environment["KUBEBUILDER_ASSETS"] = str(tmp_path / "assets")

    assert machine.obtain("kubectl") == {"kubectl": fitting}
    assert "assets/kubectl is v1.30.0, v1.36.3 is needed: not used" in machine.told.getvalue()


def test_only_what_the_assets_lack_is_built(machine: _Machine, tmp_path: Path) -> None:
    assets = _assets(tmp_path / "assets", "etcd", "kube-apiserver", "kubectl")
    machine.environment["KUBEBUILDER_ASSETS"] = str(assets)
    machine.install_go()

    programs = machine.obtain()

    assert programs["kube-apiserver"] == assets / "kube-apiserver"
    assert programs["kwok"] == machine.cache.directory / "kwok"
    built = " ".join(machine.builds())
    assert "cmd/kube-scheduler" in built
    assert "cmd/kube-apiserver" not in built
    assert "etcd/server" not in built


@pytest.mark.parametrize(
    "text",
    ["exit 1", "echo v1.36.3", "echo 'Client Version: v1.36.3'; exit 1", "echo 'kubectl: command'"],
)
def test_program_that_does_not_say_its_version_properly_is_not_believed(
    tmp_path: Path, text: str
) -> None:
    assert reported_version(_script(tmp_path / "kubectl", text), _KUBECTL) is None


def test_wrapper_that_hangs_is_given_up_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    wrapper = _script(tmp_path / "kubectl", f"sleep 600 & echo $! > {pid_file}; wait")
    started = time.monotonic()

    version = reported_version(wrapper, _KUBECTL, deadline=0.5)

    assert version is None
    assert time.monotonic() - started < 5
    child = ProcessId.of(int(pid_file.read_text()))
    assert child is None or child._gone_within(5)


def test_file_that_cannot_be_executed_is_not_a_program(tmp_path: Path) -> None:
    path = tmp_path / "kubectl"
    path.write_bytes(b"\x7fELF not really")
    path.chmod(0o755)
    environment = {"KUBEBUILDER_ASSETS": str(tmp_path)}
    told = io.StringIO()

    assert from_machine([_KUBECTL], environment, Progress(told)) == {}
    assert "does not say its version" in told.getvalue()


# --- building ------------------------------------------------------------------------------


def test_build_fills_the_cache_with_pinned_sources_and_reproducible_flags(
    machine: _Machine,
) -> None:
    machine.install_go(GOFLAGS="-mod=mod", GOWORK="/somewhere/go.work", CGO_ENABLED="1")

    programs = machine.obtain()

    assert programs == {name: machine.cache.directory / name for name in PROGRAMS}
    assert programs["kubectl"].read_text() == "built k8s.io/kubernetes/cmd/kubectl"
    assert all(os.access(path, os.X_OK) for path in programs.values())
    assert machine.leftovers() == []
    first, second, third = machine.builds()
    for build in (first, second, third):
        assert '"GOFLAGS": "-trimpath -buildvcs=false"' in build
        assert '"CGO_ENABLED": "0"' in build
        assert '"GOWORK": "off"' in build
        assert '"go.mod"' in build
        assert '"go.sum"' in build
    assert "version.gitVersion=v1.36.3" in second
    told = machine.told.getvalue()
    assert "building kubernetes v1.36.3 from source, about 5 minutes the first time" in told
    assert "1 modules fetched, 1 packages compiled, done" in told


def test_second_time_nothing_is_built(machine: _Machine) -> None:
    machine.install_go()
    machine.obtain()
    count = len(machine.builds())

    machine.obtain()

    assert len(machine.builds()) == count == 3


def test_failed_build_leaves_nothing_and_keeps_what_was_built_before(machine: _Machine) -> None:
    machine.install_go()
    machine.obtain("etcd")
    machine.environment["FAKE_GO_ERROR"] = "x.go:1: syntax error"

    with pytest.raises(BinariesUnavailableError, match=r"kwok: go build failed: .*syntax error"):
        machine.obtain("etcd", "kwok")

    assert sorted(os.listdir(machine.cache.directory)) == ["etcd"]
    assert machine.leftovers() == []


def test_killed_build_leaves_nothing_that_the_next_one_would_take(
    machine: _Machine, tmp_path: Path
) -> None:
    machine.install_go(FAKE_GO_HANGS="1")
    code = "from hack.cluster.binaries import obtain; obtain(['kwok'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**machine.environment, "HTTPS_PROXY": "http://127.0.0.1:9"},
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    ) as process:
        pid_file = tmp_path / "go.pid"
        deadline = time.monotonic() + 20
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    os.kill(int(pid_file.read_text()), 9)
    assert machine.leftovers() != []
    assert machine.cache.present([PROGRAMS["kwok"]]) == {}
    del machine.environment["FAKE_GO_HANGS"]

    programs = machine.obtain("kwok")

    assert programs["kwok"].read_text() == "built sigs.k8s.io/kwok/cmd/kwok"
    assert machine.leftovers() == []


def test_two_at_a_time_build_once(machine: _Machine) -> None:
    machine.install_go()
    results: list[Mapping[str, Path]] = []
    with machine.cache.locked(Progress(io.StringIO())):
        threads = [
            threading.Thread(target=lambda: results.append(machine.obtain("kwok")))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while machine.told.getvalue().count("waiting for another process") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert machine.builds() == []
    for thread in threads:
        thread.join(timeout=20)

    assert len(results) == 2
    assert results[0] == results[1]
    assert len(machine.builds()) == 1


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            'go: k8s.io/api@v0.36.3: Get "https://p/x": dial tcp: lookup p: no such host',
            r"the Go module proxy \(the one of `go env GOPROXY`\) does not answer",
        ),
        (
            "go: k8s.io/api@v0.36.3: reading https://p/k8s.io/api/@v/v0.36.3.zip: 403 Forbidden",
            r"does not answer, check the network: .*403",
        ),
        ("/usr/bin/ld: final link failed: No space left on device", r"no space left .* 10 GB"),
        ("verifying k8s.io/api@v0.36.3: checksum mismatch", r"go build failed: .*mismatch"),
    ],
)
def test_failed_build_says_what_to_do(machine: _Machine, output: str, line: str) -> None:
    machine.install_go(FAKE_GO_ERROR=output)

    with pytest.raises(BinariesUnavailableError, match=line) as info:
        machine.obtain("kwok")

    assert "\n" not in str(info.value)
    assert "done" not in machine.told.getvalue()
    assert "or set KUBEBUILDER_ASSETS to a directory that has them" in str(info.value)


@pytest.mark.parametrize("version", ["go1.19.8", "go1.25.4", ""])
def test_old_go_is_named_with_what_to_install(machine: _Machine, version: str) -> None:
    machine.install_go(FAKE_GO_VERSION=version)

    with pytest.raises(BinariesUnavailableError, match=r"too old.*install Go 1\.26 or newer"):
        machine.obtain("kwok")


def test_machine_without_go_is_told_what_to_install(
    machine: _Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gobuild, "GO_HOME", "/nonexistent")

    with pytest.raises(BinariesUnavailableError) as info:
        machine.obtain("etcd", "kwok")

    assert str(info.value) == (
        "etcd, kwok: Go, which could build them, is not installed: install Go 1.26 or newer "
        "(https://go.dev/dl); or set KUBEBUILDER_ASSETS to a directory that has them"
    )


def test_cache_that_cannot_be_made_is_named_with_what_to_set(
    machine: _Machine, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(BinariesUnavailableError, match=r"cannot be written.*set XDG_CACHE_HOME"):
        machine.obtain("kwok")


def test_user_without_home_is_told_what_to_set() -> None:
    with pytest.raises(BinariesUnavailableError, match="set XDG_CACHE_HOME"):
        Cache.of_user({}, Platform.here())
