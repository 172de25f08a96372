# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is shipped: six packages with common names, so it is checked that they are ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hack.root import ROOT

_PACKAGES = ("llamastack_operator", "controller", "configs", "informers", "workqueue", "api")
_DISTRIBUTION = "llamastack-operator"
_ASK = """
import importlib, importlib.metadata, json, sys
owners = importlib.metadata.packages_distributions()
print(json.dumps({
    name: [sorted(set(owners.get(name, []))), importlib.import_module(name).__file__]
    for name in sys.argv[1:]
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as the image builds it."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = directory.glob("*.whl")
    return path


def _sources() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for package in _PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_our_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert names == _sources()
    assert {f"{package}/py.typed" for package in _PACKAGES} <= names


def test_wheel_carries_the_licence_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        by_end = {name.partition(".dist-info/")[2]: name for name in archive.namelist()}
        commands = archive.read(by_end["entry_points.txt"]).decode()

    assert "licenses/LICENSE" in by_end
    assert "llamastack-operator = llamastack_operator.__main__:main" in commands


def test_flat_names_belong_to_our_distribution_alone(wheel: Path, tmp_path: Path) -> None:
    """A dependency that ships a top-level ``api`` would silently take its place, or lose it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)

    answer = subprocess.run(
        [sys.executable, "-P", "-c", _ASK, *_PACKAGES],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )

    for name, (owners, file) in json.loads(answer.stdout).items():
        assert owners == [_DISTRIBUTION], name
        assert Path(file).is_relative_to(tmp_path), name


def test_image_copies_every_package_and_no_tests() -> None:
    lines = (ROOT / "Containerfile").read_text("utf-8").splitlines()
    copied = {
        source
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }

    assert copied == allowed
    assert set(_PACKAGES) <= copied
    assert not any(any(word in source for word in ("dev", "hack", "tests")) for source in copied)


def test_image_runs_the_operator_as_a_user_that_is_not_root() -> None:
    text = (ROOT / "Containerfile").read_text("utf-8")
    _, final = text.rsplit("FROM ", 1)
    (user,) = [line.split()[1] for line in final.splitlines() if line.startswith("USER ")]

    assert all(int(part) > 0 for part in user.split(":"))
    assert 'ENTRYPOINT ["python", "-m", "llamastack_operator"]' in final
    assert "RUN" not in final.split()
    assert text.count("--require-hashes -r requirements.lock") == 1
