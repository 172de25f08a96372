# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One image: from its reference to its base config, every digest checked on the way.

HEAD tells the digest of the tag and proves that these credentials may see the image; only then is
anything taken from memory. After that everything is fetched by digest, so that a tag which moves
meanwhile cannot mix two images: index, manifest, config blob, and the layer if the labels name one.

Credentials and tokens live as long as one visit and are kept nowhere. Candidates are tried in the
kubelet's order until the registry accepts one.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from yarl import URL

from llamastack_operator.oci import challenge, labels, layer, manifests
from llamastack_operator.oci.answer_cache import Content
from llamastack_operator.oci.errors import (
    BadAnswer,
    BadLabel,
    ImageNotFound,
    RegistryError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from llamastack_operator.oci.reference import is_digest

if TYPE_CHECKING:
    from llamastack_operator.oci.http import Answer, Http
    from llamastack_operator.oci.keyring import Credential
    from llamastack_operator.oci.reference import ImageReference

MAX_MANIFEST: Final = 4 * 1024 * 1024  # what registries accept (distribution specification)
MAX_IMAGE_CONFIG: Final = 1024 * 1024
_MAX_TOKEN: Final = 64 * 1024
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
_CODE: Final = re.compile(r"[A-Z_]{3,40}")


@dataclass(frozen=True, slots=True)
class Pull:
    """Who asks, and what is known already.

    Attributes:
        candidates: credentials to try, in order; none for an anonymous visit.
        explain: what to add when none of them works.
        remembered: looks up content by name.
        architecture: preferred in an index.
    """

    candidates: Sequence[Credential]
    explain: str
    remembered: Callable[[str], Content | None]
    architecture: str


async def fetch(http: Http, reference: ImageReference, pull: Pull) -> Content:
    """The base config of an image.

    Raises:
        RegistryError: it cannot be had.
    """
    visit = _Visit(http, reference, pull)
    digest = await visit.digest()
    name = f"{reference.name}@{digest}"
    remembered = pull.remembered(name)
    if remembered is not None:
        return remembered
    manifest = await visit.manifest(digest)
    config = manifests.read_config(await visit.blob(manifest.config, MAX_IMAGE_CONFIG))
    found = labels.read(config.labels)
    if found is None:
        return Content(name, None, len(name))
    text = found.text
    if text is None:
        text = await visit.file(labels.find_layer(found, manifest, config), found.path)
    # Not to be cut into slices, and at its worst too long for the event loop, which goes on.
    base = await asyncio.to_thread(labels.read_config, text, found)
    return Content(name, base, len(text))


class _Visit:
    """One conversation with one registry about one image."""

    def __init__(self, http: Http, reference: ImageReference, pull: Pull) -> None:
        self._http = http
        self._reference = reference
        self._pull = pull
        self._root = http.base(reference.host)
        self._allow_http = http.allows_http(reference.host)
        self._authorization: str | None = None
        self._challenge: challenge.Challenge | None = None
        self._untried: list[Credential | None] = [*pull.candidates] or [None]

    async def digest(self) -> str:
        """What the tag stands for now."""
        answer = await self._get("HEAD", f"manifests/{self._reference.target}", limit=0)
        found = answer.headers.get("Docker-Content-Digest", "")
        if not found:
            return self._reference.digest or await self._computed_digest()
        if not is_digest(found) or self._reference.digest not in {"", found}:
            raise BadAnswer(
                f"{self._reference.registry} answers with another digest than asked for"
            )
        return found

    async def _computed_digest(self) -> str:
        """For registries that do not say it."""
        path = f"manifests/{self._reference.target}"
        answer = await self._get("GET", path, limit=MAX_MANIFEST, accept=manifests.ACCEPT)
        return manifests.digest_of(answer.body)

    async def manifest(self, digest: str) -> manifests.Manifest:
        """The manifest for our platform."""
        found = await self._read_manifest(digest)
        if isinstance(found, manifests.Index):
            found = await self._read_manifest(found.choose(self._pull.architecture).digest)
        if isinstance(found, manifests.Index):
            raise BadAnswer("the image index leads to another index")
        return found

    async def _read_manifest(self, digest: str) -> manifests.Index | manifests.Manifest:
        path = f"manifests/{digest}"
        answer = await self._get("GET", path, limit=MAX_MANIFEST, accept=manifests.ACCEPT)
        manifests.verify(answer.body, digest, "manifest")
        return manifests.read_manifest(answer.body, answer.headers.get("Content-Type", ""))

    async def blob(
        self, blob: manifests.Descriptor, limit: int, what: str = "image config"
    ) -> bytes:
        """A blob, whole."""
        if blob.size > limit:
            raise TooLarge(f"the {what} is {blob.size} bytes, more than the {limit} allowed")
        answer = await self._get("GET", f"blobs/{blob.digest}", limit=blob.size)
        manifests.verify(answer.body, blob.digest, what)
        return answer.body

    async def file(self, blob: manifests.Descriptor, path: str) -> bytes:
        """A file out of a layer; others run while it is unpacked."""
        packed = await self.blob(blob, layer.MAX_COMPRESSED, "layer with the config")
        for content in layer.steps(packed, path, most=labels.MAX_CONFIG):
            if content is not None:
                return content
            await asyncio.sleep(0)
        raise BadLabel("the layer with the config is empty")

    async def _get(
        self, method: str, path: str, *, limit: int, accept: str = manifests.ACCEPT
    ) -> Answer:
        url = self._root.join(URL(f"/v2/{self._reference.repository}/{path}", encoded=True))
        while True:
            answer = await self._http.call(
                method,
                url,
                limit=limit,
                accept=accept,
                authorization=self._authorization,
                allow_http=self._allow_http,
            )
            if answer.ok:
                return answer
            if answer.status not in _REFUSED or not await self._authenticate(answer):
                raise self._failure(answer)

    async def _authenticate(self, answer: Answer) -> bool:
        """Takes the next candidate; whether there was one.

        As the kubelet does, any refusal leads to the next: registries that hide what may not be
        seen answer 404 to the wrong user.
        """
        if answer.status == HTTPStatus.UNAUTHORIZED:
            headers = answer.headers.getall("WWW-Authenticate", [])
            self._challenge = challenge.choose(challenge.parse(headers)) or self._challenge
        while self._challenge is not None and self._untried:
            header = await self._authorize(self._challenge, self._untried.pop(0))
            if header is not None:
                self._authorization = header
                return True
        return False

    async def _authorize(
        self, asked: challenge.Challenge, credential: Credential | None
    ) -> str | None:
        password = None
        if credential is not None and (credential.username or credential.password):
            password = challenge.basic(credential.username, credential.password)
        if asked.scheme == "basic":
            return password
        url = challenge.token_url(asked, self._reference.repository, allow_http=self._allow_http)
        answer = await self._http.call(
            "GET",
            URL(url, encoded=True),
            limit=_MAX_TOKEN,
            accept="application/json",
            authorization=password,
            allow_http=self._allow_http,
        )
        if answer.status in _REFUSED or answer.status == HTTPStatus.BAD_REQUEST:
            return None
        if not answer.ok:
            raise self._failure(answer)
        return f"Bearer {challenge.read_token(answer.body)}"

    def _failure(self, answer: Answer) -> RegistryError:
        image, registry = self._reference, self._reference.registry
        code = _error_code(answer.body)
        status = f"{answer.status} {code}".strip()
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Unauthorized(
                f"registry {registry} refuses to show image {image} ({status}): "
                f"{self._pull.explain}"
            )
        if answer.status == HTTPStatus.NOT_FOUND:
            return ImageNotFound(f"registry {registry} has no image {image} ({status})")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = _retry_after(answer)
            return Unavailable(f"registry {registry} asks for patience (429)", retry_after_s=wait)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(
                f"registry {registry} is in trouble ({status})", retry_after_s=_retry_after(answer)
            )
        return BadAnswer(f"registry {registry} answered {status} to a request for image {image}")


def _error_code(body: bytes) -> str:
    """A well-known word out of a failure; nothing that the other side could choose freely."""
    try:
        code = json.loads(body)["errors"][0]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _retry_after(answer: Answer) -> float:
    """Seconds; the form with a date is not worth the trouble."""
    text = answer.headers.get("Retry-After", "")
    return float(text[:6]) if text.isascii() and text.isdigit() else 0.0
