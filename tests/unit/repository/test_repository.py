# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The repository's own rules, so that nobody has to remember them: headers, sizes, generated
files, lock files, commands.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import product, zip_longest
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.expression import Expression
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hack.generated import generated_files
from hack.root import ROOT

_PACKAGES = ("llamastack_operator", "controller", "configs", "informers", "workqueue", "api")
_HEADER = "# Copyright The llamastack-operator Authors.\n# SPDX-License-Identifier: Apache-2.0\n\n"
_MOST_LINES = 420
_MAKES_OWN = ("MAKEFLAGS", "PYTEST_ARGS")
_PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>.+?))?(?: \\)?$")


def _python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT)


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


# --- source files --------------------------------------------------------------------------


def test_every_source_file_begins_with_the_licence() -> None:
    scripts = [Path(name) for name in (".ci/run", "hack/venv.sh")]
    others = [
        Path(name)
        for name in ("Makefile", "Containerfile", "pyproject.toml", ".pre-commit-config.yaml")
    ]
    generated = {path.relative_to(ROOT) for path in generated_files()}
    manifests = {
        path.relative_to(ROOT)
        for path in (ROOT / "deploy").rglob("*.yaml")
        if path.parent.name != "samples"  # those are for copying
    } - generated

    without = [
        str(path)
        for path in (*_python_files(*_PACKAGES, "hack", "tests"), *scripts, *others, *manifests)
        if not (ROOT / path).read_text("utf-8").removeprefix("#!/bin/sh\n").startswith(_HEADER)
    ]

    assert without == []


def test_no_module_is_longer_than_one_can_read_at_once() -> None:
    lines = {
        str(path): len((ROOT / path).read_text("utf-8").splitlines())
        for path in _python_files(*_PACKAGES, "hack")
    }

    assert {path: count for path, count in lines.items() if count > _MOST_LINES} == {}


def test_names_of_test_modules_are_unique() -> None:
    """pytest tells modules of one name apart by their path; people, in its output, do not."""
    names = [path.stem for path in _python_files("hack", "tests") if path.stem.startswith("test_")]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", list(generated_files()), ids=lambda path: path.parent.name)
def test_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == generated_files()[path], "run `make crd`"


# --- lock files ----------------------------------------------------------------------------


def _pins(lock: str) -> dict[str, tuple[str, str]]:
    """Version and marker by name; every line that is not a pin must be a hash or a comment."""
    pins: dict[str, tuple[str, str]] = {}
    current = ""
    hashes: dict[str, int] = {}
    for line in (ROOT / lock).read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("    --hash=sha256:"):
            hashes[current] += 1
            continue
        match = _PIN.match(line)
        assert match, f"{lock}: {line}"
        current = match["name"]
        pins[current] = (match["version"], match["marker"] or "")
        hashes[current] = 0
    assert all(hashes.values()), lock
    return pins


def _requirements(lock: str) -> list[str]:
    project = _pyproject()
    runtime = project["project"]["dependencies"]
    by_lock: dict[str, list[str]] = {
        "requirements.lock": runtime,
        "requirements-dev.lock": runtime + project["project"]["optional-dependencies"]["dev"],
        "requirements-build.lock": project["dependency-groups"]["build"],
    }
    return by_lock[lock]


_LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")


@pytest.mark.parametrize("lock", _LOCKS)
def test_lock_file_satisfies_the_project_file(lock: str) -> None:
    pins = _pins(lock)

    for text in _requirements(lock):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not in {lock}: run `make lock`"
        assert Version(pins[name][0]) in requirement.specifier, f"{name}: run `make lock`"


def test_development_tests_what_is_shipped_and_builds() -> None:
    everything = _pins("requirements-dev.lock")
    runtime, build = _pins("requirements.lock"), _pins("requirements-build.lock")

    for name, (version, _) in (runtime | build).items():
        assert everything[name][0] == version, f"{name}: run `make lock`"


def test_backend_that_builds_is_the_one_that_is_pinned() -> None:
    project = _pyproject()

    assert project["build-system"]["requires"] == project["dependency-groups"]["build"]


