# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The program that installs an external provider, in its container's terms, with the real pip.

It is copied away from the project first, as a ConfigMap hands it to an image that has nothing else.
"""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from configs.external import inside
from tests.support.provider_wheels import ProviderImage, Wheel, echo_wheel, image, this_machine

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SCRIPT = Path(inside.__path__[0]) / "install.py"
ID, IMAGE, CONTAINER = "my-echo", "registry.example/team/echo:v1", "install-provider-my-echo"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PLATFORM = f"linux/{this_machine()}"
TAIL = f"Provider: {ID}\nImage: {IMAGE}\nInit Container: {CONTAINER}\n"
ADD_WHEELS = (
    "Resolution: Put the provider wheel and all dependency wheels into /lls-provider/packages/ "
    "and rebuild the provider image.\n"
)
REBUILD = (
    f"Resolution: Rebuild provider package with native extensions compiled for {PLATFORM}, "
    "or use pure Python implementation.\n"
)
CHECK = (
    "Resolution: Check that all dependency wheels are in /lls-provider/packages/ and that every "
    f"wheel is compatible with Python {PYTHON} on {PLATFORM}.\n"
)
OTHER_BASE = (
    "Resolution: Use a base image with Python 3.11 or later and pip, for example "
    "python:3.12-slim, for the {} image.\n"
)
MORE_SPACE = (
    "Resolution: Raise the size limit of the volume: "
    "externalProviders.install.sizeLimit in the LLSD spec.\n"
)


@dataclass(frozen=True)
class Run:
    """How a run ended: exit status, output, termination message."""

    status: int
    out: str
    err: str
    log: str


class Container:
    """An init container: an image somewhere, the provider's own directory, and a clean place.

    Args:
        place: for all of it.
        provider: what the image brings.
    """

    def __init__(self, place: Path, provider: ProviderImage) -> None:
        self.root, self.target = place / "image", place / "target"
        self.script, self.log = place / "tools" / "install.py", place / "termination-log"
        self.script.parent.mkdir()
        shutil.copy(SCRIPT, self.script)
        self.top = provider.write(self.root)
        self.target.mkdir()

    def run(
        self,
        *before: str,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Run:
        """Run the program once; ``before`` is what runs it."""
        self.log.write_bytes(b"of the last run " * 256)
        environment = {
            "PATH": os.defpath,
            "PROVIDER_ID": ID,
            "PROVIDER_IMAGE": IMAGE,
            "INIT_CONTAINER_NAME": CONTAINER,
            "PROVIDER_ROOT": str(self.root),
            "INSTALL_TARGET": str(self.target),
            "TERMINATION_LOG": str(self.log),
            **(env or {}),
        }
        done = subprocess.run(
            [*before, python, str(self.script)],
            env=environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        log = self.log.read_bytes()
        assert len(log) <= 4096
        return Run(done.returncode, done.stdout, done.stderr, log.decode())

    def tree(self) -> list[str]:
        """What is in the target."""
        return sorted(str(path.relative_to(self.target)) for path in self.target.rglob("*"))


@pytest.fixture
def container(tmp_path: Path) -> Callable[[ProviderImage], Container]:
    """Makes the container of an image."""
    return lambda provider: Container(tmp_path, provider)


Make = Callable[[ProviderImage], Container]


# --- what is installed -----------------------------------------------------------------------


def test_good_provider_is_installed(container: Make) -> None:
    made = container(
        ProviderImage((echo_wheel(), Wheel("some-dep", files={"some_dep.py": "VALUE = 1\n"})))
    )
    (made.top / "docs").mkdir()
    (made.top / "docs" / "README").touch()
    (made.top / "docs" / "two\nlines").touch()
    (made.top / "docs" / os.fsdecode(b"no utf-8 \xff")).touch()
    (made.top / "elsewhere").symlink_to("docs")

    done = made.run()

    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:2] == [f"Installing external provider: {ID}", "Installing provider packages..."]
    assert lines[-1] == f"Successfully installed provider: {ID}"
    packages = made.target / "packages"
    assert sorted(path.name for path in packages.iterdir()) == [
        "echo_provider", "echo_provider-1.0.0.dist-info", "some_dep-1.0.0.dist-info", "some_dep.py",
    ]  # fmt: skip
    assert sorted(path.name for path in (packages / "echo_provider").iterdir()) == [
        "__init__.py", "config.py", "echo.py", "provider.py",
    ], "no bytecode"  # fmt: skip
    metadata = made.top / "lls-provider-spec.yaml"
    assert (made.target / metadata.name).read_bytes() == metadata.read_bytes()
    wheels = ["echo_provider-1.0.0-py3-none-any.whl", "some_dep-1.0.0-py3-none-any.whl"]
    assert json.loads((made.target / "wheels.json").read_text("utf-8")) == {
        "wheels": wheels,
        "files": ["docs/README", "lls-provider-spec.yaml", *(f"packages/{w}" for w in wheels)],
        "python": PYTHON,
        "platform": PLATFORM,
    }
    assert sorted(path.name for path in made.target.iterdir()) == [
        "lls-provider-spec.yaml", "packages", "wheels.json",
    ]  # fmt: skip


def test_everybody_may_read_what_is_installed(container: Make) -> None:
    made = container(image("good"))

    assert made.run("sh", "-c", 'umask 077; exec "$0" "$@"').status == 0

    closed = [p for p in made.target.rglob("*") if not p.stat().st_mode & stat.S_IROTH]
    assert closed == []


def test_dependencies_are_not_resolved(container: Make) -> None:
    assert container(image("missing-dependency")).run().status == 0


def test_second_run_replaces_what_was_left(container: Make) -> None:
    made = container(image("good"))
    assert made.run().status == 0
    once = made.tree()
    for left in (".staging/packages/half", "packages/echo_provider/gone.py", "other/file"):
        (made.target / left).parent.mkdir(parents=True, exist_ok=True)
        (made.target / left).touch()
    (made.target / "link").symlink_to(made.top)

    assert made.run().status == 0

    assert made.tree() == once
    assert (made.top / "packages").is_dir(), "the link was removed, not what it leads to"


def test_failed_run_leaves_no_packages(container: Make) -> None:
    made = container(image("good"))
    assert made.run().status == 0
    (made.top / "packages" / "corrupt-1.0-py3-none-any.whl").write_bytes(b"no archive")

    assert made.run().status == 1

    assert not (made.target / "packages").exists()


def test_metadata_that_is_too_large_stays_too_large(container: Make) -> None:
    made = container(replace(image("good"), metadata="#" * (64 * 1024 + 100)))

    assert made.run().status == 0

    assert (made.target / "lls-provider-spec.yaml").stat().st_size == 64 * 1024 + 1


def test_no_more_than_ten_thousand_files_are_listed(container: Make) -> None:
    made = container(image("good"))
    (made.top / "a").mkdir()
    for number in range(10_010):
        (made.top / "a" / str(number)).touch()

    assert made.run().status == 0

    files = json.loads((made.target / "wheels.json").read_text("utf-8"))["files"]
    assert 9_990 < len(files) <= 10_000
    assert "packages/echo_provider-1.0.0-py3-none-any.whl" in files


def test_variables_and_files_of_the_image_do_not_configure_pip(
    container: Make, tmp_path: Path
) -> None:
    made = container(image("good"))
    home = tmp_path / "home"
    (home / ".config/pip").mkdir(parents=True)
    broken = "[global]\nno-binary = :all:\n"
    (home / ".config/pip/pip.conf").write_text(broken, encoding="utf-8")
    (tmp_path / "pip.conf").write_text(broken, encoding="utf-8")
    (tmp_path / "path/pip").mkdir(parents=True)
    (tmp_path / "path/pip/__init__.py").write_text("raise SystemExit('not this one')\n", "utf-8")

    done = made.run(
        env={
            "HOME": str(home),
            "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
            "PIP_NO_BINARY": ":all:",
            "PIP_REQUIRE_HASHES": "1",
            "PYTHONPATH": str(tmp_path / "path"),
        },
        cwd=tmp_path / "path",
    )

    assert (done.status, done.err) == (0, "")


# --- links -----------------------------------------------------------------------------------


def test_links_lead_within_the_image(container: Make) -> None:
    """An absolute link in a mounted image means a place in that image."""
    made = container(image("good"))
    name = "echo_provider-1.0.0-py3-none-any.whl"
    (made.root / "store").mkdir()
    (made.top / "packages" / name).rename(made.root / "store" / "sha256-1234")
    (made.top / "packages" / name).symlink_to("/store/sha256-1234")
    (made.top / "lls-provider-spec.yaml").rename(made.root / "store" / "spec")
    (made.top / "lls-provider-spec.yaml").symlink_to("../../../../store/spec")
    (made.root / "moved").mkdir()
    (made.top / "packages").rename(made.root / "moved" / "packages")
    (made.top / "packages").symlink_to("/moved/./packages")

    done = made.run()

    assert (done.status, done.err) == (0, "")
    assert (made.target / "packages" / "echo_provider").is_dir()
    assert (made.target / "lls-provider-spec.yaml").is_file()
    assert not (made.target / "lls-provider-spec.yaml").is_symlink()
    files = json.loads((made.target / "wheels.json").read_text("utf-8"))["files"]
    assert files == ["lls-provider-spec.yaml", f"packages/{name}"]


def test_wheel_that_links_out_of_the_image_is_refused(container: Make) -> None:
    done = container(image("wheel-links-out")).run()

    assert done.status == 1
    assert done.err == done.log == (
        f"ERROR: Cannot install provider '{ID}'\n\n{TAIL}"
        "Reason: /lls-provider/packages/passwd-1.0-py3-none-any.whl is not a regular file\n\n"
        + ADD_WHEELS
    )  # fmt: skip


@pytest.mark.parametrize("leads", ["circle", "/lls-provider/packages/circle"])
def test_link_that_leads_in_a_circle_is_missing(container: Make, leads: str) -> None:
    made = container(replace(image("good"), metadata=""))
    (made.top / "lls-provider-spec.yaml").symlink_to("packages/circle")
    (made.top / "packages/circle").symlink_to(leads)

    assert made.run().err.startswith("ERROR: Missing /lls-provider/lls-provider-spec.yaml")


# --- messages --------------------------------------------------------------------------------


MISSING = {
    "missing-metadata": (
        f"ERROR: Missing /lls-provider/lls-provider-spec.yaml in image {IMAGE}\n\n{TAIL}\n"
        "Resolution: Add the file /lls-provider/lls-provider-spec.yaml to the provider image "
        "and push a new tag.\n"
    ),
    "missing-packages": (
        f"ERROR: Missing /lls-provider/packages/ directory in image {IMAGE}\n\n{TAIL}\n{ADD_WHEELS}"
    ),
    "empty-packages": (
        "ERROR: No wheel files (*.whl) in /lls-provider/packages/ in image "
        f"{IMAGE}\n\n{TAIL}\n{ADD_WHEELS}"
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_in_the_image_is_said(container: Make, case: str) -> None:
    done = container(image(case)).run()

    assert done.status == 1
    assert done.out == f"Installing external provider: {ID}\n"
    assert done.err == done.log == MISSING[case]


def test_wheel_for_another_platform_is_named(container: Make) -> None:
    made = container(image("unsupported-wheel"))

    done = made.run()

    name = "echo_provider-1.0.0-cp39-cp39-win32.whl"
    assert done.status == 1
    assert done.err == done.log == (
        f"ERROR: Cannot install provider '{ID}'\n\n{TAIL}"
        f"Reason: Wheel {name} does not match {PLATFORM}, Python {PYTHON}\n\n"
        f"Pip installation failed with:\nLooking in links: {made.top}/packages\n"
        f"ERROR: {name} is not a supported wheel on this platform.\n\n" + REBUILD
    )  # fmt: skip


def test_output_of_pip_is_part_of_the_message(container: Make) -> None:
    done = container(image("corrupt-wheel")).run()

    assert done.status == 1
    head = f"ERROR: Cannot install provider '{ID}'\n\n{TAIL}\nPip installation failed with:\n"
    assert done.err == done.log
    assert done.err.startswith(head)
    assert done.err.endswith("\n\n" + CHECK)
    pip = done.err.removeprefix(head).removesuffix("\n\n" + CHECK).splitlines()
    assert any("corrupt" in line and "invalid" in line for line in pip)
    assert [line for line in done.out.splitlines() if line in pip] == pip, "said as it happens"


def test_hostile_names_stay_in_their_line(container: Make) -> None:
    made = container(image("hostile-name"))

    done = made.run(env={"PROVIDER_IMAGE": "a\nProvider: b\x1b[0m"})

    assert done.status == 1
    assert done.out == f"Installing external provider: {ID}\n"
    assert (
        done.err
        == done.log
        == (
            f"ERROR: Cannot install provider '{ID}'\n\nProvider: {ID}\n"
            f"Image: a\\nProvider: b\\x1b[0m\nInit Container: {CONTAINER}\n"
            "Reason: /lls-provider/packages/evil\\nERROR: gotcha $(id) `id` 'x' \\x1b[31m"
            "-1.0-py3-none-any.whl is not the name of a wheel\n\n" + ADD_WHEELS
        )
    )


def test_wheels_of_the_server_are_warned_of(container: Make) -> None:
    done = container(image("llama-stack")).run()

    assert done.status == 0
    assert done.err == (
        f"WARNING: External provider '{ID}' (image: {IMAGE}) brings "
        "llama_stack-0.0.1-py3-none-any.whl: its copy hides the one that belongs to the server\n"
    )


def test_closed_file_is_the_image_authors_matter(container: Make) -> None:
    made = container(image("good"))
    (made.top / "lls-provider-spec.yaml").chmod(0)
    caps = "-dac_override,-dac_read_search"
    before = ["setpriv", f"--bounding-set={caps}"] if os.getuid() == 0 else []

    done = made.run(*before)

    assert done.status == 1
    assert done.err == (
        f"ERROR: Cannot install provider '{ID}'\n\n{TAIL}"
        f"Reason: Permission denied: {made.top}/lls-provider-spec.yaml\n\n"
        "Resolution: Make /lls-provider readable for every user and rebuild the provider image.\n"
    )


def test_termination_log_that_is_not_there_is_not_made(container: Make, tmp_path: Path) -> None:
    made = container(image("missing-packages"))

    done = made.run(env={"TERMINATION_LOG": str(tmp_path / "nowhere")})

    assert done.status == 1
    assert done.err == MISSING["missing-packages"]
    assert not (tmp_path / "nowhere").exists()


# --- other Pythons and other pips ------------------------------------------------------------


def python_with(place: Path, pip: str | None) -> str:
    """A Python whose pip is this program, or that has none."""
    venv.create(place, with_pip=False, symlinks=True)
    if pip is not None:
        packages = place / "lib" / f"python{PYTHON}" / "site-packages" / "pip"
        packages.mkdir(parents=True)
        (packages / "__init__.py").touch()
        (packages / "__main__.py").write_text(pip, encoding="utf-8")
    return str(place / "bin" / "python")


def test_python_without_pip_is_said(container: Make, tmp_path: Path) -> None:
    python = python_with(tmp_path / "venv", None)

    done = container(image("good")).run(python=python)

    assert done.status == 1
    assert done.err == done.log == (
        f"ERROR: Cannot install provider '{ID}'\n\n{TAIL}Reason: Python {PYTHON} has no pip\n\n"
        f"Pip installation failed with:\n{python}: No module named pip\n\n"
        + OTHER_BASE.format("distribution")
    )  # fmt: skip


def test_too_old_python_is_said(container: Make) -> None:
    """Whether or not one is installed here: the version is what the program asks for first."""
    made = container(image("good"))
    old = "import runpy, sys; sys.version_info = (3, 10, 13, 'final', 0); runpy.run_path({!r})"
    made.log.write_bytes(b"of the last run " * 256)
    environment = {"PROVIDER_ID": ID, "PROVIDER_IMAGE": IMAGE, "INIT_CONTAINER_NAME": CONTAINER}
    command = [sys.executable, "-c", old.format(str(made.script))]

    done = subprocess.run(
        command,
        env={**environment, "TERMINATION_LOG": str(made.log)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == made.log.read_text("utf-8") == (
        f"ERROR: Cannot install provider '{ID}'\n\n{TAIL}"
        "Reason: Python 3.10 is older than 3.11\n\n" + OTHER_BASE.format("provider")
    )  # fmt: skip


def test_older_pythons_can_compile_the_program() -> None:
    tree = ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 6))

    future = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert "__future__" not in [node.module for node in future], "annotations: 3.7"
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)]


SAYS = "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\nsys.exit(3)\n"


def test_pip_is_called_as_agreed(container: Make, tmp_path: Path) -> None:
    made = container(image("good"))
    dirty = {"PIP_INDEX_URL": "https://elsewhere", "PYTHONWARNINGS": "error", "KEPT": "1"}

    done = made.run(python=python_with(tmp_path / "venv", SAYS), env={**dirty, "HOME": "/home"})

    said = next(line for line in done.out.splitlines() if line.startswith("[["))
    arguments, environment = json.loads(said)
    packages = f"{made.root}/lls-provider/packages"
    assert arguments == [
        "--isolated", "install", f"{packages}/echo_provider-1.0.0-py3-none-any.whl",
        "--target", f"{made.target}/.staging/packages", "--no-index", "--find-links", packages,
        "--no-deps", "--no-compile", "--no-cache-dir", "--disable-pip-version-check",
    ]  # fmt: skip
    assert environment["PIP_CONFIG_FILE"] == "/dev/null"
    assert environment["TMPDIR"] == f"{made.target}/.staging/tmp"
    assert (environment["HOME"], environment["KEPT"]) == ("/home", "1")
    assert [n for n in environment if n.startswith(("PIP_", "PYTHON"))] == ["PIP_CONFIG_FILE"]


def test_full_volume_has_a_resolution_of_its_own(container: Make, tmp_path: Path) -> None:
    said = f"ERROR: Could not install packages due to an OSError: [Errno {errno.ENOSPC}] "
    said += os.strerror(errno.ENOSPC)
    pip = python_with(tmp_path / "venv", f"import sys; print({said!r}); sys.exit(1)\n")

    done = container(image("good")).run(python=pip)

    assert done.status == 1
    assert (
        done.err
        == done.log
        == (
            f"ERROR: Cannot install provider '{ID}'\n\n{TAIL}Reason: No space left on device\n\n"
            f"Pip installation failed with:\n{said}\n\n{MORE_SPACE}"
        )
    )


def test_killed_pip_has_a_resolution_of_its_own(container: Make, tmp_path: Path) -> None:
    pip = python_with(tmp_path / "venv", "import os; os.kill(os.getpid(), 9)\n")

    done = container(image("good")).run(python=pip)

    assert done.status == 1
    assert f"{TAIL}Reason: pip was killed by signal 9\n" in done.err
    assert done.err.endswith(
        "\n\nResolution: Raise the memory limit: externalProviders.install.resources "
        "in the LLSD spec.\n"
    )


def test_long_output_loses_its_middle(container: Make, tmp_path: Path) -> None:
    """Neither what names the provider nor what to do about it is ever cut."""
    says = "import sys\nfor n in range(90): print(n, 'é\\x1b' * 100)\nprint('!' * 99999)\nexit(1)\n"
    pip = python_with(tmp_path / "venv", says)
    long = "registry.example/" + "x" * 1007

    done = container(image("good")).run(python=pip, env={"PROVIDER_IMAGE": long})

    head = (
        f"ERROR: Cannot install provider '{ID}'\n\nProvider: {ID}\nImage: {long}\n"
        f"Init Container: {CONTAINER}\n\nPip installation failed with:\n"
    )
    assert done.err.startswith(head)
    assert done.log.startswith(head)
    assert done.err.endswith("!\n\n" + CHECK)
    assert done.log.endswith("!\n\n" + CHECK)
    assert "\n[...]\n" in done.log
    assert len(done.log.encode()) > 4000
    assert "\x1b" not in done.out + done.err + done.log
    assert len(done.err.splitlines()) < 60
