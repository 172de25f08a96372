# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Official releases: verified before they are installed, and given up on soon.

A web server of the test's own stands for the hosts of the releases.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import download
from hack.cluster.cache import Cache, Platform
from hack.cluster.download import Downloader, Sources, release_of
from hack.cluster.progress import Progress
from hack.cluster.versions import ETCD, KUBERNETES, KWOK, PROGRAMS

_HERE = Platform("linux", "amd64")
_KUBECTL = f"/release/{KUBERNETES}/bin/linux/amd64/kubectl"
_ETCD = f"/etcd-io/etcd/releases/download/{ETCD}"
_ETCD_ARCHIVE = f"etcd-{ETCD}-linux-amd64"
_KWOK = f"/kubernetes-sigs/kwok/releases/download/{KWOK}/kwok-linux-amd64"
_KWOK_RELEASE = f"/repos/kubernetes-sigs/kwok/releases/tags/{KWOK}"


class _Site:
    """Files by path, served on loopback; remembers what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                content = site.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site() -> Iterator[_Site]:
    site = _Site()
    with site.server:
        thread = threading.Thread(target=site.server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path / "cache" / "pins")
    cache.directory.mkdir(parents=True)
    return cache


def _downloader(cache: Cache, url: str, told: io.StringIO, here: Platform = _HERE) -> Downloader:
    return Downloader(cache, here, Progress(told, every=60), Sources(url, url, url))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_each_project_s_own_checksum_is_used(site: _Site, cache: Cache) -> None:
    archive = _archive(f"{_ETCD_ARCHIVE}/etcd", b"etcd itself")
    site.files = {
        _KUBECTL: b"kubectl itself",
        f"{_KUBECTL}.sha256": _sha256(b"kubectl itself").encode(),
        f"{_ETCD}/{_ETCD_ARCHIVE}.tar.gz": archive,
        f"{_ETCD}/SHA256SUMS": (
            f"{_sha256(b'other')}  {_ETCD_ARCHIVE}.zip\n"
            f"{_sha256(archive)}  {_ETCD_ARCHIVE}.tar.gz\n"
        ).encode(),
        _KWOK: b"kwok itself",
        _KWOK_RELEASE: json.dumps(
            {
                "assets": [
                    {"name": "kwok-linux-arm64", "digest": "sha256:00"},
                    {"name": "kwok-linux-amd64", "digest": f"sha256:{_sha256(b'kwok itself')}"},
                ]
            }
        ).encode(),
    }
    told = io.StringIO()

    _downloader(cache, site.url, told).download([PROGRAMS[n] for n in ("kubectl", "etcd", "kwok")])

    contents = {path.name: path.read_text() for path in cache.directory.iterdir()}
    assert contents == {
        "kubectl": "kubectl itself",
        "etcd": "etcd itself",
        "kwok": "kwok itself",
    }
    assert len(cache.present(PROGRAMS.values())) == 3
    assert f"downloading kubectl {KUBERNETES}, from 127.0.0.1" in told.getvalue()


def test_file_that_is_not_what_its_checksum_says_is_not_installed(
    site: _Site, cache: Cache
) -> None:
    site.files = {_KUBECTL: b"tampered", f"{_KUBECTL}.sha256": _sha256(b"original").encode()}
    told = io.StringIO()

    _downloader(cache, site.url, told).download([PROGRAMS["kubectl"]])

    assert list(cache.directory.iterdir()) == []
    assert list(cache.directory.parent.glob(".*")) == []
    assert "kubectl is not what" in told.getvalue()


@pytest.mark.parametrize("document", [b"{}", b'{"assets": [{"name": "kwok-linux-amd64"}]}'])
def test_file_without_published_checksum_is_not_even_fetched(
    site: _Site, cache: Cache, document: bytes
) -> None:
    site.files = {_KWOK: b"kwok itself", _KWOK_RELEASE: document}
    told = io.StringIO()

    _downloader(cache, site.url, told).download([PROGRAMS["kwok"]])

    assert site.asked == [_KWOK_RELEASE]
    assert "has no checksum of kwok: not downloaded" in told.getvalue()


@pytest.mark.parametrize("document", [b"not json", b"\xff\xfe", b'["a list"]'])
def test_checksum_document_that_cannot_be_read_is_no_checksum(
    site: _Site, cache: Cache, document: bytes
) -> None:
    site.files = {_KWOK_RELEASE: document}
    told = io.StringIO()

    _downloader(cache, site.url, told).download([PROGRAMS["kwok"]])

    assert "has no checksum of kwok: not downloaded" in told.getvalue()


def test_host_that_cannot_be_reached_is_tried_once(cache: Cache) -> None:
    told = io.StringIO()
    downloader = _downloader(cache, "http://127.0.0.1:9", told)

    downloader.download(PROGRAMS.values())

    (line,) = told.getvalue().splitlines()
    assert line.startswith("control plane: 127.0.0.1:9 is not reachable")


def test_silent_host_is_given_up_within_the_connect_time_out(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_CONNECT_S", 0.2)
    told = io.StringIO()
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as silent:
        url = f"http://127.0.0.1:{silent.server_port}"  # accepts, and never answers
        _downloader(cache, url, told).download([PROGRAMS["kubectl"]])

    assert "is not reachable (" in told.getvalue()
    assert "timed out" in told.getvalue()


def test_archive_without_the_program_is_told(site: _Site, cache: Cache) -> None:
    archive = _archive("something/else", b"")
    site.files = {
        f"{_ETCD}/{_ETCD_ARCHIVE}.tar.gz": archive,
        f"{_ETCD}/SHA256SUMS": f"{_sha256(archive)}  {_ETCD_ARCHIVE}.tar.gz\n".encode(),
    }
    told = io.StringIO()

    _downloader(cache, site.url, told).download([PROGRAMS["etcd"]])

    assert list(cache.directory.iterdir()) == []
    assert "cannot be unpacked" in told.getvalue()


def test_platform_without_releases_asks_nobody(site: _Site, cache: Cache) -> None:
    told = io.StringIO()

    _downloader(cache, site.url, told, Platform("darwin", "arm64")).download(PROGRAMS.values())

    assert site.asked == []
    assert told.getvalue() == ""


def test_releases_come_from_the_projects_own_hosts() -> None:
    urls = {
        name: (release.url, release.checksum_url)
        for name in ("kube-apiserver", "etcd", "kwok")
        for release in [release_of(PROGRAMS[name], _HERE, Sources())]
    }

    assert urls["kube-apiserver"][0] == (
        f"https://dl.k8s.io/release/{KUBERNETES}/bin/linux/amd64/kube-apiserver"
    )
    assert urls["etcd"][1] == f"https://github.com{_ETCD}/SHA256SUMS"
    assert urls["kwok"] == (f"https://github.com{_KWOK}", f"https://api.github.com{_KWOK_RELEASE}")
