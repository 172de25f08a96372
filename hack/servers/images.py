# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Container images made of nothing, and pushed to a registry: labels, layers, platforms.

What is pushed is what a build tool would push: gzip layers, a config blob with diff IDs and
labels, a manifest, an index. ``TokenServer`` hands out the tokens that a registry with a token
realm wants, signed as it wants them.
"""

from __future__ import annotations

import base64
import datetime
import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from hack.servers.registry import Registry, TokenRealm, digest
from hack.servers.registry_request import RefusedError, send

OCI = "application/vnd.oci.image."
INDEX, MANIFEST, CONFIG = (f"{OCI}{kind}.v1+json" for kind in ("index", "manifest", "config"))
LAYER = f"{OCI}layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_SECONDS = 20.0


def layer(files: Mapping[str, bytes]) -> bytes:
    """A tar archive with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@dataclass(frozen=True)
class Image:
    """An image for one platform.

    Attributes:
        labels: of its config.
        layers: tar archives, lowest first.
        architecture: in Go's words.
        docker: whether it is pushed in Docker's media types instead of OCI's.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[bytes] = ()
    architecture: str = "amd64"
    docker: bool = False

    @property
    def packed(self) -> list[bytes]:
        """Its layers as they are stored."""
        return [gzip.compress(content, mtime=0) for content in self.layers]

    def config(self) -> bytes:
        """Its config blob."""
        return json.dumps(
            {
                "architecture": self.architecture,
                "os": "linux",
                "config": {"Labels": dict(self.labels)},
                "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in self.layers]},
            }
        ).encode()


@dataclass(frozen=True)
class Pusher:
    """Somebody who may write to a registry.

    Attributes:
        url: of the registry.
        authorization: header.
        ca_file: to trust.
    """

    url: str
    authorization: str = ""
    ca_file: Path | None = None

    @classmethod
    def to(cls, registry: Registry, **options: Any) -> Pusher:
        """Somebody who may write to this registry."""
        return cls(registry.url, **options)

    def push(self, repository: str, tag: str, image: Image) -> str:
        """Push an image; the digest of its manifest."""
        return self.manifest(repository, tag, self._document(repository, image))

    def push_index(self, repository: str, tag: str, images: Sequence[Image]) -> str:
        """Push an index of images; its digest."""
        entries = []
        for image in images:
            manifest = self._document(repository, image)
            found = self.manifest(repository, f"{tag}-{image.architecture}", manifest)
            entries.append(
                {
                    "mediaType": manifest["mediaType"],
                    "digest": found,
                    "size": len(json.dumps(manifest)),
                    "platform": {"os": "linux", "architecture": image.architecture},
                }
            )
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        return self.manifest(repository, tag, index)

    def _document(self, repository: str, image: Image) -> dict[str, Any]:
        config_type, layer_type, manifest_type = (
            (DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST)
            if image.docker
            else (CONFIG, LAYER, MANIFEST)
        )
        return {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": self._blob(repository, image.config(), config_type),
            "layers": [self._blob(repository, packed, layer_type) for packed in image.packed],
        }

    def manifest(self, repository: str, tag: str, manifest: Mapping[str, Any]) -> str:
        """Push a manifest or an index as it is; its digest."""
        body = json.dumps(manifest).encode()
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", body, manifest["mediaType"])
        return digest(body)

    def _blob(self, repository: str, content: bytes, media_type: str) -> dict[str, Any]:
        place = f"/v2/{repository}/blobs/uploads/"
        location = self._ask("POST", place, b"", "")["location"]
        mark = "&" if "?" in location else "?"
        target = f"{location}{mark}digest={digest(content)}"
        self._ask("PUT", target, content, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}

    def _ask(self, method: str, target: str, body: bytes, content_type: str) -> Mapping[str, str]:
        url = target if "://" in target else f"{self.url}{target}"
        headers = {"Content-Type": content_type, "Authorization": self.authorization}
        try:
            return send(method, url, body, headers, ca_file=str(self.ca_file or ""))
        except RefusedError as error:
            raise AssertionError(f"{method} {target}: {error}") from error


def certificate(
    folder: Path, name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> Path:
    """A certificate for 127.0.0.1, signed by its own key: its own CA."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.crt"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


def tls_files(folder: Path) -> tuple[Path, Path]:
    """A certificate and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = folder / "server.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate(folder, "server", key), path


class TokenServer:
    """Hands out tokens to whoever has the right password. Use as a context manager.

    Args:
        folder: for its certificate.
        users: passwords by name; these may pull everything. None lets nobody in but anonymous.
        anonymous: whether whoever has no password may pull.

    Attributes:
        seen: authorization header and scopes of each request.
    """

    def __init__(self, folder: Path, users: Mapping[str, str], *, anonymous: bool = False) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = certificate(folder, "tokens", self._key)
        self._anonymous = anonymous
        self._allowed = {
            "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            for user, password in users.items()
        }
        self.seen: list[tuple[str, list[str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, name="tokens")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def realm(self) -> TokenRealm:
        """What a registry has to know."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        return TokenRealm(url, self._certificate)

    def token(self, repository: str, *actions: str) -> str:
        """A signed token (RFC 7519, with the certificate in it, as the registry wants it)."""
        certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        der = certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        now = int(datetime.datetime.now(datetime.UTC).timestamp())
        claims = {
            "iss": self.realm.issuer,
            "aud": self.realm.service,
            "sub": "somebody",
            "iat": now,
            "nbf": now - 60,
            "exp": now + 300,
            "jti": "1",
            "access": [{"type": "repository", "name": repository, "actions": list(actions)}],
        }
        signed = f"{_part(header)}.{_part(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(request.path).query)
        given, scopes = request.headers.get("Authorization", ""), query.get("scope", [])
        self.seen.append((given, scopes))
        if given not in self._allowed and not (self._anonymous and not given):
            request.send_error(401)
            return
        _, repository, _ = scopes[0].split(":")
        body = json.dumps({"token": self.token(repository, "pull")}).encode()
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _part(data: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()
