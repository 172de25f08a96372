# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``merge-run-yaml`` on what no pip leaves: links, pipes, files without end."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.external.failures import Provider, ProviderError
from llamastack_operator.merge_run_yaml import main
from llamastack_operator.merging import staged
from tests.support.staged_pod import REBUILD, Pod, tail, unusable


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    made = Pod(tmp_path)
    monkeypatch.setenv("TERMINATION_LOG", str(made.termination_log))
    return made


def links_out(packages: Path) -> str:
    (packages / "org").symlink_to("/etc")
    return "org is a symbolic link and not a regular file or a directory"


def links_to_file(packages: Path) -> str:
    (packages / "a.py").symlink_to("/etc/passwd")
    return "a.py is a symbolic link and not a regular file or a directory"


def is_linked(packages: Path) -> str:
    packages.rename(packages.with_name("elsewhere"))
    packages.symlink_to("elsewhere")
    return "packages is a symbolic link and not a directory"


def has_pipe(packages: Path) -> str:
    os.mkfifo(packages / "pipe")
    return "pipe is a named pipe and not a regular file or a directory"


def has_socket(packages: Path) -> str:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(packages)
        try:
            listener.bind("s")
        finally:
            os.chdir(here)
    return "s is a socket and not a regular file or a directory"


def has_linked_metadata(packages: Path) -> str:
    described = packages / "a-1.dist-info"
    described.mkdir()
    (described / "METADATA").symlink_to("/etc/passwd")
    return "a-1.dist-info/METADATA is a symbolic link and not a regular file or a directory"


def has_huge_file(packages: Path) -> str:
    with (packages / "huge.so").open("wb") as file:
        file.truncate(9 * 1024**3)
    return "huge.so has more than 8589934592 bytes"


def has_huge_metadata(packages: Path) -> str:
    (packages / "a-1.dist-info").mkdir()
    with (packages / "a-1.dist-info/METADATA").open("wb") as file:
        file.truncate(2 * 1024**2)
    return "packages/a-1.dist-info/METADATA has more than 1048576 bytes"


def has_no_metadata(packages: Path) -> str:
    (packages / "a-1.dist-info").mkdir()
    (packages / "a-1.dist-info/RECORD").write_text("")
    return "a-1.dist-info/METADATA has no usable name"


def has_name_of_no_text(packages: Path) -> str:
    Path(os.fsdecode(os.fsencode(packages) + b"/\xff.py")).write_text("")
    return "\\udcff.py has a name that is not printable"


def has_name_of_two_lines(packages: Path) -> str:
    (packages / "a\nProvider: other").write_text("")
    return "a\\nProvider: other has a name that is not printable"


def has_long_path(packages: Path) -> str:
    (packages / "/".join(["x" * 200] * 6)).mkdir(parents=True)
    return f"{'x' * 197}... is a path of more than 1024 bytes"


def is_deep(packages: Path) -> str:
    (packages / "/".join(["x"] * 66)).mkdir(parents=True)
    return f"{'/'.join(['x'] * 66)} is below more than 64 directories"


def has_two_versions(packages: Path) -> str:
    for version in (1, 2):
        described = packages / f"dep-{version}.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Name: dep\nVersion: {version}\n")
    return "dep is there in two versions: 1 and 2"


def is_missing(packages: Path) -> str:
    packages.rmdir()
    return "packages cannot be read: No such file or directory"


def has_no_listing(packages: Path) -> str:
    (packages.parent / "wheels.json").write_text("[" * 100_000)
    return "wheels.json is not JSON"


def has_linked_listing(packages: Path) -> str:
    (packages.parent / "wheels.json").unlink()
    (packages.parent / "wheels.json").symlink_to("/etc/passwd")
    return "wheels.json is a symbolic link and not a regular file"


def is_linked_whole(packages: Path) -> str:
    own = packages.parent
    own.rename(own.with_name("elsewhere"))
    own.symlink_to("elsewhere")
    return "p is a symbolic link and not a directory"


HOSTILE = [
    links_out, links_to_file, is_linked, has_pipe, has_socket, has_linked_metadata, has_huge_file,
    has_huge_metadata, has_no_metadata, has_name_of_no_text, has_name_of_two_lines, has_long_path,
    is_deep, has_two_versions, is_missing, has_no_listing, has_linked_listing, is_linked_whole,
]  # fmt: skip


