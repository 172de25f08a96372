# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A container registry (the reference one, Debian's ``docker-registry``), with and without access.

Open, with passwords (``htpasswd``), or with tokens: then it answers 401 with the realm to ask, as
the public registries do. ``put_image`` pushes an image without layers, which is all that a digest
needs.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.registry_request import RefusedError, send
from hack.servers.services import Service

_BCRYPT_COST = "04"  # the least: nobody attacks it
_BCRYPT_LETTERS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, slots=True)
class TokenRealm:
    """Who hands out tokens for a registry.

    Attributes:
        realm: the URL that clients are told to ask.
        certificate: PEM file of whoever signs the tokens.
        issuer: what tokens say in ``iss``.
        service: what they say in ``aud``.
    """

    realm: str
    certificate: Path
    issuer: str = "tokens"
    service: str = "registry"


class Registry(Service):
    """The registry.

    Args:
        bed: where the program is.
        htpasswd: users and passwords; None to let everybody in.
        token_realm: who hands out tokens; not together with ``htpasswd``.
        tls: files with its certificate and key; None for plain HTTP.
    """

    name = "registry"

    def __init__(
        self,
        bed: Bed,
        *,
        htpasswd: Mapping[str, str] | None = None,
        token_realm: TokenRealm | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        super().__init__(bed)
        self._htpasswd, self._token_realm, self._tls = htpasswd, token_realm, tls

    @property
    def url(self) -> str:
        """Scheme, address and port."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def put_image(
        self,
        repository: str,
        tag: str,
        config: Mapping[str, Any] | None = None,
        *,
        authorization: str = "",
    ) -> str:
        """Push an image without layers.

        Args:
            repository: e.g. ``library/llama``.
            tag: e.g. ``0.7.3``.
            config: what to add to the image's config, e.g. labels.
            authorization: the header; by default of the first user of ``htpasswd``.

        Returns:
            The digest of its manifest, ``sha256:…``.

        Raises:
            BedError: the registry refused.
        """
        document = {"architecture": "amd64", "os": "linux", "config": {}, **(config or {})}
        document["rootfs"] = {"type": "layers", "diff_ids": []}
        blob = json.dumps(document).encode()
        reference = {"mediaType": CONFIG, "size": len(blob), "digest": digest(blob)}
        place = f"/v2/{repository}/blobs/uploads/"
        location = self._ask("POST", place, b"", "", authorization)["location"]
        mark = "&" if "?" in location else "?"
        target = f"{location}{mark}digest={reference['digest']}"
        self._ask("PUT", target, blob, "application/octet-stream", authorization)
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": reference, "layers": []}
        ).encode()
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", manifest, MANIFEST, authorization)
        return digest(manifest)

    def _ask(
        self, method: str, target: str, body: bytes, content_type: str, authorization: str
    ) -> Mapping[str, str]:
        """The headers of an answer, names in lower case."""
        url = target if "://" in target else f"{self.url}{target}"
        if not authorization and self._htpasswd:
            user, password = next(iter(self._htpasswd.items()))
            authorization = basic(user, password)
        headers = {"Content-Type": content_type, "Authorization": authorization}
        try:
            return send(method, url, body, headers, ca_file=str(self._tls[0]) if self._tls else "")
        except (RefusedError, OSError) as error:
            raise BedError(f"{method} {target}: {error}") from error

    def _prepare(self) -> None:
        (self.directory / "data").mkdir()
        if self._htpasswd:
            lines = [f"{user}:{bcrypt(password)}\n" for user, password in self._htpasswd.items()]
            (self.directory / "htpasswd").write_text("".join(lines), encoding="utf-8")
        for source, name in zip(self._tls or (), ("tls.crt", "tls.key"), strict=False):
            (self.directory / name).write_bytes(source.read_bytes())
        if self._token_realm is not None:
            certificate = self._token_realm.certificate.read_bytes()
            (self.directory / "tokens.crt").write_bytes(certificate)

    def _command(self, port: int) -> list[str]:
        path = self.directory / "config.yml"
        path.write_text(json.dumps(self._config(port)), encoding="utf-8")  # JSON is YAML
        return [*self._bed.program("docker-registry"), "serve", self._bed.inside(path)]

    def _config(self, port: int) -> dict[str, Any]:
        inside = self._bed.inside(self.directory)
        http: dict[str, Any] = {
            "addr": f"127.0.0.1:{port}",
            "secret": "of-a-test",
            "relativeurls": True,
        }
        if self._tls is not None:
            http["tls"] = {"certificate": f"{inside}/tls.crt", "key": f"{inside}/tls.key"}
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": f"{inside}/data"},
                "delete": {"enabled": True},
            },
            "http": http,
        }
        if self._htpasswd is not None:
            config["auth"] = {"htpasswd": {"realm": "registry", "path": f"{inside}/htpasswd"}}
        elif self._token_realm is not None:
            config["auth"] = {
                "token": {
                    "realm": self._token_realm.realm,
                    "service": self._token_realm.service,
                    "issuer": self._token_realm.issuer,
                    "rootcertbundle": f"{inside}/tokens.crt",
                }
            }
        return config


def digest(content: bytes) -> str:
    """Of a blob or manifest, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def basic(user: str, password: str) -> str:
    """The Authorization header of a user."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def bcrypt(password: str) -> str:
    """A password as the registry's htpasswd file wants it.

    Python has no bcrypt of its own; the C library of every Linux distribution of today has.

    Raises:
        BedError: this one has not.
    """
    salt = "".join(secrets.choice(_BCRYPT_LETTERS) for _ in range(21))
    setting = f"$2y${_BCRYPT_COST}${salt}."
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            crypt = ctypes.CDLL(name).crypt
        except OSError:
            continue
        crypt.restype = ctypes.c_char_p
        hashed = crypt(password.encode(), setting.encode())
        if isinstance(hashed, bytes) and hashed.startswith(b"$2y$"):
            return hashed.decode()
    raise BedError("the C library cannot do bcrypt (libcrypt.so of libxcrypt is needed)")
