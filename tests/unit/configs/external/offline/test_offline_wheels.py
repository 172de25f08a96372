# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What pip would make of a wheel, and what it would not take."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from configs.external.offline import wheels
from configs.external.offline.wheels import WheelError, read, tags_of
from tests.support.provider_wheels import Wheel

MOST = {"most_files": 100, "most_bytes": 10**7}


def opened(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(content))


def made(wheel: Wheel, **most: int) -> wheels.Wheel:
    return read(wheel.filename, opened(wheel.build()), **{**MOST, **most})


def packed(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return out.getvalue()


def with_files(change: Callable[[dict[str, bytes]], Any], wheel: Wheel) -> bytes:
    files = wheel.content()
    change(files)
    return packed(files)


POINTS_TEXT = """
[console_scripts]
run-it = some_dep:main
[gui_scripts]
show = a:b
[other]
x = y
"""


def test_files_are_where_pip_puts_them() -> None:
    data = "some_dep-1.0.0.data"
    wheel = Wheel("some-dep", files={
        "some_dep/x.py": "x", "folder/": "", "a/./b/../c.py": "",
        f"{data}/purelib/pure.py": "", f"{data}/platlib/a/n.so": "",
        f"{data}/scripts/run": "", f"{data}/data/share/doc": "", f"{data}/headers/h.h": "",
        "some_dep-1.0.0.dist-info/entry_points.txt": POINTS_TEXT,
    }, requires=("a>=1", "b; extra == 'c'"))  # fmt: skip

    found = made(wheel)

    own = {path for path in found.files if not path.startswith("some_dep-1.0.0.dist-info/")}
    assert own == {
        "some_dep/x.py", "pure.py", "a/n.so", "bin/run", "share/doc", "include/some_dep/h.h",
        "a/c.py", "bin/run-it", "bin/show",
    }  # fmt: skip
    assert found.distribution.files == set(found.files)
    assert str(found.distribution) == "some-dep 1.0.0"
    assert found.distribution.requires == ("a>=1", "b; extra == 'c'")
    assert (found.files["some_dep/x.py"].size, found.files["some_dep/x.py"].head) == (1, b"x")


def test_content_is_told_by_its_digest() -> None:
    first, second, third = (
        made(Wheel("a", files={"x.py": text})).files["x.py"] for text in ("1", "1", "2")
    )

    assert first.digest == second.digest != third.digest
    assert made(Wheel("a", files={"x.so": "y" * 100})).files["x.so"].head == b"y" * 20


NO_NAME = "is not a valid wheel filename"


@pytest.mark.parametrize(
    "name", ["dep.whl", "dep-1.0.whl", "dep-x-py3-none-any.whl", "dep-1-2-3-4-5-6.whl", "-.whl"]
)
def test_name_of_no_wheel(name: str) -> None:
    with pytest.raises(WheelError, match=NO_NAME):
        tags_of(name)
    with pytest.raises(WheelError, match=NO_NAME):
        read(name, opened(b""), **MOST)


def drop(end: str) -> Callable[[dict[str, bytes]], Any]:
    return lambda files: files.pop(next(path for path in files if path.endswith(end)))


def put(end: str, content: bytes) -> Callable[[dict[str, bytes]], Any]:
    return lambda files: files.update({next(p for p in files if p.endswith(end)): content})


def add(path: str, content: bytes = b"") -> Callable[[dict[str, bytes]], Any]:
    return lambda files: files.update({path: content})


POINTS = "dep-1.0.0.dist-info/entry_points.txt"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (drop("/METADATA"), "it has no dep-1.0.0.dist-info/METADATA"),
        (drop("/RECORD"), "it has no dep-1.0.0.dist-info/RECORD"),
        (drop("/WHEEL"), "it has no dep-1.0.0.dist-info/WHEEL"),
        (put("/WHEEL", b"Wheel-Version: 2.0\n"), "has no version that is known"),
        (put("/WHEEL", b""), "has no version that is known"),
        (put("/RECORD", b'"a'), "its RECORD is not a list of files"),
        (put("/METADATA", b"Name: dep\n"), "dep-1.0.0.dist-info/METADATA has no usable version"),
        (put("/METADATA", b"Name: other\nVersion: 1.0.0\n"), "describes another distribution"),
        (put("/METADATA", b"Name: dep\nVersion: 2\n"), "its metadata is that of version 2"),
        (put("/METADATA", b"Name: dep\nVersion: a\n"), "its metadata is that of version a"),
        (put("/METADATA", b"x" * (1024**2 + 1)), "METADATA has more than 1048576 bytes"),
        (lambda files: files.clear(), "it has no .dist-info directory"),
        (add("x.dist-info/METADATA"), "it has more than one .dist-info directory"),
        (add("../x.py"), "../x.py leads out of the directory of packages"),
        (add("a/../../x.py"), "leads out of the directory of packages"),
        (add("/etc/x.py"), "/etc/x.py leads out of the directory of packages"),
        (add("dep-1.0.0.data/scripts/../../x"), "leads out of the directory of packages"),
        (add("dep-1.0.0.data/other/x"), "pip knows no place for dep-1.0.0.data/other/x"),
        (add("dep-1.0.0.data/scripts"), "pip knows no place for dep-1.0.0.data/scripts"),
        (add(POINTS, b"nonsense"), "its entry points cannot be read"),
        (add(POINTS, b"\xff"), "invalid start byte"),
        (add(POINTS, b"[console_scripts]\n../x = a:b\n"), "../x is no name of a script"),
        (add(POINTS, b"[console_scripts]\n.. = a:b\n"), ".. is no name of a script"),
    ],
)
def test_what_pip_refuses(change: Callable[[dict[str, bytes]], Any], problem: str) -> None:
    content = with_files(change, Wheel("dep"))

    with pytest.raises(WheelError) as error:
        read("dep-1.0.0-py3-none-any.whl", opened(content), **MOST)

    assert str(error.value).startswith("Wheel dep-1.0.0-py3-none-any.whl is invalid: ")
    assert problem in str(error.value)


