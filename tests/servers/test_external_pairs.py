# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Two providers that go together are never told that they clash, however they overlap.

The real pip installs each, the merge makes one tree of both, and a new Python imports both from it.
A provider imports what it brings. The last ones do clash, so that silence means something.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.provider_pod import OUR_PYTHON, Ended, ProviderPod
from tests.support.provider_wheels import ProviderImage, Wheel

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

CLASH: Final = "ERROR: Cannot install provider 'second' due to dependency conflict"
PKGUTIL: Final = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


def dep(version: str, *requires: str, name: str = "dep", package: str = "dep") -> Wheel:
    """A dependency that tells its version; no two versions have the same content."""
    return Wheel(name, version, {f"{package}/__init__.py": f"VERSION = '{version}'\n"}, requires)


@dataclass(frozen=True)
class Side:
    """One of two providers.

    Attributes:
        brings: wheels beside its own.
        requires: requirements of its own wheel.
        imports: modules that it imports.
        files: more files of its own wheel.
    """

    brings: tuple[Wheel, ...] = ()
    requires: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()

    def image(self, package: str) -> ProviderImage:
        """Its image."""
        imports = "".join(f"import {name}\n" for name in self.imports)
        files = {f"{package}/__init__.py": imports, **dict(self.files)}
        own = Wheel(package, files=files, requires=self.requires)
        return ProviderImage((own, *self.brings), package, f"remote::{package}")


def same_dep(version: str = "1.0.0", requires: str = "dep>=1") -> Side:
    """One that requires, brings and imports ``dep``."""
    return Side((dep(version),), (requires,), ("dep",))


def with_part(name: str, init: str | None = None) -> Side:
    """One whose module is in the package ``my_org``, which others may share."""
    files = {f"my_org/{name}/__init__.py": ""} | (
        {} if init is None else {"my_org/__init__.py": init}
    )
    return Side(imports=(f"my_org.{name}",), files=tuple(files.items()))


def with_file(path: str, text: str, *brings: Wheel) -> Side:
    """One with a file that is no module."""
    return Side(brings, files=((path, text),))


EXTRA: Final = dep("1.0.0", 'fast<2; extra == "speed"')
TOOL: Final = Wheel(
    "tool",
    files={
        "tool.py": "def main(): print('ran')\n",
        "tool-1.0.0.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main\n",
    },
)
STUBS: Final = Wheel("types-dep", files={"dep-stubs/__init__.pyi": "VERSION: str\n"})

COMPATIBLE: Final[dict[str, tuple[Side, Side, str]]] = {
    "same version": (same_dep(), same_dep(), "1.0.0"),
    "overlapping ranges": (same_dep("1.5", "dep>=1,<3"), same_dep("2.5", "dep>=2,<4"), "2.5"),
    "compatible release": (same_dep("1.4.2", "dep~=1.4"), same_dep("1.4.5", "dep~=1.4.3"), "1.4.5"),
    "pre-release": (same_dep("1.9", "dep>=1"), same_dep("2.0rc1", "dep>=2.0rc1"), "2.0rc1"),
    "extra that nobody asks for": (
        Side((EXTRA, dep("1.0", name="fast", package="fast")), ("dep", "fast"), ("dep", "fast")),
        Side((EXTRA, dep("2.0", name="fast", package="fast")), ("dep", "fast>=2"), ("dep", "fast")),
        "1.0.0",
    ),
    "environment markers": (
        Side((dep("2.0"),), ('dep<2; python_version < "3.8"', 'dep>=2; python_version >= "3.8"'),
             ("dep",)),
        Side((dep("1.0"),), ('dep>=1; sys_platform == "linux"', 'dep<2; sys_platform == "win32"'),
             ("dep",)),
        "2.0",
    ),
    "namespace package": (with_part("one"), with_part("two"), ""),
    "namespace package of pkgutil": (with_part("one", PKGUTIL), with_part("two", PKGUTIL), ""),
    "same data file": (
        with_file("share/words.txt", "a b c\n"), with_file("share/words.txt", "a b c\n"), "",
    ),
    "nothing in common": (
        same_dep(),
        Side((dep("9", name="other", package="other"),), ("other",), ("other",)),
        "1.0.0",
    ),
    "superset": (
        same_dep(),
        Side((dep("1.0.0"), dep("3", "dep", name="more", package="more")), ("more",),
             ("more", "dep")),
        "1.0.0",
    ),
    "normalised names": (
        Side((dep("1.0", name="My_Dep"),), ("my.dep>=1",), ("dep",)),
        Side((dep("1.2", name="my-dep"),), ("MY-DEP>=1.1",), ("dep",)),
        "1.2",
    ),
    "one version of two builds": (
        Side((dep("1.0", name="My_Dep"),), ("my-dep",), ("dep",)),
        Side((dep("1.0", name="my-dep"),), ("my-dep",), ("dep",)),
        "1.0",
    ),
    "type stubs": (
        Side((dep("1.0.0"), STUBS), ("dep", "types-dep"), ("dep",)),
        Side((dep("1.0.0"), STUBS), ("dep", "types_dep"), ("dep",)),
        "1.0.0",
    ),
}  # fmt: skip
"""The two, and the version of ``dep`` that runs then."""

