# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Several ConfigMaps become one bundle; what is wrong is told by place, cause and remedy."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import certifi

from controller.llamastack.references.ca_bundle import FIELD, MOST_BYTES, Part, join
from controller.llamastack.references.certificates import (
    MOST_CERTIFICATES,
    Certificate,
    NotUsable,
    blocks,
    decoded,
)
from controller.llamastack.render.ca_bundle import Bundle
from informers.ports import ObjectKey
from tests.support.authority import Authority

NOW = datetime.now(UTC)
ONE, TWO, THREE = Authority("one"), Authority("two"), Authority("three")
COMPANY, CLUSTER = ObjectKey("n", "company"), ObjectKey("n", "odh-trusted-ca-bundle")


def read(*pems: str) -> tuple[Certificate, ...]:
    return tuple(decoded(blocks("".join(pems))))


def named(*pems: str, key: str = "a.crt") -> Part:
    return Part(COMPANY, key, read(*pems), named=True)


def found(*pems: str, key: str = "ca-bundle.crt") -> Part:
    return Part(CLUSTER, key, read(*pems), named=False)


def joined(*parts: Part, public: tuple[Certificate, ...] = ()) -> Bundle:
    return join(parts, public, now=NOW)


def message(bundle: Bundle) -> str:
    (error,) = bundle.problems
    assert error.path == FIELD
    assert bundle.text == bundle.digest == ""
    return error.message


def test_certificates_of_all_sources_and_the_public_ones_are_joined_each_once() -> None:
    bundle = joined(named(ONE.pem, TWO.pem), found(TWO.pem), public=read(THREE.pem, ONE.pem))

    assert bundle.problems == ()
    assert sorted(bundle.text.split("-----BEGIN")) == sorted(
        "".join([ONE.pem, TWO.pem, THREE.pem]).split("-----BEGIN")
    )
    assert bundle.text.endswith(THREE.pem), "what users need comes first"


def test_verifiers_load_the_bundle_with_all_public_authorities() -> None:
    public = read(certifi.contents())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    context.load_verify_locations(cadata=joined(named(ONE.pem), public=public).text)

    assert len(context.get_ca_certs()) == len(public) + 1


def test_digest_tells_bundles_apart() -> None:
    digests = {joined(named(*some)).digest for some in ([ONE.pem], [TWO.pem], [ONE.pem, TWO.pem])}

    assert len(digests) == 3


def test_only_what_is_named_must_be_usable() -> None:
    bad = NotUsable("is not base64: copy it again", 3)

    refused = joined(Part(COMPANY, "b.crt", bad, named=True), found(ONE.pem), named(TWO.pem))
    left_out = joined(Part(CLUSTER, "b.crt", bad, named=False), found(ONE.pem))

    assert message(refused) == (
        'certificate 3 in key "b.crt" of ConfigMap "n/company" is not base64: copy it again. '
        f"Referenced by: {FIELD}"
    )
    assert left_out.text == ONE.pem
    assert left_out.note == (
        'Certificate 3 in key "b.crt" of ConfigMap "n/odh-trusted-ca-bundle" was left out: it is '
        "not base64: copy it again"
    )


def test_every_key_that_cannot_be_used_is_told_but_not_fifty_of_them() -> None:
    bad = [Part(COMPANY, f"{n:02}", NotUsable("is odd"), named=True) for n in range(50)]

    text = message(joined(*bad))

    assert 'key "04" of ConfigMap "n/company" is odd; and 45 more. Referenced by' in text
    assert "05" not in text


def test_one_blank_key_is_fine_and_all_of_them_blank_are_a_mistake() -> None:
    assert joined(named(key="a"), named(ONE.pem, key="b")).text == ONE.pem
    assert message(joined(named(), found(ONE.pem))).startswith(
        'the named keys of ConfigMap "n/company" hold no certificate: put one in'
    )


def test_blank_bundle_of_the_cluster_is_none() -> None:
    assert joined(found(), public=read(ONE.pem)) == Bundle()


def test_expired_certificate_stays_with_a_note() -> None:
    old = Authority("old", days=-3)
    day = (NOW - timedelta(days=3)).strftime("%Y-%m-%d")

    bundle = joined(named(ONE.pem, old.pem))

    assert old.pem in bundle.text
    assert bundle.note == (
        f'Certificate 2 in key "a.crt" of ConfigMap "n/company" expired on {day}'
    )


def test_clock_never_changes_the_bundle() -> None:
    part = named(ONE.pem)

    later = join([part], (), now=NOW + timedelta(days=9999))

    assert (later.text, later.digest) == (joined(part).text, joined(part).digest)
    assert later.note != joined(part).note == ""


def test_certificate_of_a_server_stays_with_a_note() -> None:
    bundle = joined(named(ONE.issue()[0]))

    assert bundle.digest
    assert "is not of an authority" in bundle.note


def test_a_few_notes_are_enough() -> None:
    old = [Authority(f"old {n}", days=-1).pem for n in range(5)]

    note = joined(named(*old)).note

    assert note.count("expired") == 3
    assert note.endswith("; and 2 more")


def test_bundle_that_no_config_map_takes_is_refused() -> None:
    big = [Certificate(n, str(n), "x" * 2000, NOW, vouches=True) for n in range(MOST_BYTES // 2000)]
    fits = Part(COMPANY, "a", tuple(big), named=True)

    assert joined(fits).digest
    assert f"take {MOST_BYTES + 2000} bytes, of {MOST_BYTES} that fit" in message(
        join([fits], [Certificate(1, "p", "y" * 2000, NOW, vouches=True)], now=NOW)
    )


def test_sources_may_not_have_more_certificates_together_than_one_may() -> None:
    half = MOST_CERTIFICATES // 2 + 1
    parts = [
        Part(
            ObjectKey("n", name),
            "a",
            tuple(Certificate(n, f"{name}{n}", "x", NOW, vouches=True) for n in range(half)),
            named=True,
        )
        for name in ("a", "b")
    ]

    assert message(joined(*parts)).startswith(
        f'{2 * half} certificates in ConfigMaps "n/a", "n/b" are more than the 1000'
    )
