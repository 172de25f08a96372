# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The init containers of a pod with external providers, one after the other, without containers.

Each is the program that runs in the pod, in the Python that would run it: the installer with a real
pip, ``merge-run-yaml`` as a process of its own, the preflight in a server's Python. Image and
volumes are directories where the servers can read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs import yaml_reader
from configs.external import inside
from hack.root import ROOT
from hack.servers.bed import Bed
from hack.servers.releases import Release
from tests.support.provider_wheels import ProviderImage

INSTALL: Final = Path(inside.__path__[0]) / "install.py"
PREFLIGHT: Final = INSTALL.with_name("preflight.py")
OUR_PYTHON: Final = (sys.executable,)
"""That of this project, for images whose wheels are pure Python."""

_SECONDS = 240.0


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: its exit status.
        out: its standard output.
        err: its standard error.
        seconds: what it took.
    """

    status: int
    out: str
    err: str
    seconds: float


class ProviderPod:
    """The volumes of a pod, and what its init containers do with them.

    Args:
        place: for all of it; one that servers can read if one of them is to look at it.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.staged, self.packages = place / "staged", place / "python-packages"
        self.inputs, self.config = place / "crd-config", place / "config"
        for folder in (self.staged, self.inputs, self.config):
            folder.mkdir()
        self._count = 0

    def install(
        self,
        image: ProviderImage,
        name: str,
        *,
        python: Sequence[str] = OUR_PYTHON,
        bed: Bed | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Ended:
        """Add a provider to the resource and run its container.

        Args:
            image: what its image holds.
            name: its id.
            python: how to run the Python that has pip.
            bed: whose Python that is; None for one of this machine.
            config: what the resource says.
        """
        root = self.place / f"image-{name}"
        image.write(root)
        self._describe(name, image.api, config)
        outside = {"PROVIDER_ROOT": root, "INSTALL_TARGET": self.staged / name}
        paths = {key: bed.inside(path) if bed else str(path) for key, path in outside.items()}
        script = self._tool(INSTALL)
        variables = {
            **paths,
            "PROVIDER_ID": name,
            "PROVIDER_IMAGE": f"registry.example/{name}:v1",
            "INIT_CONTAINER_NAME": f"install-provider-{name}",
        }
        return run(in_environment(python, variables, bed.inside(script) if bed else str(script)))

    def merge(self, base: Mapping[str, Any]) -> Ended:
        """Merge packages and configuration."""
        path = self.place / "base.yaml"
        path.write_text(yaml_reader.dump(dict(base)), encoding="utf-8")
        arguments = [
            f"--metadata-dir={self.staged}",
            f"--extra-providers-output={self.config / 'extra-providers.yaml'}",
            f"--output={self.config / 'run.yaml'}",
            f"--base={path}",
            f"--crd-config-dir={self.inputs}",
            f"--log-output={self.config / 'merge-log.txt'}",
            f"--packages-output={self.packages}",
        ]
        return run([*OUR_PYTHON, "-m", "llamastack_operator.merge_run_yaml", *arguments], cwd=ROOT)

    def preflight(self, bed: Bed, release: Release) -> Ended:
        """Load the providers once, in a server's Python."""
        inside_place = bed.inside(self.place)
        arguments = [
            bed.inside(self._tool(PREFLIGHT)), f"--run-yaml={inside_place}/config/run.yaml",
            f"--metadata-dir={inside_place}/staged", f"--crd-config-dir={inside_place}/crd-config",
            f"--packages-dir={inside_place}/python-packages",
        ]  # fmt: skip
        variables = {"HOME": inside_place, "PYTHONDONTWRITEBYTECODE": "1", **self.python_path(bed)}
        return run(in_environment(bed.python(release), variables, *arguments))

    def python_path(self, bed: Bed) -> dict[str, str]:
        """The variable that the server gets."""
        return {"PYTHONPATH": bed.inside(self.packages)}

    @property
    def run_yaml(self) -> str:
        """The merged configuration."""
        return (self.config / "run.yaml").read_text(encoding="utf-8")

    def _describe(self, name: str, api: str, config: Mapping[str, Any] | None) -> None:
        """What the operator's ConfigMap says of a provider."""
        entry: dict[str, Any] = {
            "providerId": name, "api": api, "section": api, "index": self._count,
            "image": f"registry.example/{name}:v1", "initContainerName": f"install-provider-{name}",
        }  # fmt: skip
        if config is not None:
            entry["config"] = config
        path = self.inputs / f"{self._count:02}-{name}.json"
        path.write_text(json.dumps(entry), encoding="utf-8")
        self._count += 1

    def _tool(self, script: Path) -> Path:
        """A program as the ConfigMap hands it on: alone."""
        path = self.inputs / script.name
        path.write_bytes(script.read_bytes())
        return path


@contextmanager
def pip_python(bed: Bed, release: Release) -> Iterator[list[str]]:
    """How to run a Python of a server's version that has pip, as images of servers have."""
    place = bed.household.place("python-with-pip")
    made = run([*bed.python(release), "-m", "venv", bed.inside(place / "venv")])
    assert made.status == 0, made.err
    yield [*bed.python(release)[:-1], f"{bed.inside(place)}/venv/bin/python"]
    bed.household.clear(place)


def in_environment(
    command: Sequence[str], variables: Mapping[str, str], *arguments: str
) -> list[str]:
    """A command line whose program has these variables and a ``PATH``, and nothing else of ours."""
    *before, program = command
    given = {"PATH": os.defpath, "TERMINATION_LOG": os.devnull, **variables}
    assigned = [f"{name}={value}" for name, value in given.items()]
    return [*before, "/usr/bin/env", "-i", *assigned, program, *arguments]


def run(command: Sequence[str], *, cwd: Path | None = None) -> Ended:
    """Run a program to its end."""
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - started)