CLASHING: Final[dict[str, tuple[Side, Side, str]]] = {
    "ranges without overlap": (
        same_dep("1.0", "dep<2"), same_dep("2.0", "dep>=2"), "first 1.0.0 depends on dep<2",
    ),
    "another compatible release": (
        same_dep("1.4.2", "dep~=1.4.2"), same_dep("1.5.0", "dep~=1.5"),
        "second 1.0.0 depends on dep~=1.5",
    ),
    "package with another __init__": (
        with_part("one", PKGUTIL), with_part("two", "own = True\n"), "my_org/__init__.py",
    ),
    "another data file": (
        with_file("share/words.txt", "a b c\n"), with_file("share/words.txt", "d e f\n"),
        "share/words.txt",
    ),
    "same version of other content": (
        same_dep(), Side((Wheel("dep", files={"dep/__init__.py": "VERSION = 0\n"}),)),
        "dep/__init__.py",
    ),
}  # fmt: skip
"""The two, and what the message names."""


def merged(place: Path, first: Side, second: Side, python: str = sys.executable) -> Ended:
    """Install both, the second with another Python if one is given, and merge them."""
    pod = ProviderPod(place)
    for side, name, command in ((first, "first", OUR_PYTHON), (second, "second", (python,))):
        installed = pod.install(side.image(name), name, python=command)
        assert installed.status == 0, installed.err
    return pod.merge({"version": 2, "providers": {}})


def said_by(place: Path, code: str) -> str:
    """What a Python says that has the merged packages on its path."""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(place / "python-packages")}
    command = [sys.executable, "-s", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("first", "second", "version"), COMPATIBLE.values(), ids=COMPATIBLE)
def test_compatible_providers_do_not_clash(
    tmp_path: Path, first: Side, second: Side, version: str
) -> None:
    done = merged(tmp_path, first, second)

    assert (done.status, done.err) == (0, "")
    show = "import dep; print(dep.VERSION)" if version else "print()"
    assert said_by(tmp_path, f"import first, second; {show}") == version


def test_scripts_of_two_pythons_do_not_clash(tmp_path: Path) -> None:
    """pip writes the path of its Python into a script, and two images may have two."""
    venv.create(tmp_path / "other", with_pip=True, symlinks=True)
    side = Side((TOOL,), ("tool",), ("tool",))

    done = merged(tmp_path, side, side, str(tmp_path / "other" / "bin" / "python"))

    assert (done.status, done.err) == (0, "")
    scripts = [tmp_path / "staged" / name / "packages/bin/tool" for name in ("first", "second")]
    assert len({path.read_bytes() for path in scripts}) == 2, "else there is nothing to settle"
    assert said_by(tmp_path, "import first, second, tool; tool.main()") == "ran"


@pytest.mark.parametrize(("first", "second", "named"), CLASHING.values(), ids=CLASHING)
def test_providers_that_exclude_each_other_clash(
    tmp_path: Path, first: Side, second: Side, named: str
) -> None:
    done = merged(tmp_path, first, second)

    assert done.status == 1
    assert done.err.startswith(f"{CLASH}\n"), done.err
    assert named in done.err
