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
    AnswerCache,
    Content,
)
from llamastack_operator.oci.errors import BadLabel, ImageNotFound, Unavailable

A, B = ObjectKey("ns", "a"), ObjectKey("ns", "b")
IMAGE = Question("quay.io/x:1", "ns", "sa", ())


def content(digest: str = "d", *, labelled: bool = True, size: int = 10) -> Content:
    base = BaseConfig("0.7", 2, {}, ConfigSource.OCI_LABEL, digest)
    return Content(f"quay.io/x@{digest}", base if labelled else None, size)


def ask(
    answers: AnswerCache,
    question: Question = IMAGE,
    asker: ObjectKey = A,
    *,
    now: float,
    rv: str = "",
) -> tuple[object, bool]:
    return answers.ask(question, asker, credentials=rv, now=now)


def fail(
    answers: AnswerCache, *, now: float, spread: float = 0.0, patience: float = 0.0
) -> set[ObjectKey]:
    error = Unavailable("away", retry_after_s=patience)
    return set(answers.failed(IMAGE, error, now=now, spread=spread))


def test_many_who_ask_cause_one_request_and_all_are_told() -> None:
    answers = AnswerCache()

    assert ask(answers, now=0) == (Pending(), True)
    assert ask(answers, asker=B, now=1) == (Pending(), False)
    assert ask(answers, now=2) == (Pending(), False)

    assert answers.found(IMAGE, content(), now=3) == {A, B}
    answer, start = ask(answers, now=4)
    assert isinstance(answer, Known)
    assert answer.base.digest == "d"
    assert not start
    assert answers.found(IMAGE, content(), now=5) == set(), "nobody waits any more"


def test_image_without_labels_is_an_answer() -> None:
    answers = AnswerCache()
    ask(answers, now=0)
    answers.found(IMAGE, content(labelled=False), now=1)

    assert ask(answers, now=2) == (Unlabelled(), False)


def test_tag_is_asked_for_again_when_stale_and_the_old_answer_holds_meanwhile() -> None:
    answers = AnswerCache()
    ask(answers, now=0)
    answers.found(IMAGE, content("old"), now=0)

    assert not ask(answers, now=TAG_FRESH_S - 1)[1]
    answer, start = ask(answers, now=TAG_FRESH_S)
    assert isinstance(answer, Known)
    assert start

    assert answers.found(IMAGE, content("old"), now=TAG_FRESH_S + 1) == set(), "nothing changed"
    assert ask(answers, now=2 * TAG_FRESH_S + 1)[1]
    assert answers.found(IMAGE, content("new"), now=2 * TAG_FRESH_S + 2) == {A}
    answer, _ = ask(answers, now=2 * TAG_FRESH_S + 3)
    assert isinstance(answer, Known)
    assert answer.base.digest == "new"


def test_digest_stays_fresh_for_longer() -> None:
    question = dataclasses.replace(IMAGE, image=f"quay.io/x@sha256:{'a' * 64}")
    answers = AnswerCache()
    ask(answers, question, now=0)
    answers.found(question, content(), now=0)

    assert not ask(answers, question, now=DIGEST_FRESH_S - 1)[1]
    assert ask(answers, question, now=DIGEST_FRESH_S)[1]


def test_failure_after_a_success_changes_nothing() -> None:
    answers = AnswerCache()
    ask(answers, now=0)
    answers.found(IMAGE, content(), now=0)
    ask(answers, now=TAG_FRESH_S)

    assert fail(answers, now=TAG_FRESH_S) == set()
    answer, start = ask(answers, now=TAG_FRESH_S + 1)
    assert isinstance(answer, Known)
    assert not start, "it rests as after any failure"
    assert ask(answers, now=TAG_FRESH_S + FIRST_REST_S)[1]


@given(st.integers(0, 40), st.floats(0, 1), st.floats(0, 1e9))
def test_rests_double_up_to_a_limit_and_honour_the_registrys_wish(
    failures: int, spread: float, patience: float
) -> None:
    answers, now = AnswerCache(), 0.0
    for _ in range(failures):
        ask(answers, now=now)
        fail(answers, now=now)
        now += LONGEST_REST_S
    ask(answers, now=now)

    assert fail(answers, now=now, spread=spread, patience=patience) == {A}

    rest = min(max(FIRST_REST_S * 2.0**failures, patience), LONGEST_REST_S)
    rest *= 1 + SPREAD * spread
    assert not ask(answers, now=now + rest - 0.1)[1]
    answer, start = ask(answers, now=now + rest + 0.001)
    assert isinstance(answer, Failed), "the failure stands until there is a better answer"
    assert start


