# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Makes authorities and certificates.

Keys are ECDSA P-256: every API server knows them, and making one takes well under a millisecond.
An authority signs nothing but certificates of servers, and no other authority. Its key is in the
Secret, so that any replica can renew the certificate; whoever can read that Secret could have
changed the webhooks as well.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llamastack_operator.webhooks.certificates.pair import SigningKey, general_name, pem_of
from llamastack_operator.webhooks.certificates.state import (
    AUTHORITIES,
    AUTHORITY_KEY,
    BACKDATED,
    CERTIFICATE,
    KEY,
    Need,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from llamastack_operator.webhooks.certificates.state import Assessment

AUTHORITY_LIFE: Final = timedelta(days=3650)
CERTIFICATE_LIFE: Final = timedelta(days=90)

_NAME: Final = "llama-stack-k8s-operator-webhook"
_MOST_TRUSTED: Final = 4
"""Authorities that are kept beside a new one, if somebody makes new ones all the time."""


def renewed(
    data: Mapping[str, bytes],
    found: Assessment,
    now: datetime,
    *,
    also_trusted: Sequence[x509.Certificate] = (),
) -> dict[str, bytes]:
    """What to store in place of what was found.

    Args:
        data: what is stored; keys that are not ours are kept.
        found: the assessment of it.
        now: the time.
        also_trusted: authorities of certificates that are still served, though they are not stored.
    """
    trusted, signer = found.trusted, found.signer
    if found.need >= Need.AUTHORITY or signer is None:
        signer, authority = _authority(now)
        others = dict.fromkeys((*trusted, *also_trusted))
        trusted = (authority, *list(others)[:_MOST_TRUSTED])
    new = {**data, AUTHORITIES: pem_of(trusted), AUTHORITY_KEY: _private(signer)}
    if found.need >= Need.CERTIFICATE:
        key, certificate = _certificate(trusted[0], signer, found.hosts, now)
        new |= {CERTIFICATE: pem_of([certificate]), KEY: _private(key)}
    return new


def _authority(now: datetime) -> tuple[SigningKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # A name of its own, so that a verifier never tries the wrong one of two.
    name = _named(f"{_NAME}-ca-{serial:x}"[:64])
    public = key.public_key()
    certificate = (
        _begun(name, name, public, (now, now + AUTHORITY_LIFE))
        .serial_number(serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return SigningKey(key), certificate


def _certificate(
    authority: x509.Certificate, signer: SigningKey, hosts: Sequence[str], now: datetime
) -> tuple[SigningKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(now + CERTIFICATE_LIFE, authority.not_valid_after_utc)
    begun = _begun(_named(_NAME), authority.subject, key.public_key(), (now, until))
    issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        begun.serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
        )
        .sign(signer.key, hashes.SHA256())
    )
    return SigningKey(key), certificate


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    life: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .not_valid_before(life[0] - BACKDATED)
        .not_valid_after(life[1])
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: SigningKey) -> bytes:
    return key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
