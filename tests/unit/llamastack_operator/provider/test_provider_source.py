# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a path may name: directories and archives; what is in them, and what is refused."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from configs.external.offline.contents import Closed, Tree
from llamastack_operator.provider import archive, layers, tar
from llamastack_operator.provider.errors import ImageError
from llamastack_operator.provider.source import Source, opened
from tests.support import image_archives as archives
from tests.support.image_archives import AMD64, member

SPEC = "lls-provider/lls-provider-spec.yaml"
ARM64 = {"os": "linux", "architecture": "arm64"}

Read = Callable[[bytes], Source]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Opens an archive, until the end of the test."""
    with ExitStack() as stack:

        def opens(content: bytes, platform: str = "") -> Source:
            path = tmp_path / "image.tar"
            path.write_bytes(content)
            return stack.enter_context(opened(str(path), platform))

        yield opens


def text(source: Source, path: str = SPEC) -> bytes:
    with Tree(source.contents).open(path) as file:
        return file.read()


def there(source: Source, path: str) -> bool:
    return Tree(source.contents).find(path) is not None


# --- archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [bytes, archives.zipped])
def test_root_file_system(read: Read, wrap: Callable[[bytes], bytes]) -> None:
    source = read(wrap(archives.tar_of({SPEC: b"spec"})))

    assert text(source) == b"spec"
    assert source.platform == ""
    assert source.search_path == ("/usr/local/bin", "/usr/bin", "/bin")


@pytest.mark.parametrize("inner", [bytes, archives.zipped])
@pytest.mark.parametrize("outer", [bytes, archives.zipped])
def test_docker_archive(
    read: Read, inner: Callable[[bytes], bytes], outer: Callable[[bytes], bytes]
) -> None:
    below = archives.tar_of({SPEC: b"old", "etc/passwd": b""})
    config = {**AMD64, "config": {"Env": ["A=b", "PATH=/opt/bin:/bin", 1]}}
    above = archives.tar_of({SPEC: b"new"})

    source = read(outer(archives.docker_save([inner(below), inner(above)], config)))

    assert text(source) == b"new"
    assert there(source, "/etc/passwd")
    assert source.platform == "linux/amd64"
    assert source.search_path == ("/opt/bin", "/bin")


@pytest.mark.parametrize("nested", [False, True])
def test_oci_archive(read: Read, nested: bool) -> None:
    layer = archives.zipped(archives.tar_of({SPEC: b"spec"}))

    source = read(archives.oci_archive([(ARM64, [layer])], nested=nested))

    assert (text(source), source.platform) == (b"spec", "linux/arm64")


def test_platform_chooses_among_images(read: Callable[[bytes, str], Source]) -> None:
    images = [(one, [archives.tar_of({SPEC: one["architecture"].encode()})])
              for one in (AMD64, ARM64)]  # fmt: skip

    source = read(archives.oci_archive(images, nested=True), "linux/arm64")

    assert text(source) == b"arm64"


def test_permissions_of_the_archive_itself_mean_nothing(read: Read) -> None:
    layer = archives.tar(member(SPEC, b"spec", mode=0o640))
    manifest = json.dumps([{"Config": "closed/config", "Layers": ["closed/layer"]}]).encode()
    archive_of = archives.tar(
        member("manifest.json", manifest, mode=0o600),
        member("closed", type=tarfile.DIRTYPE, mode=0o700),
        member("closed/config", json.dumps(AMD64).encode(), mode=0o600),
        member("closed/layer", layer, mode=0o600),
    )

    source = read(archive_of)

    assert source.platform == "linux/amd64"
    with pytest.raises(Closed):
        text(source)


def test_attestation_is_no_image(read: Read) -> None:
    unknown = {"os": "unknown", "architecture": "unknown"}
    images = [(AMD64, [archives.tar_of({SPEC: b"spec"})]), (unknown, [])]

    assert text(read(archives.oci_archive(images))) == b"spec"


def test_links_in_the_archive_stay_in_it(read: Read) -> None:
    source = read(
        archives.tar(
            member("lls-provider", type=tarfile.SYMTYPE, linkname="opt/x"),
            member(
                "opt/x/lls-provider-spec.yaml", type=tarfile.SYMTYPE, linkname="/../../etc/spec"
            ),
            member("etc/spec", b"inside"),
            member("etc/other", type=tarfile.LNKTYPE, linkname="etc/spec"),
            member("etc/nothing", type=tarfile.LNKTYPE, linkname="etc/gone"),
            member("dev/null", type=tarfile.CHRTYPE),
        )
    )

    assert text(source) == text(source, "/etc/other") == b"inside"
    assert not there(source, "/etc/nothing")
    found = Tree(source.contents).find("/dev/null")
    assert found
    assert found[1].kind == "other"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names(read: Read, form: int) -> None:
    """In each of the three ways in which archives write them."""
    folder = "lls-provider/packages/" + "d" * 90
    name = f"{folder}/{'n' * 90}"
    link = member("lls-provider/link", type=tarfile.SYMTYPE, linkname=f"/{name[:99]}")
    longer = member("lls-provider/longer", type=tarfile.SYMTYPE, linkname=f"/{name}")
    members = [link, member(name, b"here"), *([longer] if form != tarfile.USTAR_FORMAT else ())]

    source = read(archives.tar(*members, form=form))

    assert text(source, f"/{name}") == b"here"
    if form != tarfile.USTAR_FORMAT:
        assert text(source, "/lls-provider/longer") == b"here"


def test_whiteouts_are_about_layers_below(read: Read) -> None:
    below = archives.tar_of({"a/gone": b"", "a/kept": b"", "b/old": b"", "c/d/e": b"", SPEC: b"x"})
    above = archives.tar_of(
        {"b/new": b"", "a/.wh.gone": b"", "b/.wh..wh..opq": b"", ".wh.c": b"", "nowhere/.wh.x": b""}
    )

    source = read(archives.docker_save([below, above]))

    gone = [path for path in ("/a/gone", "/b/old", "/c") if there(source, path)]
    assert gone == []
    assert there(source, "/a/kept")
    assert there(source, "/b/new")
    assert not there(source, "/a/.wh.gone")


def test_layer_may_exchange_a_file_for_a_directory(read: Read) -> None:
    below = archives.tar_of({"lls-provider": b"a file", "opt": b"another"})
    above = archives.tar(
        member("opt", type=tarfile.DIRTYPE), member(SPEC, b"spec"), member("opt/x", b"")
    )

    source = read(archives.docker_save([below, above]))

    assert text(source) == b"spec"
    assert there(source, "/opt/x")


def test_directory_of_two_layers_has_the_files_of_both(read: Read) -> None:
    folder = member("lls-provider", type=tarfile.DIRTYPE, mode=0o700)
    below = archives.tar(member("lls-provider", type=tarfile.DIRTYPE), member(SPEC, b"spec"))

    source = read(archives.docker_save([below, archives.tar(folder)]))

    found = source.contents.entry("lls-provider")
    assert found
    assert found.mode == 0o700
    assert source.contents.entry(SPEC) is not None


def test_layer_may_write_through_a_link_to_a_directory(read: Read) -> None:
    below = archives.tar(
        member("usr/lls", type=tarfile.DIRTYPE),
        member("lls-provider", type=tarfile.SYMTYPE, linkname="usr/lls"),
    )

    source = read(archives.docker_save([below, archives.tar_of({SPEC: b"spec"})]))

    assert text(source, "/usr/lls/lls-provider-spec.yaml") == b"spec"


def test_layer_may_write_through_a_link_that_leads_up(read: Read) -> None:
    below = archives.tar(
        member("opt", type=tarfile.DIRTYPE),
        member("usr/lls", type=tarfile.SYMTYPE, linkname="../../opt/./lls"),
        member("lls-provider", type=tarfile.SYMTYPE, linkname="/usr/lls"),
    )

    source = read(archives.docker_save([below, archives.tar_of({SPEC: b"spec"})]))

    assert text(source, "/opt/lls/lls-provider-spec.yaml") == b"spec"


def test_global_header_says_nothing_of_a_file(read: Read) -> None:
    comment = b"20 comment=a commit\n"
    head = raw(type=tarfile.XGLTYPE, size=len(comment)) + comment.ljust(512, b"\0")

    assert text(read(head + archives.tar_of({SPEC: b"spec"}))) == b"spec"


def test_directory_is_no_file(read: Read) -> None:
    source = read(archives.tar_of({SPEC: b"spec"}))

    with pytest.raises(FileNotFoundError):
        source.contents.open("lls-provider")


# --- what is refused -----------------------------------------------------------------------------


def raw(**fields: Any) -> bytes:
    """A header alone."""
    return member("x", **fields)[0].tobuf(tarfile.GNU_FORMAT)


def pax(records: bytes) -> bytes:
    """An extended header with these records, before a file."""
    header = raw(type=tarfile.XHDTYPE, size=len(records))
    return header + records.ljust(512, b"\0") + raw() + bytes(1024)


SPARSE = pax(b"30 GNU.sparse.name=lls-provi\n")
CIRCLE = archives.tar(
    member("a", type=tarfile.SYMTYPE, linkname="b"),
    member("b", type=tarfile.SYMTYPE, linkname="a"),
    member("a/x"),
)
NO_FORM = "a document in the archive has another form"

REFUSED: dict[str, tuple[bytes, str]] = {
    "no archive": (b"this is no archive" * 100, "it is no tar archive, or a broken one"),
    "short": (b"x" * 100, "it is no tar archive, or a broken one"),
    "cut off": (archives.tar_of({SPEC: b"x" * 9999})[:2048], "the archive is cut off"),
    "negative size": (raw(size=-9), "it is a broken tar archive"),
    "bad gzip": (b"\x1f\x8b" + bytes(50), "it is no valid gzip"),
    "cut gzip": (archives.zipped(archives.tar_of({SPEC: b""}))[:-20], "it is no valid gzip"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(50),
             "it is compressed with zstd, which is not supported; use gzip"),
    "leads out": (archives.tar_of({"../x": b""}),
                  "a file in the archive has a name that leads out of it"),
    "deep": (archives.tar_of({"d/" * 200: b""}),
             "a file in the archive is below more than 128 directories"),
    "long name": (raw(type=tarfile.GNUTYPE_LONGNAME, size=10**6) + bytes(10**6 + 512),
                  "a file in the archive has an absurdly long name"),
    "old sparse": (raw(type=tarfile.GNUTYPE_SPARSE) + bytes(1024),
                   "sparse files in tar archives are not supported"),
    "sparse": (SPARSE, "sparse files in tar archives are not supported"),
    "broken record": (pax(b"nonsense"), "a header in the archive is broken"),
    "short record": (pax(b"2 a=b\n"), "a header in the archive is broken"),
    "negative record": (pax(b"11 size=-1\n"), "a header in the archive is broken"),
    "circle": (CIRCLE, "a directory in the archive is a link that leads in a circle"),
    "two images": (archives.docker_save([], images=2), "the archive holds 2 images, not one"),
    "no images": (archives.tar_of({"manifest.json": b"{}"}), "the archive holds 0 images, not one"),
    "no form": (archives.tar_of({"manifest.json": b"[1]"}), NO_FORM),
    "no layers": (archives.tar_of({"manifest.json": b'[{"Config": "c"}]'}),
                  "manifest.json in the archive has another form"),
    "no JSON": (archives.tar_of({"manifest.json": b"{"}),
                "manifest.json in the archive is not JSON"),
    "nested JSON": (archives.tar_of({"manifest.json": b"[" * 10**5}),
                    "manifest.json in the archive is not JSON"),
    "large JSON": (archives.tar_of({"manifest.json": b" " * (4 * 1024**2 + 1)}),
                   "manifest.json in the archive has more than 4194304 bytes"),
    "many layers": (archives.docker_save([b""] * 501), "the image has more than 500 layers"),
    "no config": (archives.tar_of({"manifest.json": b'[{"Config": "c", "Layers": []}]'}),
                  "there is no c in the archive"),
    "no index": (archives.tar_of({"oci-layout": b""}), "there is no index.json in the archive"),
    "no manifest": (archives.tar_of({"oci-layout": b"", "index.json": b"{}"}),
                    "the manifest in the archive has another form"),
    "odd digest": (archives.tar_of({
        "oci-layout": b"", "index.json": b'{"manifests": [{"digest": "sha256:../../etc"}]}'}),
        "a digest in the archive is not one of SHA-256"),
    "several platforms": (archives.oci_archive([(AMD64, []), (ARM64, [])]),
                          "the archive holds 2 images, not one; --platform chooses"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(read: Read, case: str) -> None:
    content, expected = REFUSED[case]

    with pytest.raises(ImageError) as refused:
        read(content)

    assert str(refused.value) == expected


def test_index_that_names_itself_is_refused(read: Read) -> None:
    digest = "0" * 64
    index = json.dumps({"manifests": [{"digest": f"sha256:{digest}"}]}).encode()
    files = {"oci-layout": b"", "index.json": index, f"blobs/sha256/{digest}": index}

    with pytest.raises(ImageError, match="the indexes in the archive are nested too deep"):
        read(archives.tar_of(files))


def test_bomb_stops_at_the_limit(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_SPARE", 1024 * 1024)
    bomb = archives.zipped(bytes(64 * 1024 * 1024))

    with pytest.raises(ImageError, match="it unpacks to far more"):
        read(bomb)


def test_layers_share_a_limit(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = archives.zipped(archives.tar_of({"x": os.urandom(3 * 1024**2)}))
    monkeypatch.setattr(archive, "MAX_UNPACKED", 5 * 1024**2)

    read(archives.docker_save([layer]))
    with pytest.raises(ImageError, match="it unpacks to far more"):
        read(archives.docker_save([layer, layer]))


def test_layer_that_is_named_many_times_is_unpacked_within_one_limit(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_SPARE", 4 * 1024**2)
    layer = archives.zipped(archives.tar_of({"x": bytes(3 * 1024**2)}))

    read(archives.docker_save([layer]))
    with pytest.raises(ImageError, match="it unpacks to far more"):
        read(archives.docker_save([layer] * 9))


def test_files_are_counted_over_all_layers(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_FILES", 16)
    layer = archives.tar_of({f"{number}": b"" for number in range(9)})

    read(archives.docker_save([layer]))
    with pytest.raises(ImageError, match="there are more than 16 files"):
        read(archives.docker_save([layer, layer]))
    with pytest.raises(ImageError, match="there are more than 16 files"):
        read(archives.tar_of({"d/" * 30: b""}))


def test_following_links_has_an_end(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_FOLLOWED", 100)
    link = member("a", type=tarfile.SYMTYPE, linkname="./" * 30 + "b")
    detour = member("c", type=tarfile.SYMTYPE, linkname="b/../" * 10 + "b")

    read(archives.tar(link, *(member(f"a/{number}") for number in range(90))))
    with pytest.raises(ImageError, match="the archive has far too many links"):
        read(archives.tar(detour, *(member(f"c/{number}") for number in range(90))))


def test_names_without_end_are_not_read(tmp_path: Path) -> None:
    """The size of an extended header is looked at before it is read."""
    path = tmp_path / "x"
    path.write_bytes(raw(type=tarfile.XHDTYPE, size=tar._LONGEST + 1) + bytes(tar._LONGEST + 512))

    with path.open("rb") as file, pytest.raises(ImageError, match="absurdly long"):
        list(tar.members(file))


# --- directories ---------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/lls-provider").mkdir(parents=True)
    (tmp_path / "root" / SPEC).write_bytes(b"spec")
    return tmp_path / "root"


def test_root_directory(root: Path) -> None:
    with opened(str(root)) as source:
        assert text(source) == b"spec"
        assert source.search_path is None

    (root / "usr").mkdir()
    with opened(str(root)) as source:
        assert source.search_path is not None


def test_directory_of_the_provider(root: Path) -> None:
    with opened(str(root / "lls-provider")) as source:
        assert text(source) == b"spec"
        assert list(source.contents.names("")) == ["lls-provider"]
        assert source.contents.entry("other") is None
        assert source.search_path is None


def test_links_do_not_leave_a_directory(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    top = root / "lls-provider"
    (top / "up").symlink_to("../../outside")
    (top / "absolute").symlink_to(tmp_path / "outside")
    (top / "folder").symlink_to(tmp_path)
    (top / "inside").symlink_to("/lls-provider/lls-provider-spec.yaml")
    os.mkfifo(top / "pipe")

    with opened(str(root)) as source:
        tree = Tree(source.contents)
        assert [tree.kind(f"/lls-provider/{name}") for name in ("up", "absolute", "folder")] == [
            None, None, None,
        ]  # fmt: skip
        assert text(source, "/lls-provider/inside") == b"spec"
        assert tree.kind("/lls-provider/pipe") == "other"
        # Whoever asks past the tree gets nothing, either.
        assert source.contents.entry("lls-provider/folder/outside") is None
        assert list(source.contents.names("lls-provider/folder")) == []
        with pytest.raises(OSError, match="symbolic link"):
            source.contents.open("lls-provider/absolute")


def test_file_is_no_directory(root: Path) -> None:
    with opened(str(root)) as source:
        assert source.contents.entry(f"{SPEC}/x") is None
        assert source.contents.entry("lls-provider/" + "x" * 300) is None


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ImageError, match="neither a directory nor an archive"):
        opened(str(tmp_path / "pipe")).__enter__()
    with pytest.raises(FileNotFoundError):
        opened(str(tmp_path / "gone")).__enter__()
