# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One bundle of certificates out of several ConfigMaps. Pure.

The bundle depends on the set of certificates alone: each once, in the order of their fingerprints.
(The Go operator takes the keys in the random order of a map, so that its bundle changes and pods
restart for nothing.) The clock decides nothing either: an expired certificate stays, with a note,
for leaving it out would restart pods at some moment of its own.

The server is told of the bundle by ``SSL_CERT_FILE`` and the like. To the client libraries that
means *instead of* the public authorities, not beside them: a server that shall trust a company's
inference endpoint would trust no public provider any more. So the public ones are in the bundle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.errors import FieldError
from controller.llamastack.references.certificates import MOST_CERTIFICATES, Certificate, NotUsable
from controller.llamastack.render.ca_bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from controller.llamastack.render.manifest import Child
    from informers.ports import ObjectKey

MOST_BYTES = 1_000_000
"""A ConfigMap holds 1 MiB."""

NOTES_SHOWN = 3
PROBLEMS_SHOWN = 5

FIELD = "spec.networking.tls.caBundle.configMapName"


@dataclass(frozen=True, slots=True)
class Part:
    """A key of a ConfigMap and what is in it.

    Attributes:
        config_map: which.
        key: of it.
        content: its certificates, or why they cannot be used.
        named: whether the resource names it; what is only found there is not the user's to fix,
            so it is left out if it cannot be used.
    """

    config_map: ObjectKey
    key: str
    content: tuple[Certificate, ...] | NotUsable
    named: bool

    def at(self, number: int = 0) -> str:
        """How messages call a certificate in it, or the key itself."""
        place = f'key "{self.key}" of ConfigMap "{self.config_map}"'
        return f"certificate {number} in {place}" if number else place


@dataclass(frozen=True, slots=True)
class Trust:
    """What a resource's server shall trust beside the public authorities.

    Attributes:
        digest: of the bundle; empty for none.
        note: what works, but perhaps not as meant; empty without.
        child: the ConfigMap, if it is not in place.
        problems: why there is no bundle.
    """

    digest: str = ""
    note: str = ""
    child: Child | None = None
    problems: tuple[FieldError, ...] = ()


NO_TRUST = Trust()


def join(
    parts: Sequence[Part], public: Iterable[Certificate], *, field: str = FIELD, now: datetime
) -> Bundle:
    """The bundle, or all that is wrong.

    Args:
        parts: in any order.
        public: certificates that everybody trusts.
        field: path that problems are reported under.
        now: for notes about validity.
    """
    problems = [
        f"{part.at(part.content.number)} {part.content.cause}"
        for part in parts
        if part.named and isinstance(part.content, NotUsable)
    ]
    own = {c.fingerprint: c.pem for _, c in _certificates(parts)}
    named = sorted({f'"{part.config_map}"' for part in parts if part.named})
    if named and not problems and not any(p.content for p in parts if p.named):
        problems.append(
            f"the named keys of ConfigMap {' and '.join(named)} hold no certificate: put one in, "
            "or leave the field out"
        )
    if len(own) > MOST_CERTIFICATES:
        problems.append(
            f"{len(own)} certificates in ConfigMaps {_names(parts)} are more than the "
            f"{MOST_CERTIFICATES} that a bundle may have: leave some out"
        )
    if problems:
        shown = problems[:PROBLEMS_SHOWN]
        if len(problems) > PROBLEMS_SHOWN:
            shown.append(f"and {len(problems) - PROBLEMS_SHOWN} more")
        return _refused("; ".join(shown), field)
    note = _note(parts, now)
    if not own:
        return Bundle(note=note)
    others = {c.fingerprint: c.pem for c in public if c.fingerprint not in own}
    text = "".join(pem for some in (own, others) for _, pem in sorted(some.items()))
    if len(text) > MOST_BYTES:
        return _refused(
            f"the certificates of ConfigMaps {_names(parts)} and the public ones take "
            f"{len(text)} bytes, of {MOST_BYTES} that fit into one ConfigMap: leave some out",
            field,
        )
    return Bundle(text, hashlib.sha256(text.encode()).hexdigest()[:16], note)


def _refused(message: str, field: str) -> Bundle:
    return Bundle(problems=(FieldError(field, f"{message}. Referenced by: {field}"),))


def _names(parts: Iterable[Part]) -> str:
    return ", ".join(sorted({f'"{part.config_map}"' for part in parts}))


def _certificates(parts: Iterable[Part]) -> list[tuple[Part, Certificate]]:
    return [
        (part, certificate)
        for part in parts
        if not isinstance(part.content, NotUsable)
        for certificate in part.content
    ]


def _note(parts: Sequence[Part], now: datetime) -> str:
    ordered = sorted(parts, key=lambda part: (not part.named, str(part.config_map), part.key))
    notes = [
        f"{part.at(part.content.number)} was left out: it {part.content.cause}"
        for part in ordered
        if not part.named and isinstance(part.content, NotUsable)
    ]
    for part, certificate in _certificates(ordered):
        place = part.at(certificate.number)
        if certificate.expires < now:
            notes.append(f"{place} expired on {certificate.expires:%Y-%m-%d}")
        elif not certificate.vouches:
            notes.append(
                f"{place} is not of an authority, so it vouches for one server at most, and only "
                "to some clients"
            )
    shown = notes[:NOTES_SHOWN]
    if len(notes) > NOTES_SHOWN:
        shown.append(f"and {len(notes) - NOTES_SHOWN} more")
    text = "; ".join(shown)
    return text[:1].upper() + text[1:]
