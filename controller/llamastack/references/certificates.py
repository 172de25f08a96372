# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Certificates out of a text in PEM form. Pure.

What goes into a bundle is what was parsed, encoded again: only the certificates, without the
text around them. A private key is refused and never shown, nor is anything else of the text: a
message names a place and a cause. Work is linear in the text, and comes in two steps, so that a
caller with other things to do can do the expensive one, decoding, in slices.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MOST_CERTIFICATES = 1000
"""In one bundle, the public ones aside; the Go operator's limit. All public roots are 120."""

_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_BEGIN, _END, _TAIL = "-----BEGIN ", "-----END ", "-----"


class NotUsable(Exception):
    """A text is no list of certificates.

    Args:
        cause: what is wrong and what to do, to follow the name of the place.
        number: of the certificate, from 1; 0 if it is about the whole text.
    """

    def __init__(self, cause: str, number: int = 0) -> None:
        super().__init__(cause)
        self.cause = cause
        self.number = number


@dataclass(frozen=True, slots=True)
class Block:
    """A certificate that was not decoded yet.

    Attributes:
        number: its place among the certificates of the text, from 1.
        body: base64.
    """

    number: int
    body: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate.

    Attributes:
        number: its place in the text that it was found in, from 1.
        fingerprint: sha256 of its DER form, in hex.
        pem: the one way that we write it; ends with a line feed.
        expires: end of its validity.
        vouches: whether it can be trusted to sign others, or at least for itself.
    """

    number: int
    fingerprint: str
    pem: str
    expires: datetime
    vouches: bool


def blocks(text: str) -> list[Block]:
    """The certificates of a text; none for a blank one. What is no certificate is left out.

    Raises:
        NotUsable: there is a private key, a block without an end, too much, or text but no block.
    """
    found: list[Block] = []
    label, body = "", [""]
    others = 0
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(_BEGIN) and stripped.endswith(_TAIL):
            if label in _LABELS:
                raise _without_end(len(found) + 1)
            label, body = stripped[len(_BEGIN) : -len(_TAIL)], []
            if label.endswith("PRIVATE KEY"):
                raise NotUsable(
                    "holds a private key: take it out, and replace it where it is used, because "
                    "whoever can read ConfigMaps may have seen it"
                )
        elif stripped.startswith(_END):
            if label in _LABELS:
                found.append(Block(len(found) + 1, "".join(body)))
            else:
                others += 1
            label, body = "", []
            if len(found) > MOST_CERTIFICATES:
                raise NotUsable(f"holds more than {MOST_CERTIFICATES} certificates: leave some out")
        elif label in _LABELS:
            body.append(stripped)
    if label in _LABELS:
        raise _without_end(len(found) + 1)
    if not found and not others and text.strip():
        raise NotUsable(
            "is not in PEM form, in which a certificate begins with -----BEGIN CERTIFICATE-----; "
            "a file in DER form becomes PEM by: openssl x509 -inform der -in FILE"
        )
    return found


def _without_end(number: int) -> NotUsable:
    return NotUsable("has no -----END CERTIFICATE-----: it was cut off, copy it again", number)


def decoded(of: Iterable[Block]) -> list[Certificate]:
    """The certificates of some blocks.

    Raises:
        NotUsable: one of them is damaged.
    """
    with warnings.catch_warnings():
        # Public roots of the last century have odd serial numbers; verifiers take them.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return [_decoded(block) for block in of]


def _decoded(block: Block) -> Certificate:
    try:
        der = base64.b64decode(block.body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotUsable("is not base64: it was damaged, copy it again", block.number) from error
    try:
        certificate = x509.load_der_x509_certificate(der)
        expires = certificate.not_valid_after_utc
        vouches = _vouches(certificate)
        pem = certificate.public_bytes(Encoding.PEM).decode("ascii")
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        text = "is no X.509 certificate: it was damaged or is something else, copy it again"
        raise NotUsable(text, block.number) from error
    return Certificate(block.number, hashlib.sha256(der).hexdigest(), pem, expires, vouches)


def _vouches(certificate: x509.Certificate) -> bool:
    """An authority; or a server's own certificate, which people trust directly.

    What cannot be read is left to the verifier.
    """
    if certificate.subject == certificate.issuer:
        return True
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return True
    return constraints.value.ca
