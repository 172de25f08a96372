# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Install and merge under an id that nobody has heard of, as OpenShift assigns them.

Such a process has no entry in ``/etc/passwd``, the group ``root``, no capabilities, and may write
to volumes only. What is run has the variables of the container that is rendered, and directories
are as the kubelet makes them. The one capability here is to read: the Python and the files of the
tests are root's own.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from configs import yaml_reader
from configs.external import inside
from hack.root import ROOT
from tests.support.installing import OPTIONS, pod_of, provider
from tests.support.provider_wheels import ProviderImage, Wheel, echo_wheel

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux"),
]

ASSIGNED: Final = 1_000_710_000
"""As from the range of a namespace in OpenShift."""

BASE: Final = "version: 2\napis: [inference]\nproviders: {inference: []}\n"
TWO: Final = {"inference": [provider("one"), provider("two")]}
IMAGES: Final[Mapping[str, ProviderImage]] = {
    "one": ProviderImage((echo_wheel(), Wheel("some-dep", files={"some_dep.py": "A = 1\n"}))),
    "two": ProviderImage((echo_wheel(), Wheel("other", files={"other/__init__.py": ""}))),
}
Json = dict[str, Any]


@dataclass(frozen=True)
class Volumes:
    """What a pod has to write to: empty directories that everybody may write to."""

    place: Path

    def made(self, name: str) -> Path:
        """A directory of the kubelet's."""
        path = self.place
        for part in name.split("/"):
            path /= part
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        return path

    @property
    def log(self) -> Path:
        """The termination log, which the kubelet makes, too."""
        path = self.place / "termination-log"
        path.touch()
        path.chmod(0o666)
        return path


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path)


def container(name: str) -> Json:
    """As it is rendered where the platform assigns ids."""
    pod = pod_of(TWO, replace(OPTIONS, fixed_uids=False))
    return next(each for each in pod["initContainers"] if each["name"] == name)


def run(uid: int, name: str, command: list[str], volumes: Volumes, **env: str) -> str:
    """Run the program of a container; what it said."""
    told = {each["name"]: each["value"] for each in container(name)["env"]}
    scratch = str(volumes.made(f"tmp/{name}-{uid}"))
    assert (told["HOME"], told["TMPDIR"]) == ("/tmp", "/tmp")  # noqa: S108 -- of the container
    only = "-all,+dac_read_search"
    done = subprocess.run(
        [
            "setpriv", f"--reuid={uid}", "--regid=0", "--clear-groups", f"--inh-caps={only}",
            f"--ambient-caps={only}", f"--bounding-set={only}", "--no-new-privs", *command,
        ],
        env={
            **told, "HOME": scratch, "TMPDIR": scratch, "PATH": os.defpath,
            "TERMINATION_LOG": str(volumes.log), **env,
        },
        cwd="/",
        umask=0o077,  # programs set their own
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(uid: int, name: str, volumes: Volumes) -> str:
    root = volumes.place / "images" / name
    if not root.exists():
        IMAGES[name].write(root)
    script = Path(inside.__path__[0]) / "install.py"
    return run(
        uid,
        f"install-provider-{name}",
        [sys.executable, str(script)],
        volumes,
        PROVIDER_ROOT=str(root),
        INSTALL_TARGET=str(volumes.made(f"packages/staged/{name}")),
    )


def merge(uid: int, volumes: Volumes) -> str:
    given = volumes.place / "input"
    given.mkdir(exist_ok=True)
    (given / "base.yaml").write_text(BASE)
    for number, name in enumerate(IMAGES):
        entry = {
            "providerId": name, "api": "inference", "section": "inference", "index": number,
            "image": f"registry.example/{name}:1", "initContainerName": f"install-provider-{name}",
        }  # fmt: skip
        (given / f"{number:02}-{name}.json").write_text(json.dumps(entry))
    packages, config = volumes.made("packages"), volumes.made("config")
    arguments = [
        f"--metadata-dir={packages}/staged",
        f"--packages-output={packages}/python-packages",
        f"--extra-providers-output={config}/extra-providers.yaml",
        f"--output={config}/run.yaml",
        f"--base={given}/base.yaml",
        f"--crd-config-dir={given}",
        f"--log-output={config}/merge-log.txt",
    ]
    program = [sys.executable, "-m", "llamastack_operator.merge_run_yaml"]
    return run(uid, "merge-config", [*program, *arguments], volumes, PYTHONPATH=str(ROOT))


def unreadable(top: Path) -> list[str]:
    """What below a directory some user may not read."""
    found = []
    for path in top.rglob("*"):
        mode = path.lstat().st_mode
        needed = 0o555 if stat.S_ISDIR(mode) else 0o444
        if mode & needed != needed:
            found.append(f"{path.relative_to(top)} {mode:o}")
    return found


def test_id_has_no_entry_and_can_write_to_volumes_only(volumes: Volumes) -> None:
    """Else the other tests here would prove nothing."""
    program = (
        "import os, pwd\n"
        "try: pwd.getpwuid(os.getuid())\n"
        "except KeyError: print('nobody')\n"
        f"try: open({str(volumes.place / 'x')!r}, 'w')\n"
        "except PermissionError: print('closed')\n"
    )

    said = run(ASSIGNED, "merge-config", [sys.executable, "-c", program], volumes)

    assert said == "nobody\nclosed\n"


@pytest.mark.parametrize(
    "merger", [ASSIGNED, ASSIGNED + 1], ids=["one-id-a-pod", "users-of-the-images"]
)
def test_everything_works_and_is_there_for_every_user(volumes: Volumes, merger: int) -> None:
    """Also where nobody assigns ids, so that each image runs as a user of its own."""
    for name in IMAGES:
        assert f"Successfully installed provider: {name}" in install(ASSIGNED, name, volumes)
    said = merge(merger, volumes)

    assert said.endswith("Merge completed successfully!\n")
    tree = volumes.place / "packages" / "python-packages"
    assert {"echo_provider", "some_dep.py", "other"} <= {path.name for path in tree.iterdir()}
    merged = yaml_reader.load((volumes.place / "config" / "run.yaml").read_bytes())
    assert [each["provider_id"] for each in merged["providers"]["inference"]] == ["one", "two"]
    assert unreadable(volumes.place / "packages") == []
    assert unreadable(volumes.place / "config") == []
    assert volumes.log.read_text() == ""


def test_everything_works_again_after_a_restart(volumes: Volumes) -> None:
    for _ in range(2):
        for name in IMAGES:
            install(ASSIGNED, name, volumes)
        merge(ASSIGNED, volumes)

    tree = volumes.place / "packages" / "python-packages"
    assert (tree / "some_dep.py").read_text() == "A = 1\n"
    assert (tree / "some_dep.py").stat().st_uid == ASSIGNED
