# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is stored and the time: what can be served, whom to trust, what has to be made again. Pure.

Whatever somebody deletes or breaks, one look says what is still good and what is not; there is no
history. A life is used to two thirds, so that a renewal can fail for weeks before anybody notices.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from llamastack_operator.webhooks.certificates.pair import (
    Pair,
    hosts_of,
    is_authority,
    is_issued_by,
    is_own,
    is_valid_at,
    leaf_of,
    pem_of,
    read_certificates,
    read_signing_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cryptography import x509

    from llamastack_operator.webhooks.certificates.pair import SigningKey

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
AUTHORITIES: Final = "ca.crt"
"""Who is trusted: the authority that signs, and for a while the one before it."""

AUTHORITY_KEY: Final = "ca.key"
KEYS: Final = (CERTIFICATE, KEY, AUTHORITIES, AUTHORITY_KEY)

BACKDATED: Final = timedelta(hours=1)
"""Certificates begin before they are made: clocks of API servers may be behind."""

OVERLAP: Final = timedelta(minutes=10)
"""How long an authority is trusted after the certificate of the next one was made."""

_OLD: Final = "has used two thirds of its life"
_MOST_HOSTS: Final = 16
_MOST_AUTHORITIES: Final = 8
"""More are nobody's: they are left out when the list is written again."""


class Need(IntEnum):
    """What has to be made again; each includes those below it."""

    NOTHING = 0
    TRUST = 1
    """The list of authorities, of which some are done with."""
    CERTIFICATE = 2
    AUTHORITY = 3


@dataclass(frozen=True, slots=True)
class Assessment:
    """What there is to say of what is stored, at one moment.

    Attributes:
        need: what has to be made again.
        why: in a few words; empty if there is no need.
        again: when the answer will be another one, if nobody changes anything.
        pair: what can be served; ``None`` if nothing can.
        issuer: of the pair.
        trusted: authorities to be trusted, the one that signs first.
        signer: key of that one; ``None`` if there is none to sign with.
        hosts: for which to make a certificate.
    """

    need: Need
    why: str
    again: datetime
    pair: Pair | None = None
    issuer: x509.Certificate | None = None
    trusted: tuple[x509.Certificate, ...] = ()
    signer: SigningKey | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()

    @property
    def bundle(self) -> bytes:
        """The authorities as a text, which is the same for the same ones."""
        return pem_of(self.trusted)


def assess(data: Mapping[str, bytes], hosts: Sequence[str], now: datetime) -> Assessment:
    """Look at what is stored.

    Args:
        data: by key; anything may be missing or anything at all.
        hosts: that the certificate has to be for.
        now: the time.
    """
    found = read_certificates(data.get(AUTHORITIES, b""))
    valid = [each for each in found if is_authority(each) and is_valid_at(each, now)]
    signer, own = _signer(data.get(AUTHORITY_KEY, b""), valid)
    pair = Pair(data.get(CERTIFICATE, b""), data.get(KEY, b""))
    leaf = leaf_of(pair)
    issuer = _issuer(leaf, valid)
    usable = leaf is not None and issuer is not None and is_valid_at(leaf, now)
    seen = Assessment(
        Need.NOTHING,
        "",
        now,
        pair=pair if usable else None,
        issuer=issuer if usable else None,
        trusted=_first(own, valid),
        signer=signer,
        hosts=tuple(hosts),
    )
    if own is None:
        return replace(seen, need=Need.AUTHORITY, why="there is no authority that can sign")
    if now >= renewal_of(own):
        return replace(seen, need=Need.AUTHORITY, why=f"the authority {_OLD}")
    why = _why_new_certificate(leaf, issuer, own, now)
    if leaf is None or why:
        return replace(seen, need=Need.CERTIFICATE, why=why)
    others = hosts_of(leaf)
    if not others.issuperset(hosts):
        # Replicas of another version, or with other settings, need theirs as long as they live.
        both = tuple(dict.fromkeys([*hosts, *sorted(others)]))[:_MOST_HOSTS]
        why = "the certificate is for other hosts"
        return replace(seen, need=Need.CERTIFICATE, why=why, hosts=both)
    due = min(renewal_of(own), renewal_of(leaf))
    if found == (own,):
        return replace(seen, again=due)
    done = leaf.not_valid_before_utc + BACKDATED + OVERLAP
    if now < done:
        return replace(seen, again=min(due, done))
    why = "an authority is not needed any more"
    return replace(seen, need=Need.TRUST, why=why, trusted=(own,))


def renewal_of(certificate: x509.Certificate) -> datetime:
    """When two thirds of its life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * 2 / 3


def _signer(
    key: bytes, authorities: Sequence[x509.Certificate]
) -> tuple[SigningKey | None, x509.Certificate | None]:
    signer = read_signing_key(key)
    if signer is None:
        return None, None
    own = next((each for each in authorities if is_own(each, signer)), None)
    return (signer, own) if own is not None else (None, None)


def _issuer(
    leaf: x509.Certificate | None, authorities: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    if leaf is None:
        return None
    return next((each for each in authorities if is_issued_by(leaf, each)), None)


def _first(
    own: x509.Certificate | None, authorities: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    others = dict.fromkeys(each for each in authorities if each != own)
    first = () if own is None else (own,)
    return (*first, *others)[:_MOST_AUTHORITIES]


def _why_new_certificate(
    leaf: x509.Certificate | None,
    issuer: x509.Certificate | None,
    own: x509.Certificate,
    now: datetime,
) -> str:
    if leaf is None:
        return "there is no certificate with its key"
    if issuer is None or issuer != own:
        return "the certificate is of another authority"
    if not is_valid_at(leaf, now):
        return "the certificate is not valid now"
    if now >= renewal_of(leaf):
        return f"the certificate {_OLD}"
    return ""
