# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The parts of the servers' bed that decide something without starting anything."""

from __future__ import annotations

import importlib
import importlib.machinery
import re
import sys
import types
from pathlib import Path

import pytest

from hack.cluster.cache import CACHE_VARIABLE
from hack.servers import chroot, debian, interpreters, places
from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.registry import bcrypt
from hack.servers.releases import INSTALLED, LOCKS, Release, find, newest
from hack.servers.server import last_error
from hack.servers.venvs import commands

releases = pytest.mark.parametrize("release", INSTALLED, ids=lambda release: release.slug)

_PIN = re.compile(r"^([a-z0-9.-]+)==([^\s;]+)( ; .+)?$")


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@releases
def test_a_lock_file_pins_every_package_and_names_no_address(release: Release) -> None:
    lines = release.lock.read_text(encoding="utf-8").splitlines()
    pins = {m[1]: m[2] for line in lines[1:] if (m := _PIN.match(line))}

    assert lines[0].startswith(f"# {release.name} as of {release.as_of}")
    assert len(pins) == len(lines) - 1
    assert pins[release.package] == release.version
    for requirement in release.requirements:
        assert re.split(r"[=<>]", requirement)[0] in pins


def test_no_lock_file_is_left_over() -> None:
    assert {path.name for path in LOCKS.iterdir()} == {
        "build.txt",
        *(release.lock.name for release in INSTALLED),
    }


def test_the_newest_release_of_an_era_is_the_last_one() -> None:
    assert newest("0.5-0.6").name == "llama-stack 0.6.1"
    with pytest.raises(KeyError):
        newest("0.1")


@pytest.mark.parametrize("text", ["0.7.3", "0.7", "llama-stack 0.7.3", "llama-stack-0.7.3"])
def test_a_release_is_found_by_what_people_call_it(text: str) -> None:
    assert find(text).version == "0.7.3"


def test_the_cache_has_another_directory_for_another_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = places.pins_hash()
    extra = Release("0.9", "llama-stack", "0.9.0")

    monkeypatch.setattr(places, "INSTALLED", (*INSTALLED, extra))

    assert places.pins_hash() != before
    cache = places.cache_of_user({CACHE_VARIABLE: str(tmp_path)})
    assert cache.directory.parent == tmp_path / "llamastack-operator" / "servers"


def test_the_cache_has_another_directory_for_other_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = places.pins_hash()
    (tmp_path / "packages.lock").write_text("other==1\n", encoding="utf-8")

    monkeypatch.setattr(places, "PROVIDER_LOCK", tmp_path / "packages.lock")

    assert places.pins_hash() != before


def test_without_a_home_the_error_says_what_to_set() -> None:
    with pytest.raises(BedError, match=CACHE_VARIABLE):
        places.cache_of_user({})


def test_the_best_python_is_found_on_the_path_or_with_pyenv(tmp_path: Path) -> None:
    versions = tmp_path / "pyenv" / "versions"
    executable(tmp_path / "bin" / "python3.12", "echo 3.12")
    executable(versions / "3.13.9" / "bin" / "python", "echo 3.13")
    later = executable(versions / "3.13.10" / "bin" / "python", "echo 3.13")
    executable(versions / "3.13.11" / "bin" / "python", "exit 1")  # without ensurepip

    environment = {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")}

    assert interpreters.find_python(environment) == later
    assert interpreters.find_python({"PATH": str(tmp_path / "bin")}) == (
        tmp_path / "bin" / "python3.12"
    )
    assert interpreters.find_python({"PATH": "", "HOME": str(tmp_path)}) is None


def test_a_shim_that_answers_for_another_version_is_not_taken(tmp_path: Path) -> None:
    executable(tmp_path / "shims" / "python3.13", "echo 3.13")
    executable(tmp_path / "bin" / "python3.13", "echo 3.11")

    path = f"{tmp_path}/shims:{tmp_path}/bin"

    assert interpreters.find_python({"PATH": path, "HOME": str(tmp_path)}) is None


def test_without_python_and_root_the_error_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interpreters, "find_python", lambda: None)
    monkeypatch.setattr("os.getuid", lambda: 1000)

    with pytest.raises(chroot.NoPythonError, match=r"need Python 3\.12 or later"):
        chroot.is_wanted()


