# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Certificates of one control plane, made with ``cryptography``: no openssl program is needed.

A control plane has two authorities, as kubeadm makes them: ``ca`` vouches for the API server and
for clients (the certificate's common name is the user, its organisations are the groups), and
``front-proxy-ca`` for the aggregation layer. They must differ: whoever holds a certificate of the
front proxy may claim any user name. All keys are ECDSA P-256, because a key of that kind takes
well under a millisecond to make and an RSA key does not.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ADMIN_GROUP = "system:masters"
"""The group that RBAC lets do everything, hard-wired in the API server."""

CLIENT_CA = "ca"
FRONT_PROXY_CA = "front-proxy-ca"

_LIFETIME = datetime.timedelta(days=30)
# A machine whose clock was set back a little must still find the certificates valid.
_BACKDATED = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate with its key, both PEM."""

    certificate: bytes
    key: bytes


class Pki:
    """The authorities and certificates below one directory.

    Everything is written at construction, about 10 ms for all of it; more client certificates can
    be issued for as long as the object lives.
    """

    def __init__(self, directory: Path, *, server_names: tuple[str, ...]) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._authorities = {
            name: self._new_authority(name) for name in (CLIENT_CA, FRONT_PROXY_CA)
        }
        self._write("apiserver", self._issue("kube-apiserver", server_names=server_names))
        self._write("admin", self.client_cert("admin", (ADMIN_GROUP,)))
        self._write(
            "kubelet-client", self.client_cert("kube-apiserver-kubelet-client", (ADMIN_GROUP,))
        )
        self._write("controller-manager", self.client_cert("system:kube-controller-manager"))
        self._write("scheduler", self.client_cert("system:kube-scheduler"))
        self._write("front-proxy", self._issue("front-proxy", authority=FRONT_PROXY_CA))
        self._write_service_account_key()

    @property
    def ca(self) -> bytes:
        """The certificate (PEM) that clients verify the API server with."""
        return self.certificate(CLIENT_CA).read_bytes()

    def certificate(self, name: str) -> Path:
        """Where the certificate ``name`` is."""
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Where the private key ``name`` is."""
        return self.directory / f"{name}.key"

    def credential(self, name: str) -> Credential:
        """A certificate made at construction, with its key."""
        return Credential(self.certificate(name).read_bytes(), self.key(name).read_bytes())

    def client_cert(self, user: str, groups: tuple[str, ...] = ()) -> Credential:
        """Issue a certificate that the API server takes for ``user`` in ``groups``.

        ``system:authenticated`` is added by the server. A common name is limited to 64 characters
        (X.520), which is less than the name of a service account may need: those use tokens.

        Raises:
            ValueError: the user name is empty or longer than 64 characters.
        """
        return self._issue(user, organisations=groups)

    def _new_authority(self, name: str) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            certificate_builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(authority=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        self._write(name, Credential(_pem(certificate), _private_pem(key)))
        return subject, key

    def _issue(
        self,
        common_name: str,
        *,
        organisations: tuple[str, ...] = (),
        server_names: tuple[str, ...] = (),
        authority: str = CLIENT_CA,
    ) -> Credential:
        issuer, issuer_key = self._authorities[authority]
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organisations),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server_names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            certificate_builder(subject, issuer, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                critical=False,
            )
        )
        if server_names:
            alternatives = x509.SubjectAlternativeName([_general_name(n) for n in server_names])
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        return Credential(_pem(certificate), _private_pem(key))

    def _write_service_account_key(self) -> None:
        """One key signs the tokens of service accounts, its public half verifies them."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_private(self.key("service-account"), _private_pem(key))
        write_private(self.directory / "service-account.pub", public)

    def _write(self, name: str, credential: Credential) -> None:
        write_credential(self.certificate(name), credential)


def write_credential(path: Path, credential: Credential) -> None:
    """Write a certificate and its key beside each other, as ``.crt`` and ``.key``."""
    write_private(path.with_suffix(".crt"), credential.certificate)
    write_private(path.with_suffix(".key"), credential.key)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def certificate_builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    *,
    since: datetime.timedelta = _BACKDATED,
    until: datetime.timedelta = _LIFETIME,
) -> x509.CertificateBuilder:
    """A certificate without extensions, to be signed.

    Args:
        subject: whose it is.
        issuer: who signs it.
        public_key: of the subject.
        since: how long it has been valid already.
        until: how long it stays so; negative for one that has expired.
    """
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - since)
        .not_valid_after(now + until)
    )


def key_usage(*, authority: bool) -> x509.KeyUsage:
    """What a key may be used for: to sign certificates, or not."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
