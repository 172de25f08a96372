# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is stored and the time: what is good, and what has to be made again (H4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from llamastack_operator.webhooks.certificates.issuing import (
    AUTHORITY_LIFE,
    CERTIFICATE_LIFE,
    renewed,
)
from llamastack_operator.webhooks.certificates.pair import (
    Pair,
    hosts_of,
    is_issued_by,
    leaf_of,
    pem_of,
    read_certificates,
    read_signing_key,
)
from llamastack_operator.webhooks.certificates.state import (
    AUTHORITIES,
    AUTHORITY_KEY,
    BACKDATED,
    CERTIFICATE,
    KEY,
    OVERLAP,
    Need,
    assess,
    renewal_of,
)
from tests.support.authority import Authority

HOSTS = ("webhook.system.svc", "webhook.system.svc.cluster.local")
NOW = datetime(2026, 5, 1, tzinfo=UTC)
JUNK = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def made(now: datetime = NOW, hosts: tuple[str, ...] = HOSTS, **data: bytes) -> dict[str, bytes]:
    return renewed(data, assess(data, hosts, now), now)


GOOD = made()
OTHER = made()


def need(data: dict[str, bytes], now: datetime = NOW) -> Need:
    return assess(data, HOSTS, now).need


def again(data: dict[str, bytes], now: datetime = NOW, **options: Any) -> dict[str, bytes]:
    return renewed(data, assess(data, HOSTS, now), now, **options)


def authorities(data: dict[str, bytes]) -> tuple[x509.Certificate, ...]:
    return read_certificates(data[AUTHORITIES])


def leaf(data: dict[str, bytes]) -> x509.Certificate:
    found = leaf_of(Pair(data[CERTIFICATE], data[KEY]))
    assert found is not None
    return found


# --- what is made --------------------------------------------------------------------------


def test_what_is_made_from_nothing_needs_nothing() -> None:
    found = assess(GOOD, HOSTS, NOW)

    assert (found.need, found.why) == (Need.NOTHING, "")
    assert found.pair == Pair(GOOD[CERTIFICATE], GOOD[KEY])
    assert found.bundle == GOOD[AUTHORITIES]
    assert found.again == renewal_of(leaf(GOOD))


def test_certificate_is_for_the_hosts_and_for_servers_only() -> None:
    made_for = made(hosts=("a.example", "127.0.0.1", "::1"))

    certificate = leaf(made_for)
    assert hosts_of(certificate) == {"a.example", "127.0.0.1", "::1"}
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


def test_authority_signs_no_other_authority_and_has_a_name_of_its_own() -> None:
    (first,), (second,) = authorities(GOOD), authorities(OTHER)

    constraints = first.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert first.subject != second.subject
    assert is_issued_by(leaf(GOOD), first)
    assert not is_issued_by(leaf(GOOD), second)


def test_keys_are_of_the_curve_that_everybody_knows() -> None:
    signer = read_signing_key(GOOD[AUTHORITY_KEY])

    assert signer is not None
    assert isinstance(signer.key.curve, ec.SECP256R1)
    public = leaf(GOOD).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(public.curve, ec.SECP256R1)


def test_lives_begin_before_now_and_no_certificate_outlives_its_authority() -> None:
    (authority,), certificate = authorities(GOOD), leaf(GOOD)

    assert certificate.not_valid_before_utc == authority.not_valid_before_utc == NOW - BACKDATED
    assert authority.not_valid_after_utc == NOW + AUTHORITY_LIFE
    assert certificate.not_valid_after_utc == NOW + CERTIFICATE_LIFE
    late = NOW + AUTHORITY_LIFE - timedelta(days=1)
    found = assess(GOOD, HOSTS, NOW)
    short = renewed(GOOD, replace(found, need=Need.CERTIFICATE), late)
    assert leaf(short).not_valid_after_utc == authority.not_valid_after_utc


def test_keys_show_in_no_text() -> None:
    found = assess(GOOD, HOSTS, NOW)

    for value in (found, found.pair, found.signer):
        assert "PRIVATE" not in repr(value)
        assert "EllipticCurvePrivateKey" not in repr(value)


# --- what is broken ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({AUTHORITIES: b""}, Need.AUTHORITY),
        ({AUTHORITIES: JUNK}, Need.AUTHORITY),
        ({AUTHORITIES: b"\xff\xfe"}, Need.AUTHORITY),
        ({AUTHORITIES: OTHER[AUTHORITIES]}, Need.AUTHORITY),
        ({AUTHORITIES: GOOD[CERTIFICATE]}, Need.AUTHORITY),
        ({AUTHORITY_KEY: b""}, Need.AUTHORITY),
        ({AUTHORITY_KEY: b"junk"}, Need.AUTHORITY),
        ({AUTHORITY_KEY: OTHER[AUTHORITY_KEY]}, Need.AUTHORITY),
        ({AUTHORITY_KEY: GOOD[KEY]}, Need.AUTHORITY),
        ({CERTIFICATE: b""}, Need.CERTIFICATE),
        ({CERTIFICATE: JUNK}, Need.CERTIFICATE),
        ({CERTIFICATE: OTHER[CERTIFICATE]}, Need.CERTIFICATE),
        ({KEY: b""}, Need.CERTIFICATE),
        ({KEY: OTHER[KEY]}, Need.CERTIFICATE),
        ({CERTIFICATE: OTHER[CERTIFICATE], KEY: OTHER[KEY]}, Need.CERTIFICATE),
    ],
)
def test_what_is_broken_is_made_again(change: dict[str, bytes], needed: Need) -> None:
    broken = {**GOOD, **change}

    assert need(broken) is needed
    assert need(again(broken)) is Need.NOTHING