def test_a_chroot_is_used_without_python_as_root_or_on_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.delenv(places.BED_VARIABLE, raising=False)
    monkeypatch.setattr(interpreters, "find_python", lambda: Path("/usr/bin/python3.13"))
    assert not chroot.is_wanted()

    monkeypatch.setenv(places.BED_VARIABLE, "chroot")
    assert chroot.is_wanted()

    monkeypatch.delenv(places.BED_VARIABLE)
    monkeypatch.setattr(interpreters, "find_python", lambda: None)
    assert chroot.is_wanted()


def test_a_chroot_bed_enters_the_tree_and_calls_paths_as_seen_from_inside(tmp_path: Path) -> None:
    root = tmp_path / "trixie"
    executable(root / "usr/lib/postgresql/9/bin/initdb", "")
    newer = executable(root / "usr/lib/postgresql/17/bin/initdb", "")
    bed = Bed(tmp_path, root)

    assert bed.inside(bed.workspace / "run" / "x") == "/srv/bed/run/x"
    assert bed.find("initdb") == newer
    assert bed.python(newest("0.7"))[-2:] == [str(root), "/opt/llama-stack-0.7.3/bin/python"]
    assert bed.program("initdb")[-1] == "/usr/lib/postgresql/17/bin/initdb"
    assert bed.python(newest("0.7"))[0] == "unshare"


def test_unpacked_programs_find_the_libraries_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(debian, "on_machine", lambda _name: None)
    bed = Bed(tmp_path)
    with pytest.raises(BedError, match="make servers"):
        bed.program("redis-server")
    program = executable(bed.unpacked / "usr/bin/redis-server", "")
    (bed.unpacked / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (bed.unpacked / "usr/lib/x86_64-linux-gnu/liblzf.so.1").touch()

    command = bed.program("redis-server")

    assert command[-1] == str(program)
    assert f"LD_LIBRARY_PATH={bed.unpacked}/usr/lib/x86_64-linux-gnu" in command


def test_an_empty_bed_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(interpreters, "find_python", lambda: Path("/usr/bin/python3.13"))

    with pytest.raises(BedError, match=r"llama-stack 0\.7\.3.*not installed, run `make servers`"):
        Bed.open()


def test_an_environment_is_made_of_the_lock_file_and_nothing_else() -> None:
    release = newest("0.7")

    make, fill = commands(release, "/there", "/usr/bin/python3.13", "uv", "/locks")

    assert make[-1] == "/there"
    assert "--no-deps" in fill
    assert fill[-1] == "/locks/llama-stack-0.7.3.txt"
    assert fill[fill.index("--only-binary") + 1] == ":all:"


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (
            "INFO up\nTraceback (most recent call last):\n  File x\nValueError: no such provider\n",
            "ValueError: no such provider",
        ),
        (
            "a.b.EnvVarError: TOKEN not set\nINFO later\n",
            "a.b.EnvVarError: TOKEN not set",
        ),
        (
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for X\n"
            "base_url\n  Input should be a valid URL\n",
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for X base_url "
            "Input should be a valid URL",
        ),
        (
            "KeyError: 'x'\n\nDuring handling of the above exception, another one:\n\n"
            "RuntimeError: no such API\n",
            "RuntimeError: no such API",
        ),
        ("llama stack run: error: bad YAML\n", "llama stack run: error: bad YAML"),
        ("only this\n\n", "only this"),
        ("", "(it said nothing)"),
    ],
)
def test_the_reason_of_a_failed_boot_is_the_last_exception(log: str, error: str) -> None:
    assert last_error(log) == error


def test_a_password_is_hashed_as_the_registry_wants_it() -> None:
    first, second = bcrypt("pw"), bcrypt("pw")

    assert re.fullmatch(r"\$2y\$04\$[./A-Za-z0-9]{53}", first)
    assert first != second


def test_the_stand_in_for_the_tokenizer_knows_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("hack.servers.inside.byte_tokenizer")
    fake = types.ModuleType("tiktoken")
    fake.__spec__ = importlib.machinery.ModuleSpec("tiktoken", None)
    monkeypatch.setattr(fake, "Encoding", dict, raising=False)
    monkeypatch.setitem(sys.modules, "tiktoken", fake)

    module.install()

    encoding = vars(fake)["get_encoding"]("cl100k_base")
    assert encoding["name"] == "cl100k_base"
    assert len(encoding["mergeable_ranks"]) == 256
