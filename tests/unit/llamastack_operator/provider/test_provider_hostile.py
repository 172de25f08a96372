# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever an archive holds, it is checked or refused, and nothing is written anywhere."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.external.offline.check import Asked, Checked, check
from configs.external.offline.together import check_together
from llamastack_operator.provider.errors import ImageError
from llamastack_operator.provider.source import opened
from tests.support import image_archives as archives
from tests.support.image_archives import member
from tests.support.provider_check import HERE, MemoryFiles, files_of
from tests.support.provider_wheels import Wheel, image

GOOD = files_of(image("good"))
WHEEL = next(content for path, content in GOOD.items() if path.endswith(".whl"))
WHEEL_PATH = next(path for path in GOOD if path.endswith(".whl"))

NAMES = st.sampled_from(
    [
        *GOOD, "lls-provider", "lls-provider/packages", "..",
        "lls-provider/packages/x-1-py3-none-any.whl",
        "lls-provider/packages/../../x", "../x", "/etc/passwd", "a", "a/b", "a/.wh.b", "", ".",
        "a/.wh..wh..opq", ".wh.lls-provider", "lls-provider/.wh.packages", "manifest.json",
        "oci-layout", "index.json", "\udcff", "a\nb", "d/" * 150,
    ]
)  # fmt: skip
KINDS = st.sampled_from(
    [
        tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
        tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"Z", b"\xff",
    ]
)  # fmt: skip
CONTENTS = st.sampled_from([WHEEL, *GOOD.values(), b"", b"[]", b"{}", b"[{}]", b"{", b"x" * 600])


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    kind = draw(KINDS)
    content = draw(CONTENTS) if kind in {tarfile.REGTYPE, tarfile.AREGTYPE, b"Z"} else b""
    return member(
        draw(NAMES),
        content,
        type=kind,
        mode=draw(st.sampled_from([0, 0o644, 0o755, 0o7777])),
        linkname=draw(NAMES) if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "",
    )


def trees() -> st.SearchStrategy[bytes]:
    """Archives of odd members, among those of a good image or not."""
    good = [member(path, content) for path, content in GOOD.items()]
    lists = st.lists(members(), max_size=8).flatmap(lambda odd: st.permutations([*good, *odd]))
    return st.one_of(lists, st.lists(members(), max_size=8)).map(lambda made: archives.tar(*made))


def images() -> st.SearchStrategy[bytes]:
    """Those as they are, as layers, compressed, and with other bytes here and there."""
    layers = st.lists(st.one_of(trees(), trees().map(archives.zipped)), max_size=3)
    platform = {"os": "linux", "architecture": "amd64"}
    whole = st.one_of(
        trees(),
        layers.map(archives.docker_save),
        layers.map(lambda made: archives.oci_archive([(platform, made)])),
    )
    return st.one_of(whole, changed(whole), whole.map(archives.zipped).flatmap(one_changed))


def changed(contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return contents.flatmap(one_changed)


def one_changed(content: bytes) -> st.SearchStrategy[bytes]:
    places = st.integers(0, max(len(content) - 1, 0))
    edits = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)
    return st.tuples(edits, st.one_of(st.none(), places)).map(lambda what: edited(content, *what))


def edited(content: bytes, edits: list[tuple[int, int]], end: int | None) -> bytes:
    made = bytearray(content or b"x")
    for place, byte in edits:
        made[place] = byte
    return bytes(made[:end])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where temporary files go, and all that may appear."""
    found = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(found))
        yield found


def is_told(path: Path) -> bool:
    """Whether an archive is refused or checked, with words that can be shown."""
    try:
        with opened(str(path)) as source:
            asked = Asked(str(path), search_path=source.search_path)
            found = check_together([check(source.contents, asked, HERE)])
    except ImageError as error:
        return str(error).isprintable()
    return is_shown(found[0])


def is_shown(found: Checked) -> bool:
    """Whether all that is said of an image can be shown."""
    texts = [failure.text() for failure in found.failures]
    lines = [line for text in texts for line in text.splitlines()]
    return all(line.isprintable() for line in (*lines, *found.warnings, *found.notes))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=images())
def test_any_archive_is_checked_or_refused(place: Path, content: bytes) -> None:
    path = place / "image.tar"
    path.write_bytes(content)

    assert is_told(path)
    assert [each.name for each in place.iterdir()] == ["image.tar"]


def wheel_files(**files: Any) -> bytes:
    return Wheel("echo-provider", files=files).build()


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(
        one_changed(WHEEL),
        st.dictionaries(NAMES.map(lambda n: n.replace("\udcff", "x") or "y"), CONTENTS, max_size=5)
        .map(lambda files: wheel_files(**files)),
        st.binary(max_size=200),
    )
)  # fmt: skip
def test_any_wheel_is_read_or_refused(content: bytes) -> None:
    files = {**GOOD, WHEEL_PATH: content}

    found = check_together([check(MemoryFiles(files), Asked("example.com/p:v1"), HERE)])

    assert is_shown(found[0])


LONG = "9" * 5000  # Python does not read a number of so many digits
HEADERS = st.one_of(
    st.sampled_from(
        [
            f"Requires-Dist: dep>{LONG}", f"Requires-Dist: dep; python_version > '{LONG}'",
            "Requires-Dist: dep; os_name ~= '1'", "Requires-Dist: dep; 'a' in extras",
            "Requires-Dist: dep===x", "Requires-Dist: " + "(" * 5000, f"Requires-Python: >{LONG}",
            "Requires-Python: nonsense", "Requires-Python: ===\x1b[31m", "Requires-Dist: dep @ https://example.com/dep.whl",
        ]
    ),
    st.text(max_size=40).map("Requires-Dist: dep {}".format),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(headers=st.lists(HEADERS, max_size=3))
def test_any_requirement_is_judged(headers: list[str]) -> None:
    made = image("good")
    odd = Odd("odd", headers=tuple(headers))
    one = replace(made, wheels=(*made.wheels, odd, Wheel("dep", "1.0")))
    other = replace(made, wheels=(*made.wheels, Wheel("dep", "2.0")))

    checked = [
        check(MemoryFiles(files_of(each)), Asked("example.com/p:v1"), HERE) for each in (one, other)
    ]

    assert all(map(is_shown, check_together(checked)))


@dataclass(frozen=True)
class Odd(Wheel):
    """A wheel with more headers."""

    headers: tuple[str, ...] = ()

    def content(self) -> dict[str, bytes]:
        files = super().content()
        path = next(path for path in files if path.endswith("/METADATA"))
        more = "\n".join(self.headers).encode("utf-8", "replace")
        return {**files, path: files[path] + more}


def test_archives_of_the_strategy_can_be_good() -> None:
    """What the tests above need not come by: everything they begin with is an image."""
    archive = archives.tar(*(member(path, content) for path, content in GOOD.items()))

    with tarfile.open(fileobj=io.BytesIO(archive)) as made:
        assert sorted(made.getnames()) == sorted(GOOD)
    found = check(MemoryFiles(GOOD), Asked("example.com/p:v1"), HERE)
    assert found.failures == ()