@pytest.mark.parametrize("leave", HOSTILE, ids=lambda leave: leave.__name__)
def test_what_pip_never_leaves_is_refused_with_the_provider_named(
    pod: Pod, capsys: pytest.CaptureFixture[str], leave: Callable[[Path], str]
) -> None:
    problem = leave(pod.add())

    assert pod.failure(capsys) == unusable(problem)
    assert not pod.packages.exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_metadata_that_is_no_file(pod: Pod, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    pod.add()
    path = pod.staged / "p/lls-provider-spec.yaml"
    path.unlink()
    if kind == "link":
        path.symlink_to(pod.base)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    name = {"link": "symbolic link", "pipe": "named pipe"}.get(kind, kind)
    problem = f"lls-provider-spec.yaml is a {name} and not a regular file"

    assert pod.failure(capsys) == (
        "ERROR: Invalid /lls-provider/lls-provider-spec.yaml in image example.com/p:v1: "
        f"{problem}\n\n{tail()}"
        f"failed to load metadata for provider p: failed to read metadata file: {problem}\n\n"
        f"{REBUILD}"
    )


def test_too_many_files(
    pod: Pod, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged, "MAX_FILES", 3)
    pod.add(files={f"{number}.py": "" for number in range(3)})
    assert main(pod.arguments) == 0
    (pod.staged / "p/packages/d").mkdir()
    capsys.readouterr()

    assert pod.failure(capsys) == unusable("there are more than 3 files")


def test_file_that_becomes_a_link_while_it_is_merged(
    pod: Pod, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = pod.add(files={"a.py": "x"})
    real = os.link

    def exchange(*args: Any, **more: Any) -> None:
        (packages / "a.py").unlink()
        (packages / "a.py").symlink_to("/etc/passwd")
        real(*args, **more)

    monkeypatch.setattr(os, "link", exchange)

    assert pod.failure(capsys) == unusable("a.py is a symbolic link and not a regular file")
    assert not pod.packages.exists()


def test_files_that_only_seem_to_be_the_same(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add("a", files={"org/__init__.py": "x = 1"})
    pod.add("p", files={"org/__init__.py": "x = 2"})

    assert (
        "File 'org/__init__.py' was already installed with different content by provider 'a' "
        "(example.com/a:v1)\n" in pod.failure(capsys)
    )


def test_file_that_changes_before_it_is_compared(pod: Pod) -> None:
    packages = pod.add(files={"a.py": "x", "b.py": "x"})
    provider = Provider("p", "example.com/p:v1", "install-provider-p")
    source = staged.open_staged(pod.staged, provider)
    same = source.digest("a.py"), source.digest("b.py")
    (packages / "a.py").unlink()
    (packages / "b.py").unlink()
    (packages / "b.py").symlink_to("/etc/passwd")

    assert same[0] == same[1]
    for path, problem in (
        ("a.py", "a.py cannot be read: No such file or directory"),
        (
            "b.py",
            "packages/b.py is a symbolic link and not a regular file",
        ),
    ):
        with pytest.raises(ProviderError) as raised:
            source.digest(path)
        assert raised.value.failure.text() == unusable(problem)
    source.close()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("METADATA", "packages/dep-1.dist-info/METADATA"),
        ("p", "p"),
        ("dep-1.dist-info", "packages"),
    ],
)
def test_disk_that_cannot_be_read(
    pod: Pod,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    shown: str,
) -> None:
    pod.add(units={"dep 1": ()})
    real = os.open

    def fail(path: Any, *args: Any, **more: Any) -> int:
        if path == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", fail)

    assert pod.failure(capsys) == unusable(f"{shown} cannot be read: Input/output error")


def test_volume_without_space(
    pod: Pod, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pod.add(files={"a.py": "x"})

    def fail(*_args: Any, **_more: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", fail)

    assert pod.failure(capsys) == (
        "ERROR: Failed to merge provider packages: No space left on device\n\n"
        "Resolution: Check that the volumes of the pod are writable and have space left, then "
        "restart.\n"
    )
