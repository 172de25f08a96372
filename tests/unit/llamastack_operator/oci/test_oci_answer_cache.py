# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is remembered of images, for how long, and who is told."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.v1alpha2.reasons import ConfigSource
from configs.base import BaseConfig
from controller.llamastack.planning.image_configs import (
    Failed,
    Known,
    Pending,
    Question,
    Unlabelled,
)
from informers.ports import ObjectKey
from llamastack_operator.oci.answer_cache import (
    DIGEST_FRESH_S,
    FIRST_REST_S,
    LONGEST_REST_S,
    SPREAD,
    TAG_FRESH_S,
    Content,
    Ledger,
)
from llamastack_operator.oci.errors import BadLabel, ImageNotFound, Unavailable

A, B = ObjectKey("ns", "a"), ObjectKey("ns", "b")
IMAGE = Question("quay.io/x:1", "ns", "sa", ())


def content(digest: str = "d", *, labelled: bool = True, size: int = 10) -> Content:
    base = BaseConfig("0.7", 2, {}, ConfigSource.OCI_LABEL, digest)
    return Content(f"quay.io/x@{digest}", base if labelled else None, size)


def ask(
    ledger: Ledger, question: Question = IMAGE, asker: ObjectKey = A, *, now: float, rv: str = ""
) -> tuple[object, bool]:
    return ledger.ask(question, asker, credentials=rv, now=now)


def fail(
    ledger: Ledger, *, now: float, spread: float = 0.0, patience: float = 0.0
) -> set[ObjectKey]:
    error = Unavailable("away", retry_after_s=patience)
    return set(ledger.failed(IMAGE, error, now=now, spread=spread))


def test_many_who_ask_cause_one_request_and_all_are_told() -> None:
    ledger = Ledger()

    assert ask(ledger, now=0) == (Pending(), True)
    assert ask(ledger, asker=B, now=1) == (Pending(), False)
    assert ask(ledger, now=2) == (Pending(), False)

    assert ledger.found(IMAGE, content(), now=3) == {A, B}
    answer, start = ask(ledger, now=4)
    assert isinstance(answer, Known)
    assert answer.base.digest == "d"
    assert not start
    assert ledger.found(IMAGE, content(), now=5) == set(), "nobody waits any more"


def test_image_without_labels_is_an_answer() -> None:
    ledger = Ledger()
    ask(ledger, now=0)
    ledger.found(IMAGE, content(labelled=False), now=1)

    assert ask(ledger, now=2) == (Unlabelled(), False)


def test_tag_is_asked_for_anew_when_stale_and_the_old_answer_holds_meanwhile() -> None:
    ledger = Ledger()
    ask(ledger, now=0)
    ledger.found(IMAGE, content("old"), now=0)

    assert not ask(ledger, now=TAG_FRESH_S - 1)[1]
    answer, start = ask(ledger, now=TAG_FRESH_S)
    assert isinstance(answer, Known)
    assert start

    assert ledger.found(IMAGE, content("old"), now=TAG_FRESH_S + 1) == set(), "no news, no pass"
    assert ask(ledger, now=2 * TAG_FRESH_S + 1)[1]
    assert ledger.found(IMAGE, content("new"), now=2 * TAG_FRESH_S + 2) == {A}
    answer, _ = ask(ledger, now=2 * TAG_FRESH_S + 3)
    assert isinstance(answer, Known)
    assert answer.base.digest == "new"


def test_digest_stays_fresh_for_longer() -> None:
    question = dataclasses.replace(IMAGE, image=f"quay.io/x@sha256:{'a' * 64}")
    ledger = Ledger()
    ask(ledger, question, now=0)
    ledger.found(question, content(), now=0)

    assert not ask(ledger, question, now=DIGEST_FRESH_S - 1)[1]
    assert ask(ledger, question, now=DIGEST_FRESH_S)[1]


def test_failure_after_a_success_changes_nothing() -> None:
    ledger = Ledger()
    ask(ledger, now=0)
    ledger.found(IMAGE, content(), now=0)
    ask(ledger, now=TAG_FRESH_S)

    assert fail(ledger, now=TAG_FRESH_S) == set()
    answer, start = ask(ledger, now=TAG_FRESH_S + 1)
    assert isinstance(answer, Known)
    assert not start, "it rests as after any failure"
    assert ask(ledger, now=TAG_FRESH_S + FIRST_REST_S)[1]


@given(st.integers(0, 40), st.floats(0, 1), st.floats(0, 1e9))
def test_rests_double_up_to_a_limit_and_honour_the_registrys_wish(
    failures: int, spread: float, patience: float
) -> None:
    ledger, now = Ledger(), 0.0
    for _ in range(failures):
        ask(ledger, now=now)
        fail(ledger, now=now)
        now += LONGEST_REST_S
    ask(ledger, now=now)

    assert fail(ledger, now=now, spread=spread, patience=patience) == {A}

    rest = min(max(FIRST_REST_S * 2.0**failures, patience), LONGEST_REST_S)
    rest *= 1 + SPREAD * spread
    assert not ask(ledger, now=now + rest - 0.1)[1]
    answer, start = ask(ledger, now=now + rest + 0.001)
    assert isinstance(answer, Failed), "the failure stands until there is a better answer"
    assert start


