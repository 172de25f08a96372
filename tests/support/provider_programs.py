# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the programs in a pod say of the image of a provider: the real ones, with the real pip.

They run here, one after the other, in the Python of the tests and without a server.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from configs.external import containers, inside

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PROGRAMS = Path(inside.__path__[0])


class PodPrograms:
    """The volumes of a pod with one provider.

    Args:
        place: for them.
        provider_id: of the provider.
        section: of the resource that it is in, whose API is called the same.
    """

    def __init__(self, place: Path, provider_id: str, section: str = "inference") -> None:
        self._place = place
        self._id = provider_id
        self._section = section
        self._log = place / "termination-log"
        place.mkdir()

    @property
    def staged(self) -> Path:
        """Where the directory of the provider is."""
        return self._place / "staged"

    def failure(self, image: Path, before: tuple[str, ...] = ()) -> str:
        """What the first program that fails says; empty if none does.

        Args:
            image: its root directory.
            before: a command that starts the first program.
        """
        for program in (self._install, self._merge, self._preflight):
            self._log.write_text("")
            command = program(image)
            environment = self._environment(image)
            done = subprocess.run(
                [*before, *command], env=environment, capture_output=True, text=True, check=False
            )
            before = ()
            if done.returncode:
                return self._log.read_text("utf-8")
        return ""

    def _environment(self, image: Path) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "PROVIDER_ID": self._id,
            "PROVIDER_IMAGE": str(image),
            "INIT_CONTAINER_NAME": containers.install(self._id),
            "PROVIDER_ROOT": str(image),
            "INSTALL_TARGET": str(self.staged / self._id),
            "TERMINATION_LOG": str(self._log),
            "PYTHONPATH": f"{self._place / 'python-packages'}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _install(self, _: Path) -> list[str]:
        return [sys.executable, self._copied("install.py")]

    def _merge(self, image: Path) -> list[str]:
        entry = {
            "providerId": self._id,
            "api": self._section,
            "section": self._section,
            "index": 0,
            "image": str(image),
            "initContainerName": containers.install(self._id),
        }
        inputs = self._place / "input"
        inputs.mkdir()
        (inputs / f"00-{self._id}.json").write_text(json.dumps(entry), "utf-8")
        code = "from llamastack_operator.merge_run_yaml import main; raise SystemExit(main())"
        return [
            sys.executable, "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r}); {code}",
            f"--metadata-dir={self.staged}",
            f"--extra-providers-output={self._place}/extra-providers.yaml",
            f"--output={self._place}/run.yaml",
            f"--crd-config-dir={inputs}",
            f"--packages-output={self._place}/python-packages",
        ]  # fmt: skip

    def _preflight(self, _: Path) -> list[str]:
        return [
            sys.executable, self._copied("preflight.py"),
            f"--run-yaml={self._place}/run.yaml", f"--metadata-dir={self.staged}",
            f"--crd-config-dir={self._place}/input",
            f"--packages-dir={self._place}/python-packages",
        ]  # fmt: skip

    def _copied(self, name: str) -> str:
        """A program away from the project, as a ConfigMap hands it to an image."""
        tools = self._place / "tools"
        tools.mkdir(exist_ok=True)
        return str(shutil.copy(str(_PROGRAMS / name), tools))
