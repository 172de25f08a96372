# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is taken for certificates, what is refused, and with which words."""

from __future__ import annotations

import base64
import contextlib
import time
import warnings

import certifi
import pytest

from controller.llamastack.references.certificates import (
    MOST_CERTIFICATES,
    Block,
    Certificate,
    NotUsable,
    blocks,
    decoded,
)
from tests.support.authority import Authority

ONE, TWO = Authority("one"), Authority("two")
LEAF, KEY = ONE.issue()
CRL = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def read(text: str) -> list[Certificate]:
    return decoded(blocks(text))


def refusal(text: str) -> NotUsable:
    with pytest.raises(NotUsable) as raised:
        read(text)
    return raised.value


@pytest.mark.parametrize("blank", ["", " ", "\n\n \t\n", "\r\n"])
def test_blank_text_has_no_certificates(blank: str) -> None:
    assert read(blank) == []


@pytest.mark.parametrize(
    "text",
    [
        ONE.pem,
        f"# Issuer: somebody\n\n{ONE.pem}\n\n",
        ONE.pem.replace("\n", "\r\n"),
        "".join(f"   {line}  \n\n" for line in ONE.pem.splitlines()),
        CRL + ONE.pem,
        ONE.pem.replace("BEGIN CERT", "BEGIN X509 CERT").replace("END CERT", "END X509 CERT"),
        f"{BEGIN}\n{''.join(ONE.pem.splitlines()[1:-1])}\n{END}",
    ],
)
def test_only_the_certificates_of_a_text_count_and_are_written_in_one_way(text: str) -> None:
    (found,) = read(text)

    assert found.pem == ONE.pem
    assert found.fingerprint == read(ONE.pem)[0].fingerprint


def test_certificates_are_numbered_in_their_order() -> None:
    assert [(c.number, c.pem) for c in read(ONE.pem + CRL + TWO.pem)] == [
        (1, ONE.pem),
        (2, TWO.pem),
    ]


def test_text_with_other_blocks_only_has_no_certificates() -> None:
    assert read(CRL) == []


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "])
def test_private_key_is_refused_and_not_shown(kind: str) -> None:
    key = KEY.replace("PRIVATE KEY", f"{kind}PRIVATE KEY")

    error = refusal(ONE.pem + key)

    assert error.cause.startswith("holds a private key: take it out, and replace it")
    assert not any(line in error.cause for line in KEY.splitlines()[1:-1])


@pytest.mark.parametrize(
    ("text", "number", "cause"),
    [
        ("hello", 0, "is not in PEM form"),
        (f"{ONE.pem}{BEGIN}\nAAAA\n", 2, "has no -----END CERTIFICATE-----"),
        (f"{BEGIN}\nAAAA\n{ONE.pem}", 1, "has no -----END CERTIFICATE-----"),
        (f"{ONE.pem}{BEGIN}\n$$$\n{END}\n", 2, "is not base64"),
        (f"{BEGIN}\nÄÖÜ\n{END}\n", 1, "is not base64"),
        (f"{BEGIN}\nAAA\n{END}\n", 1, "is not base64"),
        (f"{BEGIN}\nAAAA\n{END}\n", 1, "is no X.509 certificate"),
        (f"{BEGIN}\n{END}\n", 1, "is no X.509 certificate"),
    ],
)
def test_what_is_damaged_is_named_by_number_and_cause(text: str, number: int, cause: str) -> None:
    error = refusal(text)

    assert (error.number, error.cause.startswith(cause)) == (number, True), error.cause


def test_certificate_cut_in_the_middle_is_refused_at_every_length() -> None:
    der = base64.b64decode("".join(ONE.pem.splitlines()[1:-1]))

    for length in range(0, len(der), 7):
        with pytest.raises(NotUsable):
            decoded([Block(1, base64.b64encode(der[:length]).decode())])


def test_own_certificate_vouches_and_one_of_another_issuer_that_is_no_authority_does_not() -> None:
    assert read(ONE.pem)[0].vouches
    assert not read(LEAF)[0].vouches


def test_all_public_authorities_are_read_without_a_warning() -> None:
    text = certifi.contents()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read(text)

    assert len(found) == text.count(BEGIN)
    assert all(c.vouches for c in found)


def test_more_certificates_than_anybody_trusts_are_refused_before_they_are_decoded() -> None:
    error = refusal(f"{BEGIN}\n{END}\n" * (MOST_CERTIFICATES + 1))

    assert error.cause.startswith(f"holds more than {MOST_CERTIFICATES} certificates")


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " * 95_000,
        f"{BEGIN}\n" + "A" * 1_000_000,
        f"{BEGIN}\n" + "A\n" * 500_000 + END,
        f"{BEGIN}\n{'MIIB' * 250_000}\n{END}",
        "\n" * 1_000_000,
        "-----BEGIN X-----\n-----END X-----\n" * 29_000,
    ],
)
def test_work_is_bounded_for_a_text_as_long_as_a_config_map_takes(text: str) -> None:
    started = time.process_time()

    with contextlib.suppress(NotUsable):
        read(text)

    assert time.process_time() - started < 2.0  # some 0.1 s; quadratic would be minutes
