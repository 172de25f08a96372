# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The node's programs: by download where the control plane's come so, else built from source.

The ladder is the control plane's (``hack.cluster.binaries``) with two differences. Nothing
is taken from the machine but runc, because a kubelet or containerd that was set up for something
else says nothing about ours. And only the Kubernetes programs are looked for among the releases:
a node needs Go in any case, for the programs that are published nowhere, and everything else is
built in a minute or two.

runc alone is C in part (a constructor that runs before Go's), so it is not built: it comes from
PATH, else from Debian's package, unpacked into the cache. The same goes for nft, which kube-proxy
calls.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hack.cluster.cache import Cache, Platform, pins_hash, user_directory
from hack.cluster.download import Downloader
from hack.cluster.errors import BinariesUnavailableError, ClusterError
from hack.cluster.gobuild import build
from hack.cluster.progress import Progress
from hack.cluster.versions import KUBERNETES, MODULES, ProgramSpec
from hack.servers.debian import in_tree, library_path, unpack
from hack.servers.errors import BedError

SUBJECT = "node"
NODE_MODULES = Path(__file__).parent / "modules"

CONTAINERD = "v2.4.2"
CNI = "v1.9.1"
COREDNS = "v1.15.0"
OURS = "v1.0.0"
"""Of programs whose source lies beside their go.mod."""

_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins/plugins"


def _kubernetes(name: str) -> ProgramSpec:
    return ProgramSpec(name, KUBERNETES, "kubernetes", f"k8s.io/kubernetes/cmd/{name}")


def _containerd(name: str) -> ProgramSpec:
    return ProgramSpec(
        name,
        CONTAINERD,
        "containerd",
        f"{_CONTAINERD}/cmd/{name}",
        tags=("no_btrfs", "no_devmapper", "no_zfs", "no_aufs"),
        ldflags=("-X", f"{_CONTAINERD}/version.Version={CONTAINERD}"),
    )


PROGRAMS = {
    spec.name: spec
    for spec in (
        ProgramSpec("pause", OURS, "pause", "."),
        ProgramSpec("ptp", CNI, "cni", f"{_CNI}/main/ptp"),
        ProgramSpec("host-local", CNI, "cni", f"{_CNI}/ipam/host-local"),
        _containerd("containerd"),
        _containerd("containerd-shim-runc-v2"),
        _containerd("ctr"),
        ProgramSpec("coredns", COREDNS, "coredns", "."),
        ProgramSpec("hostpath-provisioner", OURS, "hostpath-provisioner", "."),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
    )
}
"""What is built, by name."""

PACKAGES: Mapping[str, tuple[str, ...]] = {"runc": ("runc",), "nft": ("nftables",)}
"""What is not, and the Debian package that has it."""

_UNPACKED = "debian"  # below the cache's directory


def obtain(
    *, progress: Progress | None = None, environment: Mapping[str, str] = os.environ
) -> dict[str, Path]:
    """The programs by name, runc and nft among them; may take minutes the first time.

    Args:
        progress: where to show it; standard error by default.
        environment: instead of the process's own.

    Raises:
        BinariesUnavailableError: one of them is not to be had; says what to install.
    """
    progress = progress or Progress(subject=SUBJECT)
    here = Platform.here()
    cache = cache_of_user(environment, here)
    found = _found(cache, environment)
    if len(found) < len(PROGRAMS) + len(PACKAGES):
        with cache.locked(progress):
            _fill(cache, here, progress, environment)
        found = _found(cache, environment)
    return found


def cache_of_user(environment: Mapping[str, str], here: Platform) -> Cache:
    """The directory of these pins; its parent also holds the lock.

    Raises:
        BinariesUnavailableError: the user has no home directory.
    """
    return Cache(user_directory(environment) / "node" / node_hash(here))


def node_hash(here: Platform, modules: Path = NODE_MODULES) -> str:
    """Sixteen hex digits that change with every pin, every source of ours and the platform."""
    digest = hashlib.sha256(f"{pins_hash(here)}\n".encode())
    for spec in PROGRAMS.values():
        words = (spec.name, spec.version, spec.package, *spec.tags, *spec.ldflags)
        digest.update(f"{' '.join(words)}\n".encode())
    for path in sorted(modules.glob("*/*.*")):
        digest.update(f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def library_environment(programs: Mapping[str, Path]) -> dict[str, str]:
    """What unpacked programs need to find their libraries; nothing for installed ones."""
    roots = {path.parents[2] for name, path in programs.items() if name in PACKAGES}
    unpacked = [root for root in roots if root.name == _UNPACKED]
    return {"LD_LIBRARY_PATH": library_path(unpacked[0])} if unpacked else {}


def _found(cache: Cache, environment: Mapping[str, str]) -> dict[str, Path]:
    found = cache.present(PROGRAMS.values())
    places = os.pathsep.join((environment.get("PATH", ""), "/usr/sbin", "/sbin"))
    for name in PACKAGES:
        installed = shutil.which(name, path=places)
        path = Path(installed) if installed else in_tree(cache.directory / _UNPACKED, name)
        if path is not None:
            found[name] = path
    return found


def _fill(cache: Cache, here: Platform, progress: Progress, env: Mapping[str, str]) -> None:
    """Put what is missing into the cache; its lock is held."""

    def missing() -> list[ProgramSpec]:
        present = cache.present(PROGRAMS.values())
        return [spec for spec in PROGRAMS.values() if spec.name not in present]

    packaged = [name for name in PACKAGES if name not in _found(cache, env)]
    try:
        if packaged:
            with progress.step(f"fetching {', '.join(packaged)}", "from Debian's packages"):
                unpack(packaged, cache.directory / _UNPACKED, PACKAGES)
        Downloader(cache, here, progress).download(
            [spec for spec in missing() if spec.module == "kubernetes"]
        )
        for module, specs in itertools.groupby(missing(), key=lambda spec: spec.module):
            modules = NODE_MODULES if (NODE_MODULES / module).is_dir() else MODULES
            build(list(specs), cache, here, progress, env, modules=modules)
    except (ClusterError, BedError) as error:
        names = ", ".join([*packaged, *(spec.name for spec in missing())])
        raise BinariesUnavailableError(f"{names}: {error}") from error