def test_failure_says_when_to_ask_again() -> None:
    answers = AnswerCache()
    ask(answers, now=0)
    fail(answers, now=0)
    ask(answers, now=FIRST_REST_S)
    fail(answers, now=FIRST_REST_S)

    answer, _ = ask(answers, now=FIRST_REST_S + 1)

    assert isinstance(answer, Failed)
    assert answer.retry_in_s == pytest.approx(2 * FIRST_REST_S - 1)
    assert (answer.message, answer.transient) == ("away", True)
    assert answer.reason == "ImageConfigUnavailable"


def test_changed_pull_secret_lifts_the_rest_after_a_failure_only() -> None:
    answers = AnswerCache()
    ask(answers, now=0, rv="1")
    fail(answers, now=0)
    assert not ask(answers, now=1, rv="1")[1]

    assert ask(answers, now=1, rv="2") == (Pending(), True)

    answers.found(IMAGE, content(), now=2)
    answer, start = ask(answers, now=3, rv="3")
    assert isinstance(answer, Known)
    assert not start


def test_secret_that_changes_while_it_is_used_is_tried_again() -> None:
    answers = AnswerCache()
    ask(answers, now=0, rv="1")
    assert ask(answers, now=1, rv="2") == (Pending(), False)
    assert fail(answers, now=2) == {A}

    assert ask(answers, now=2, rv="2") == (Pending(), True)


def test_what_one_namespace_may_see_is_not_shown_to_another() -> None:
    answers = AnswerCache()
    ask(answers, now=0)
    answers.found(IMAGE, content(), now=0)

    for other in (
        dataclasses.replace(IMAGE, namespace="other"),
        dataclasses.replace(IMAGE, pull_secrets=("s",)),
        dataclasses.replace(IMAGE, service_account="other"),
    ):
        assert ask(answers, other, now=1) == (Pending(), True)
    assert answers.remembered("quay.io/x@d") is not None, "but it is not fetched again"


def test_permanent_failure_keeps_its_reason() -> None:
    answers = AnswerCache()
    ask(answers, now=0)
    answers.failed(IMAGE, BadLabel("bad"), now=0, spread=0)
    answer, _ = ask(answers, now=1)
    assert isinstance(answer, Failed)
    assert (answer.reason, answer.transient) == ("ConfigGenerationFailed", False)

    ask(answers, now=100)
    answers.failed(IMAGE, ImageNotFound("gone"), now=100, spread=0)
    answer, _ = ask(answers, now=101)
    assert isinstance(answer, Failed)
    assert answer.message == "gone"


def question(number: int) -> Question:
    return dataclasses.replace(IMAGE, image=f"quay.io/x:{number}")


def test_memory_of_questions_is_bounded_and_running_ones_are_kept() -> None:
    answers = AnswerCache(questions=3)
    ask(answers, question(0), now=0)
    for number in range(1, 10):
        ask(answers, question(number), now=0)
        answers.found(question(number), content(str(number)), now=0)

    assert len(vars(answers)["_entries"]) == 3
    assert ask(answers, question(0), now=1) == (Pending(), False), "it still runs"
    assert answers.found(question(0), content("0"), now=2) == {A}


def test_memory_of_contents_is_bounded_by_number_and_by_size() -> None:
    answers = AnswerCache(contents=3, total_bytes=100)
    for number in range(6):
        answers.found(question(number), content(str(number)), now=0)
        answers.remembered("quay.io/x@0")
    kept = [n for n in range(6) if answers.remembered(f"quay.io/x@{n}")]
    assert kept == [0, 4, 5], "the one that is used is kept"

    answers.found(question(6), content("6", size=95), now=0)
    assert [n for n in range(7) if answers.remembered(f"quay.io/x@{n}")] == [6]
    answers.found(question(6), content("6", size=95), now=0)
    answers.found(question(7), content("7", size=5), now=0)
    assert [n for n in range(8) if answers.remembered(f"quay.io/x@{n}")] == [6, 7]


def test_content_that_was_forgotten_is_asked_for_again() -> None:
    answers = AnswerCache(contents=1)
    ask(answers, now=0)
    answers.found(IMAGE, content(), now=0)
    answers.found(question(2), content("2"), now=0)

    assert ask(answers, now=1) == (Pending(), True)
    assert answers.found(IMAGE, content(), now=2) == {A}
