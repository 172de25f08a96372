# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The project's own image, built from its Containerfile as anybody would.

buildah does it without a daemon; ``--isolation chroot`` needs no runtime, cgroups or limits, and
``--network host`` no bridge. What this machine needs to reach its package index (a CA bundle, pip's
settings) is mounted while it builds and not in the image. Images in the making are in a temporary
directory: nothing grows but the cache of finished archives.
"""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from hack.cluster.progress import Progress
from hack.images import base, places, tools
from hack.images.places import SUBJECT
from hack.root import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]
NAME = f"docker.io/library/llamastack-operator:{VERSION}"
"""What the manifests' ``llamastack-operator:VERSION`` means to a node."""

_SECONDS = 900
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'
_FILES = ("Containerfile", ".dockerignore", "requirements.lock", "requirements-build.lock")


def sources() -> list[Path]:
    """Every file that a build may read, as git sees the tree: changed and new files too."""
    patterns = [line[1:] for line in _ignore_lines() if line.startswith("!")]
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard", *patterns]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    paths = {ROOT / name for name in [*listed.split("\0"), *_FILES] if name}
    return sorted(path for path in paths if path.is_file())


def image(progress: Progress | None = None) -> Path:
    """The image as an archive; half a minute when something has changed.

    Raises:
        ClusterError: buildah is not to be had, or the build fails; with its last words.
    """
    progress = progress or Progress(subject=SUBJECT)
    below = base.layer(progress)
    files = sources()
    names = "\n".join(str(path.relative_to(ROOT)) for path in files)

    def make(work: Path, target: Path) -> None:
        build = Build(work, progress)
        build.load(base.image(work / "base.tar", progress))
        build.run(ROOT)
        build.save(target)

    inputs = places.key(below.name, NAME, names, files)
    return places.made("operator", inputs, make, "the operator's image", progress)


class Build:
    """One build with storage of its own below ``work``."""

    def __init__(self, work: Path, progress: Progress) -> None:
        self._work = work
        self._tool = tools.obtain("buildah", progress)
        self._policy = self._file("policy.json", _POLICY)
        self._environment = {
            **self._tool.environment,
            "CONTAINERS_CONF": str(self._file("containers.conf", "")),
            "CONTAINERS_REGISTRIES_CONF": str(self._file("registries.conf", "")),
            "CONTAINERS_STORAGE_CONF": str(self._file("storage.conf", '[storage]\ndriver="vfs"\n')),
            "TMPDIR": str(work),
            "HOME": str(work),
        }

    def load(self, archive: Path) -> None:
        """Make an archive's image known under its name."""
        self._buildah("pull", "--signature-policy", str(self._policy), f"docker-archive:{archive}")

    def run(self, context: Path) -> None:
        """Build the Containerfile of a directory."""
        self._buildah(
            "build", "--signature-policy", str(self._policy), "--isolation", "chroot",
            "--network", "host", "--pull=never", "--layers=false", "--format", "docker",
            "--file", str(context / "Containerfile"),
            "--build-arg", f"PYTHON_IMAGE={base.NAME}", "--build-arg", f"VERSION={VERSION}",
            *self._volumes(), "--tag", NAME, str(context),
        )  # fmt: skip

    def save(self, target: Path) -> None:
        """Write the image as an archive."""
        policy = str(self._policy)
        place = f"docker-archive:{target}:{NAME}"
        self._buildah("push", "--signature-policy", policy, NAME, place)

    def _buildah(self, *words: str) -> None:
        command = self._tool.command(
            *("--root", str(self._work / "store"), "--runroot", str(self._work / "run")),
            *("--storage-driver", "vfs"),
            *words,
        )
        failed = f"buildah {words[0]} failed"
        tools.run(command, failed, seconds=_SECONDS, environment=self._environment)

    def _volumes(self) -> Iterator[str]:
        if _BUNDLE.exists():
            yield f"--volume={_BUNDLE}:{_BUNDLE}:ro"
        settings = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL"}
        lines = [f"{word} = {os.environ[v]}" for word, v in settings.items() if os.environ.get(v)]
        if lines:
            file = self._file("pip.conf", "\n".join(["[global]", *lines, ""]))
            yield f"--volume={file}:/etc/pip.conf:ro"

    def _file(self, name: str, text: str) -> Path:
        path = self._work / name
        path.write_text(text, encoding="utf-8")
        return path


def _ignore_lines() -> list[str]:
    return (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