@pytest.mark.parametrize("lock", _LOCKS)
def test_lock_file_names_no_place_to_install_from(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")

    assert "://" not in text
    assert "--index" not in text


def test_environment_is_what_the_lock_file_says() -> None:
    from importlib import metadata  # noqa: PLC0415 -- only this test asks what is installed

    differing = {
        name: (version, metadata.version(name))
        for name, (version, marker) in _pins("requirements-dev.lock").items()
        if (not marker or Marker(marker).evaluate()) and metadata.version(name) != version
    }

    assert differing == {}, "run `make .venv`"


# --- commands ------------------------------------------------------------------------------


def _targets() -> dict[str, str]:
    text = (ROOT / "Makefile").read_text("utf-8")
    found = re.findall(r"^([a-z][a-z-]*):.*?(?: ## (.*))?$", text, re.MULTILINE)
    return dict(found)


def _run_make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ("make", "--no-print-directory", *arguments)
    # A make that runs these tests hands its own variables down.
    env = {name: value for name, value in os.environ.items() if name not in _MAKES_OWN}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@cache
def _make(*arguments: str) -> str:
    ran = _run_make(*arguments)
    ran.check_returncode()
    return ran.stdout


def test_help_lists_every_target_and_is_what_make_alone_does() -> None:
    shown = _make()

    assert shown == _make("help")
    for target, purpose in _targets().items():
        assert purpose, f"{target} has no help"
        assert re.search(rf"^  {target} +{re.escape(purpose)}$", shown, re.MULTILINE)


def test_make_test_runs_every_check_and_every_test() -> None:
    commands = _make("--dry-run", "test").splitlines()

    programs = [" ".join(command.split()[:2]) for command in commands if "/bin/" in command]
    for program in ("ruff format", "ruff check", "lint-imports", "codespell", "mypy"):
        assert any(shown.startswith(f".venv/bin/{program}") for shown in programs), program


@pytest.mark.parametrize("marked", list(product([False, True], repeat=4)))
def test_make_test_runs_every_test_once(marked: tuple[bool, ...]) -> None:
    marks = dict(zip(("apiserver", "servers", "bench", "matrix"), marked, strict=True))

    def is_marked(name: str, /, **_: str | int | bool | None) -> bool:
        return {**marks, "e2e": False}[name]

    runs = re.findall(r"-m pytest [^']*-m '(.*)' ", _make("--dry-run", "test"))

    assert [Expression.compile(run).evaluate(is_marked) for run in runs].count(True) == 1


@pytest.mark.parametrize(
    ("failing", "left_out"),
    [
        ("nothing", []),
        ("-m pytest -n 2 --dist loadfile --no-loadscope-reorder -m not", ["-m hack.coverage"]),
        ("-m hack.coverage", []),
        ("(apiserver or servers) and", []),
        ("-m bench", []),
    ],
)
def test_make_test_runs_all_parts_and_fails_if_one_does(
    tmp_path: Path, failing: str, left_out: list[str]
) -> None:
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho "$@"\ncase "$*" in *"{failing}"*) exit 1;; esac\n', encoding="utf-8"
    )
    python.chmod(0o755)
    prepared = [word for name in ("lint", "type", "binaries", "servers") for word in ("-o", name)]

    ran = _run_make(*prepared, "test", f"BIN={tmp_path}")

    expected = ["-m pytest -n 2", "-m hack.coverage", "-m pytest -n 2", "-m pytest -m bench"]
    for command in left_out:
        expected.remove(command)
    commands = [
        line[: len(start)]
        for line, start in zip_longest(ran.stdout.splitlines(), expected, fillvalue="")
    ]
    assert commands == expected
    assert (ran.returncode == 0) == (failing == "nothing")


def test_make_test_runs_what_it_is_told_to() -> None:
    runs = re.findall(r"-m pytest(.*)", _make("--dry-run", "test", "PYTEST_ARGS=-m servers -x"))

    assert runs == [" -m servers -x"]


def test_ci_runs_the_readmes_commands_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")

    commands = re.findall(r"^(?:.*\) exec )?(make [\w-]+)", script, re.MULTILINE)
    assert commands == ["make test", "make e2e"]
    for command in commands:
        assert f"`{command}`" in readme


@pytest.mark.parametrize(
    ("status", "ends", "says"),
    [
        (0, 7, "make e2e"),
        (1, 1, "no programs"),
        (3, 0, "NOT RUN: the end-to-end tests (make e2e)\n## no programs"),
    ],
)
def test_ci_says_loudly_where_there_can_be_no_node_and_fails_for_other_reasons(
    tmp_path: Path, status: int, ends: int, says: str
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    fakes = {
        "bin/make": 'echo "make $1"; [ "$1" = test ] || exit 7',
        ".venv/bin/python": f'echo "no programs" >&2; exit {status}',
    }
    for name, body in fakes.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    ran = subprocess.run(
        [str(tmp_path / ".ci" / "run")],
        env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert ran.returncode == ends
    assert "make test\n" in ran.stdout
    assert says in ran.stdout