@pytest.mark.parametrize("hosts", [("old.svc",), HOSTS[:1]])
def test_certificate_that_lacks_a_host_is_made_again_by_the_same_authority(
    hosts: tuple[str, ...],
) -> None:
    old = made(hosts=hosts)

    new = again(old)

    assert new[AUTHORITIES] == old[AUTHORITIES]
    assert hosts_of(leaf(new)) == {*HOSTS, *hosts}


def test_replicas_with_different_hosts_agree_on_one_certificate() -> None:
    """As while one version of the operator takes the place of another."""
    other = ("other.svc", "127.0.0.1")
    both = renewed(GOOD, assess(GOOD, other, NOW), NOW)

    assert assess(both, HOSTS, NOW).need is assess(both, other, NOW).need is Need.NOTHING


def test_hosts_that_nobody_has_any_more_go_with_the_next_renewal() -> None:
    both = again(made(hosts=("old.svc",)))

    later = again(both, renewal_of(leaf(both)))

    assert hosts_of(leaf(later)) == set(HOSTS)


def test_pair_that_is_still_good_is_served_while_its_authority_is_made_again() -> None:
    found = assess({**GOOD, AUTHORITY_KEY: b""}, HOSTS, NOW)

    assert found.need is Need.AUTHORITY
    assert found.pair == Pair(GOOD[CERTIFICATE], GOOD[KEY])


def test_pair_of_an_authority_that_nobody_trusts_is_not_served() -> None:
    assert assess({**GOOD, AUTHORITIES: OTHER[AUTHORITIES]}, HOSTS, NOW).pair is None


def test_other_peoples_keys_stay() -> None:
    assert again({**GOOD, KEY: b"", "note": b"mine"})["note"] == b"mine"


# --- time ----------------------------------------------------------------------------------


def test_certificate_is_renewed_after_two_thirds_of_its_life_by_the_same_authority() -> None:
    due = renewal_of(leaf(GOOD))

    assert need(GOOD, due - timedelta(seconds=1)) is Need.NOTHING
    assert need(GOOD, due) is Need.CERTIFICATE
    new = again(GOOD, due)
    assert new[AUTHORITIES] == GOOD[AUTHORITIES]
    assert new[AUTHORITY_KEY] == GOOD[AUTHORITY_KEY]
    assert new[CERTIFICATE] != GOOD[CERTIFICATE]
    assert assess(GOOD, HOSTS, due).pair is not None  # there is a month left to do it in


def test_authority_is_renewed_after_two_thirds_of_its_life_and_the_old_one_trusted() -> None:
    (old,) = authorities(GOOD)
    due = renewal_of(old)

    new = again(GOOD, due)

    assert need(GOOD, due) is Need.AUTHORITY
    assert [each == old for each in authorities(new)] == [False, True]
    assert is_issued_by(leaf(new), authorities(new)[0])


def test_old_authority_is_trusted_until_everybody_serves_the_new_certificate() -> None:
    (old,) = authorities(GOOD)
    due = renewal_of(old)
    new = again(GOOD, due)

    found = assess(new, HOSTS, due + OVERLAP - timedelta(seconds=1))
    assert (found.need, len(found.trusted)) == (Need.NOTHING, 2)
    assert found.again == due + OVERLAP
    assert need(new, due + OVERLAP) is Need.TRUST
    later = again(new, due + OVERLAP)
    assert authorities(later) == authorities(new)[:1]
    assert later[CERTIFICATE] == new[CERTIFICATE]
    assert need(later, due + OVERLAP) is Need.NOTHING


def test_authority_of_what_is_served_is_trusted_though_it_is_stored_no_more() -> None:
    """Somebody deleted the Secret, and replicas still serve what was in it."""
    (served,) = authorities(GOOD)

    new = again({}, also_trusted=(served,))

    assert authorities(new)[1:] == (served,)


def test_many_broken_authorities_do_not_add_up() -> None:
    data = GOOD
    for _ in range(12):
        data = again({**data, AUTHORITY_KEY: b""})

    assert len(authorities(data)) <= 5


@pytest.mark.parametrize(
    "now",
    [
        NOW - timedelta(days=9),
        NOW - BACKDATED - timedelta(seconds=1),
        NOW + CERTIFICATE_LIFE,
        NOW + AUTHORITY_LIFE,
    ],
)
def test_what_is_not_valid_now_is_not_served(now: datetime) -> None:
    assert assess(GOOD, HOSTS, now).pair is None
    assert need(again(GOOD, now), now) is Need.NOTHING


def test_clock_that_is_a_little_behind_changes_nothing() -> None:
    assert need(GOOD, NOW - BACKDATED + timedelta(seconds=1)) is Need.NOTHING


# --- what others make ----------------------------------------------------------------------


def test_authority_of_somebody_else_without_its_key_cannot_sign() -> None:
    data = {**GOOD, AUTHORITIES: Authority().pem.encode()}

    assert need(data) is Need.AUTHORITY


def test_text_around_certificates_is_no_harm() -> None:
    assert need({**GOOD, AUTHORITIES: b"# ours\n" + GOOD[AUTHORITIES]}) is Need.NOTHING


def test_bundle_is_the_same_text_for_the_same_authorities() -> None:
    both = authorities(GOOD) + authorities(OTHER)

    assert pem_of(both) == pem_of(read_certificates(pem_of(both)))
