# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The third rung of the ladder: official releases, where they can be reached.

Nothing is installed whose SHA-256 was not published by the project: Kubernetes has a ``.sha256``
file beside each program, etcd one SHA256SUMS a release, and for kwok, which has neither, GitHub
states the digest of each asset. Each host is tried once, with a short time-out: behind a firewall
the next rung has to come soon.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import shutil
import tarfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster.cache import Cache, Platform
from hack.cluster.errors import ClusterError
from hack.cluster.progress import Progress
from hack.cluster.versions import ProgramSpec

_CONNECT_S = 3.0
_READ_S = 30.0
_BLOCK = 1 << 20

# Kubernetes publishes its server programs for Linux only.
_PLATFORMS = {Platform("linux", "amd64"), Platform("linux", "arm64")}


class DownloadError(ClusterError):
    """A release cannot be had, or is not what its checksum says; the next rung may work."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where releases are; tests put a server of their own here."""

    kubernetes: str = "https://dl.k8s.io"
    github: str = "https://github.com"
    github_api: str = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Release:
    """One published file.

    Attributes:
        url: of the file.
        checksum_url: of the document that states its SHA-256.
        checksum: finds the hex digest in that document; empty if it is not there.
        member: what to take out if the file is an archive.
    """

    url: str
    checksum_url: str
    checksum: Callable[[bytes], str]
    member: str = ""


def release_of(spec: ProgramSpec, here: Platform, sources: Sources) -> Release:
    """The file in which a program is published."""
    suffix = f"{here.os}-{here.arch}"
    if spec.module == "kubernetes":
        url = f"{sources.kubernetes}/release/{spec.version}/bin/{here.os}/{here.arch}/{spec.name}"
        return Release(url, f"{url}.sha256", lambda text: text.decode(errors="replace").strip())
    if spec.module == "etcd":
        base = f"{sources.github}/etcd-io/etcd/releases/download/{spec.version}"
        archive = f"etcd-{spec.version}-{suffix}.tar.gz"
        return Release(
            f"{base}/{archive}",
            f"{base}/SHA256SUMS",
            lambda text: _in_sums(text, archive),
            member=f"etcd-{spec.version}-{suffix}/etcd",
        )
    repository = "kubernetes-sigs/kwok"
    asset = f"kwok-{suffix}"
    return Release(
        f"{sources.github}/{repository}/releases/download/{spec.version}/{asset}",
        f"{sources.github_api}/repos/{repository}/releases/tags/{spec.version}",
        lambda text: _in_assets(text, asset),
    )


def _in_sums(text: bytes, name: str) -> str:
    """The digest of a file in the output of sha256sum."""
    for line in text.decode(errors="replace").splitlines():
        digest, _, file = line.strip().partition(" ")
        if file.strip().removeprefix("*") == name:
            return digest
    return ""


def _in_assets(text: bytes, name: str) -> str:
    """The digest of an asset in GitHub's description of a release."""
    try:
        assets = {asset["name"]: asset for asset in json.loads(text)["assets"]}
        return str(assets[name]["digest"]).removeprefix("sha256:")
    except (ValueError, KeyError, TypeError):  # not there, or a firewall's own page
        return ""


@dataclass
class Downloader:
    """Fetches programs into the cache, and remembers which hosts cannot be reached.

    Attributes:
        cache: where to; its lock is held.
        here: which platform's programs.
        progress: told about every file and every host that is not there.
        sources: where from.
    """

    cache: Cache
    here: Platform
    progress: Progress
    sources: Sources = field(default_factory=Sources)
    _unreachable: set[str] = field(default_factory=set)

    def download(self, wanted: Iterable[ProgramSpec]) -> None:
        """Fetch what can be fetched; whatever is missing afterwards could not, and was told."""
        if self.here not in _PLATFORMS:
            return
        for spec in wanted:
            release = release_of(spec, self.here, self.sources)
            try:
                self._one(spec, release)
            except DownloadError as error:
                self.progress.say(f"{error}: not downloaded")

    def _one(self, spec: ProgramSpec, release: Release) -> None:
        host = urllib.parse.urlsplit(release.checksum_url).netloc
        if host in self._unreachable:
            return
        expected = release.checksum(self._probe(release.checksum_url, host))
        if len(expected) != hashlib.sha256().digest_size * 2:
            msg = f"{release.checksum_url} has no checksum of {spec.name}"
            raise DownloadError(msg)
        with self.cache.workspace() as work:
            file = work / "download"
            if self._fetch(release.url, file, f"{spec.name} {spec.version}") != expected.lower():
                msg = f"{release.url} is not what {release.checksum_url} says"
                raise DownloadError(msg)
            if release.member:
                file = _extract(file, release.member, work / "extracted")
            self.cache.install(spec, file)

    def _probe(self, url: str, host: str) -> bytes:
        """A small document, within the connect time-out for everything: names resolve slowly."""
        answer: list[bytes | Exception] = []

        def ask() -> None:
            try:
                with _open(url, _CONNECT_S) as response:
                    answer.append(response.read())
            except (OSError, http.client.HTTPException) as error:
                answer.append(error)

        thread = threading.Thread(target=ask, name="probe", daemon=True)
        thread.start()
        thread.join(_CONNECT_S + 1)
        result = answer[0] if answer else TimeoutError("no answer in time")
        if isinstance(result, bytes):
            return result
        self._unreachable.add(host)
        reason = getattr(result, "reason", None) or result
        msg = f"{host} is not reachable ({reason})"
        raise DownloadError(msg) from result

    def _fetch(self, url: str, target: Path, what: str) -> str:
        """Download a file; its SHA-256."""
        digest, size, total = hashlib.sha256(), 0, 0

        def detail() -> str:
            return f"{size >> 20} of {total >> 20} MiB" if total else f"{size >> 20} MiB"

        host = urllib.parse.urlsplit(url).netloc
        try:
            with (
                self.progress.step(f"downloading {what}", f"from {host}", detail),
                _open(url, _READ_S) as response,
                target.open("wb") as file,
            ):
                total = int(response.headers.get("Content-Length") or 0)
                while block := response.read(_BLOCK):
                    file.write(block)
                    digest.update(block)
                    size += len(block)
        except (OSError, http.client.HTTPException) as error:
            msg = f"{url}: {error}"
            raise DownloadError(msg) from error
        return digest.hexdigest()


def _open(url: str, timeout: float) -> contextlib.AbstractContextManager[http.client.HTTPResponse]:
    """Open a URL by HTTP or HTTPS, through a proxy if the environment names one.

    An opener with just these handlers, because the default one also opens ``file:`` and ``ftp:``,
    which a redirect has no business leading to.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "llamastack-operator-tests")]
    response: contextlib.AbstractContextManager[http.client.HTTPResponse] = opener.open(
        url, timeout=timeout
    )
    return response


def _extract(archive: Path, member: str, target: Path) -> Path:
    """Take one file out of a compressed tar archive, and nothing else."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            source = tar.extractfile(member)
            if source is None:
                msg = f"{member} is not a file"
                raise DownloadError(msg)
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
    except (tarfile.TarError, KeyError, OSError) as error:
        msg = f"{member} cannot be unpacked: {error}"
        raise DownloadError(msg) from error
    return target
