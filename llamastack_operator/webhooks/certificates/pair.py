# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A certificate with its key, and what can be told of certificates. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes


@dataclass(frozen=True, slots=True)
class Pair:
    """What a TLS server needs.

    Attributes:
        certificate: PEM; intermediate authorities may follow it.
        key: PEM; never shown.
    """

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that can sign certificates; never shown."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)


def read_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All certificates in a text; none if there is anything in it that is no certificate."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return ()


def read_signing_key(pem: bytes) -> SigningKey | None:
    """A private key of the kind that we make, or ``None``."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return SigningKey(key) if isinstance(key, ec.EllipticCurvePrivateKey) else None


def leaf_of(pair: Pair) -> x509.Certificate | None:
    """The certificate of a pair whose key is its own; ``None`` if something is wrong with it."""
    certificates = read_certificates(pair.certificate)
    if not certificates:
        return None
    try:
        key = load_pem_private_key(pair.key, None)
        same = _raw(certificates[0].public_key()) == _raw(
            cast("CertificatePublicKeyTypes", key.public_key())
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return certificates[0] if same else None


def _raw(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_own(certificate: x509.Certificate, key: SigningKey) -> bool:
    """Whether a certificate is the key's own."""
    try:
        return _raw(certificate.public_key()) == _raw(key.key.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return False


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate may sign others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the one has signed the other."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_valid_at(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a moment is within its life."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def hosts_of(certificate: x509.Certificate) -> frozenset[str]:
    """Names and addresses that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    addresses = names.get_values_for_type(x509.IPAddress)
    return frozenset([*names.get_values_for_type(x509.DNSName), *map(str, addresses)])


def general_name(host: str) -> x509.GeneralName:
    """A host as certificates spell it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates as one text."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