def test_failure_says_when_to_ask_again() -> None:
    ledger = Ledger()
    ask(ledger, now=0)
    fail(ledger, now=0)
    ask(ledger, now=FIRST_REST_S)
    fail(ledger, now=FIRST_REST_S)

    answer, _ = ask(ledger, now=FIRST_REST_S + 1)

    assert isinstance(answer, Failed)
    assert answer.retry_in_s == pytest.approx(2 * FIRST_REST_S - 1)
    assert (answer.message, answer.transient) == ("away", True)
    assert answer.reason == "ImageConfigUnavailable"


def test_changed_pull_secret_lifts_the_rest_after_a_failure_only() -> None:
    ledger = Ledger()
    ask(ledger, now=0, rv="1")
    fail(ledger, now=0)
    assert not ask(ledger, now=1, rv="1")[1]

    assert ask(ledger, now=1, rv="2") == (Pending(), True)

    ledger.found(IMAGE, content(), now=2)
    answer, start = ask(ledger, now=3, rv="3")
    assert isinstance(answer, Known)
    assert not start


def test_secret_that_changes_while_it_is_used_is_tried_again() -> None:
    ledger = Ledger()
    ask(ledger, now=0, rv="1")
    assert ask(ledger, now=1, rv="2") == (Pending(), False)
    assert fail(ledger, now=2) == {A}

    assert ask(ledger, now=2, rv="2") == (Pending(), True)


def test_what_one_namespace_may_see_is_not_shown_to_another() -> None:
    ledger = Ledger()
    ask(ledger, now=0)
    ledger.found(IMAGE, content(), now=0)

    for other in (
        dataclasses.replace(IMAGE, namespace="other"),
        dataclasses.replace(IMAGE, pull_secrets=("s",)),
        dataclasses.replace(IMAGE, service_account="other"),
    ):
        assert ask(ledger, other, now=1) == (Pending(), True)
    assert ledger.remembered("quay.io/x@d") is not None, "but it is not fetched again"


def test_permanent_failure_keeps_its_reason() -> None:
    ledger = Ledger()
    ask(ledger, now=0)
    ledger.failed(IMAGE, BadLabel("bad"), now=0, spread=0)
    answer, _ = ask(ledger, now=1)
    assert isinstance(answer, Failed)
    assert (answer.reason, answer.transient) == ("ConfigGenerationFailed", False)

    ask(ledger, now=100)
    ledger.failed(IMAGE, ImageNotFound("gone"), now=100, spread=0)
    answer, _ = ask(ledger, now=101)
    assert isinstance(answer, Failed)
    assert answer.message == "gone"


def question(number: int) -> Question:
    return dataclasses.replace(IMAGE, image=f"quay.io/x:{number}")


def test_memory_of_questions_is_bounded_and_running_ones_are_kept() -> None:
    ledger = Ledger(questions=3)
    ask(ledger, question(0), now=0)
    for number in range(1, 10):
        ask(ledger, question(number), now=0)
        ledger.found(question(number), content(str(number)), now=0)

    assert len(vars(ledger)["_entries"]) == 3
    assert ask(ledger, question(0), now=1) == (Pending(), False), "it still runs"
    assert ledger.found(question(0), content("0"), now=2) == {A}


def test_memory_of_contents_is_bounded_by_number_and_by_size() -> None:
    ledger = Ledger(contents=3, total_bytes=100)
    for number in range(6):
        ledger.found(question(number), content(str(number)), now=0)
        ledger.remembered("quay.io/x@0")
    kept = [n for n in range(6) if ledger.remembered(f"quay.io/x@{n}")]
    assert kept == [0, 4, 5], "the one that is used is kept"

    ledger.found(question(6), content("6", size=95), now=0)
    assert [n for n in range(7) if ledger.remembered(f"quay.io/x@{n}")] == [6]
    ledger.found(question(6), content("6", size=95), now=0)
    ledger.found(question(7), content("7", size=5), now=0)
    assert [n for n in range(8) if ledger.remembered(f"quay.io/x@{n}")] == [6, 7]


def test_content_that_was_forgotten_is_asked_for_again() -> None:
    ledger = Ledger(contents=1)
    ask(ledger, now=0)
    ledger.found(IMAGE, content(), now=0)
    ledger.found(question(2), content("2"), now=0)

    assert ask(ledger, now=1) == (Pending(), True)
    assert ledger.found(IMAGE, content(), now=2) == {A}
