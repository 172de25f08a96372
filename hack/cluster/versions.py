# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which programs a control plane consists of, at which versions.

``modules/*/go.mod`` and ``go.sum`` pin every source of a build from source; a unit test holds them
against the versions here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
"""One directory a Go module: go.mod and go.sum, verified against each other by Go."""

KUBERNETES = "v1.36.3"
ETCD = "v3.6.5"
KWOK = "v0.8.0"

GO = (1, 26)
"""The oldest Go that builds all of them (the ``go`` line of their go.mod files)."""


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One program.

    Attributes:
        name: of the executable.
        version: the one we obtain, with a leading ``v``.
        module: directory below ``modules``.
        package: Go package of the program.
        version_arguments: what makes it say its version, quickly and without a server.
        tags: Go build tags, the same for all programs of a module.
        ldflags: more flags for the linker, the same for all programs of a module.
    """

    name: str
    version: str
    module: str
    package: str
    version_arguments: tuple[str, ...] = ("--version",)
    tags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()

    def fits(self, version: str) -> bool:
        """Whether a program of that version will do: the same major and minor version.

        A minor version of Kubernetes decides which APIs and flags exist, a patch does not.
        """
        return minor_of(version) == minor_of(self.version)


def minor_of(version: str) -> tuple[int, int] | None:
    """Major and minor number of a version such as ``v1.36.3`` or ``1.36``; None if it is none."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\D|$)", version)
    return None if match is None else (int(match[1]), int(match[2]))


def _kubernetes(name: str, *arguments: str) -> ProgramSpec:
    return ProgramSpec(
        name, KUBERNETES, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", arguments or ("--version",)
    )


PROGRAMS = {
    spec.name: spec
    for spec in (
        ProgramSpec("etcd", ETCD, "etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl", "version", "--client"),
        ProgramSpec("kwok", KWOK, "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    )
}
"""Every program by name, in the order in which they are built."""
