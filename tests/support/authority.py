# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A private certificate authority, as companies have one: for bundles, and servers that it signs.

It has what a strict verifier asks for (RFC 5280): basic constraints, key usage and key identifiers.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hack.cluster.pki import certificate_builder, key_usage

_DAY = datetime.timedelta(days=1)
_LONG_AGO = 400 * _DAY


class Authority:
    """One authority.

    Args:
        name: its common name.
        days: until its certificate expires; negative for one that has.
    """

    def __init__(self, name: str = "private authority", *, days: int = 30) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._days = days

    @cached_property
    def pem(self) -> str:
        """Its certificate."""
        public = self._key.public_key()
        made = (
            certificate_builder(
                self._name, self._name, public, since=_LONG_AGO, until=self._days * _DAY
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, name: str = "server") -> tuple[str, str]:
        """A certificate for 127.0.0.1 that it signs, and the key."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        issuer = self._key.public_key()
        made = (
            certificate_builder(_named(name), self._name, key.public_key(), since=_LONG_AGO)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(authority=False), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()

    def server_context(self, folder: Path) -> ssl.SSLContext:
        """For a server on 127.0.0.1 whose certificate it signs; the files go into the folder."""
        certificate, key = self.issue()
        (folder / "tls.crt").write_text(certificate, encoding="ascii")
        (folder / "tls.key").write_text(key, encoding="ascii")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