def test_wheel_of_another_name() -> None:
    with pytest.raises(WheelError, match=r"dep-1\.0\.0\.dist-info is that of another distribution"):
        read("other-1.0.0-py3-none-any.whl", opened(Wheel("dep").build()), **MOST)


def test_versions_are_compared_as_versions() -> None:
    found = read("dep-1.0-py3-none-any.whl", opened(Wheel("dep", "1.0.0").build()), **MOST)

    assert found.distribution.version == "1.0.0"


def test_broken_archives() -> None:
    good = Wheel("dep", files={"dep.py": "x" * 2000}).build()
    place = good.index(b"dep.py") + 10
    changed = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]

    for content in (b"", b"no archive", good[:-30], good[30:], changed):
        with pytest.raises(WheelError, match="is invalid: "):
            read("dep-1.0.0-py3-none-any.whl", opened(content), **MOST)


def test_file_that_is_shorter_than_it_says() -> None:
    good = Wheel("dep", files={"dep.py": "x" * 100}).build()
    entry = good.index(b"PK\x01\x02")
    assert good[entry + 46 : entry + 52] == b"dep.py"
    longer = good[: entry + 24] + (200).to_bytes(4, "little") + good[entry + 28 :]

    with pytest.raises(WheelError, match="a file of it is cut off"):
        read("dep-1.0.0-py3-none-any.whl", opened(longer), **MOST)


def test_unusual_compression() -> None:
    content = packed(Wheel("dep").content(), zipfile.ZIP_LZMA)

    with pytest.raises(WheelError, match="is compressed in an unusual way"):
        read("dep-1.0.0-py3-none-any.whl", opened(content), **MOST)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = Wheel("dep", files={"dep.py": "x" * 5000})

    with pytest.raises(WheelError, match="have more than 200000 files"):
        made(wheel, most_files=3)
    with pytest.raises(WheelError, match="unpack to more than 8589934592 bytes"):
        made(wheel, most_bytes=5000)
    monkeypatch.setattr(wheels, "MAX_DIRECTORY", 100)
    with pytest.raises(WheelError, match="its list of files is too long"):
        made(wheel)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        (">=3.11", {"3.11", "3.12"}),
        (">=3.12.4", {"3.12"}),
        ("<3.12", {"3.11"}),
        ("==3.12.*", {"3.12"}),
        ("nonsense", {"3.11", "3.12"}),
    ],
)
def test_pythons_that_a_wheel_runs_on(text: str, runs: set[str]) -> None:
    described = Wheel("dep").content()["dep-1.0.0.dist-info/METADATA"]
    line = f"Requires-Python: {text}\n".encode()
    content = with_files(put("/METADATA", described + line), Wheel("dep"))

    found = read("dep-1.0.0-py3-none-any.whl", opened(content), **MOST)

    assert {python for python in ("3.11", "3.12") if found.runs_on(python)} == runs


def test_description_is_no_header() -> None:
    described = Wheel("dep").content()["dep-1.0.0.dist-info/METADATA"]
    content = with_files(put("/METADATA", described + b"\n\nRequires-Python: <3\n"), Wheel("dep"))

    assert read("dep-1.0.0-py3-none-any.whl", opened(content), **MOST).runs_on("3.12")
