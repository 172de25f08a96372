# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reviews in, reviews out (H1, H2)."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from api import TOO_LARGE
from api.conversion import PARTIAL_LABEL as LABEL
from api.conversion import convert
from api.errors import FieldError, FieldWarning
from api.json_text import deep_json
from llamastack_operator.webhooks.oversize import MOST_OF_ANNOTATIONS
from llamastack_operator.webhooks.review import (
    MOST_FINDINGS,
    MOST_PARTS,
    MOST_TEXT,
    MOST_WARNING,
    CannotConvert,
    MalformedReview,
    Verdict,
    admission_answer,
    bounded,
    conversion_answer,
    conversion_failure,
    conversions,
    read_admission,
    read_conversion,
)
from tests.support import reviews
from tests.support.reviews import OLD, response

GOOD = json.loads(reviews.conversion(reviews.resource()))
GOOD_ADMISSION = json.loads(reviews.admission(reviews.resource()))


def changed(review: dict[str, Any], **request: Any) -> bytes:
    given = {n: v for n, v in {**review["request"], **request}.items() if v is not None}
    return json.dumps({**review, "request": given}).encode()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "no ConversionReview"),
        (b"null", "no ConversionReview"),
        (reviews.admission(reviews.resource()), "no ConversionReview"),
        (json.dumps({**GOOD, "apiVersion": "apiextensions.k8s.io/v1beta1"}).encode(), "of apiext"),
        (json.dumps({**GOOD, "request": None}).encode(), "no request"),
        (changed(GOOD, uid=""), "request.uid"),
        (changed(GOOD, uid=7), "request.uid"),
        (changed(GOOD, desiredAPIVersion=None), "request.desiredAPIVersion"),
        (changed(GOOD, objects={}), "request.objects"),
        (changed(GOOD, objects=None), "request.objects"),
    ],
)
def test_body_that_is_no_conversion_review_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(MalformedReview, match=says):
        read_conversion(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"x", "not JSON"),
        (reviews.conversion(), "no AdmissionReview"),
        (changed(GOOD_ADMISSION, uid=None), "request.uid"),
        (changed(GOOD_ADMISSION, operation=1), "request.operation"),
        (changed(GOOD_ADMISSION, object=[]), "request.object"),
        (changed(GOOD_ADMISSION, oldObject="x"), "request.oldObject"),
    ],
)
def test_body_that_is_no_admission_review_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(MalformedReview, match=says):
        read_admission(body)


@pytest.mark.parametrize("part", [b"{},", b"[],", b"[", b'{"":', b"1,"])
def test_review_that_would_grow_a_lot_is_not_even_read(part: bytes) -> None:
    for read in (read_conversion, read_admission):
        with pytest.raises(MalformedReview, match="more than"):
            read(b"[" + part * (MOST_PARTS + 1))


def test_objects_come_back_converted_in_their_order_with_the_uid() -> None:
    objects = [reviews.resource(name) for name in ("b", "a", "c")]
    request = read_conversion(reviews.conversion(*objects, to=OLD, uid="x-7"))

    answer = response(conversion_answer(request.uid, list(conversions(request))))

    assert answer == {
        "uid": "x-7",
        "result": {"status": "Success"},
        "convertedObjects": [convert(obj, "v1alpha1") for obj in objects],
    }


def test_review_without_objects_is_answered() -> None:
    request = read_conversion(reviews.conversion())

    assert list(conversions(request)) == []


@pytest.mark.parametrize(
    ("obj", "to", "says"),
    [
        (reviews.resource(version="llamastack.io/v2"), OLD, "LlamaStackDistribution team/demo: "),
        (reviews.resource(version="apps/v1alpha2"), OLD, "LlamaStackDistribution team/demo: "),
        (reviews.resource(), "llamastack.io/v9", "team/demo: .*v9"),
        (reviews.resource(), "example.org/v1alpha1", "team/demo: .*example.org"),
        ({"apiVersion": "x", "metadata": 7}, OLD, "object without a name: "),
        (7, OLD, "object 0 is not an object"),
    ],
)
def test_object_that_cannot_be_converted_is_named(obj: Any, to: str, says: str) -> None:
    request = read_conversion(reviews.conversion(obj, to=to))

    with pytest.raises(CannotConvert, match=says):
        list(conversions(request))


def test_failure_of_a_conversion_hands_out_nothing() -> None:
    answer = response(conversion_failure("u", "because " + "x" * 9000))

    assert answer["uid"] == "u"
    assert answer["result"]["status"] == "Failure"
    assert answer["result"]["message"].startswith("because ")
    assert len(answer["result"]["message"].encode()) <= MOST_TEXT
    assert "convertedObjects" not in answer


def test_write_without_errors_is_let_through() -> None:
    assert response(admission_answer("u", Verdict())) == {"uid": "u", "allowed": True}


def test_refusal_has_a_line_for_each_error_with_its_path_first() -> None:
    errors = (FieldError("spec.a", "is wrong", "do better"), FieldError("spec.b[1]", "as well"))

    answer = response(admission_answer("u", Verdict(errors)))

    assert answer["allowed"] is False
    assert answer["status"] == {
        "status": "Failure",
        "reason": "Invalid",
        "code": 422,
        "message": "spec.a: is wrong (do better)\nspec.b[1]: as well",
    }


def test_of_many_errors_twenty_are_shown_and_the_rest_counted() -> None:
    errors = tuple(FieldError(f"spec.x[{n}]", "is wrong") for n in range(MOST_FINDINGS + 3))

    lines = response(admission_answer("u", Verdict(errors)))["status"]["message"].splitlines()

    assert len(lines) == MOST_FINDINGS + 1
    assert lines[-1] == "… and 3 more errors"


def test_long_refusal_is_cut_off_at_four_kibibytes() -> None:
    errors = tuple(FieldError(f"spec.x[{n}]", "ä" * 1000) for n in range(9))

    message = response(admission_answer("u", Verdict(errors)))["status"]["message"]

    assert MOST_TEXT - 4 <= len(message.encode()) <= MOST_TEXT
    assert message.endswith("…")


def test_warnings_are_shown_with_or_without_errors_each_on_one_short_line() -> None:
    warnings = (FieldWarning("spec.a", "first\nsecond"), FieldWarning("spec.b", "x" * 999))

    for errors in ((), (FieldError("spec.c", "is wrong"),)):
        answer = response(admission_answer("u", Verdict(errors, warnings)))
        assert answer["allowed"] is not bool(errors)
        assert answer["warnings"][0] == "spec.a: first second"
        assert len(answer["warnings"][1]) == MOST_WARNING
        assert answer["warnings"][1].endswith("…")


def test_of_many_warnings_the_rest_is_counted() -> None:
    warnings = tuple(FieldWarning(f"spec.x[{n}]", "odd") for n in range(MOST_FINDINGS + 1))

    shown = response(admission_answer("u", Verdict((), warnings)))["warnings"]

    assert len(shown) == MOST_FINDINGS + 1
    assert shown[-1] == "… and 1 more warnings"


@pytest.mark.parametrize("most", range(6, 12))
def test_text_is_cut_off_between_characters(most: int) -> None:
    cut = bounded("äöüß€", most)

    assert len(cut.encode()) <= most
    assert "äöüß€".startswith(cut.removesuffix("…"))


def test_text_that_fits_stays() -> None:
    assert bounded("äöü", 6) == "äöü"


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize(
    "value",
    [
        r'"\ud800"',
        "1" + "0" * 30,
        "NaN",
        "[" * 300 + "]" * 300,
        "[" * 900 + "]" * 900,
        "[" * 5000 + "]" * 5000,
        '{"\\ud800": 1}',
    ],
    ids=["surrogate", "long", "nan", "deep", "deeper", "deepest", "surrogate as a key"],
)
@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_whatever_an_annotation_holds_the_object_can_be_written(version: str, value: str) -> None:
    """One object that cannot takes the whole list of resources along."""
    other = "v1alpha2" if version == "v1alpha1" else "v1alpha1"
    obj = reviews.resource()
    obj |= {"apiVersion": f"llamastack.io/{version}", "spec": {}}
    text = f'[{{"path": ["spec", "unheardOf"], "value": {value}}}]'
    obj["metadata"]["annotations"] = {f"llamastack.io/{other}-fields": text}
    assert _there(obj, other)["apiVersion"] == f"llamastack.io/{other}"


def test_an_annotation_with_an_endless_path_is_no_error() -> None:
    obj = reviews.resource() | {"apiVersion": "llamastack.io/v1alpha1", "spec": {}}
    text = json.dumps([{"path": ["spec", *["a"] * 5000], "value": 1}])
    obj["metadata"]["annotations"] = {"llamastack.io/v1alpha2-fields": text}
    assert _there(obj, "v1alpha2")["spec"] == {}


def test_deep_values_are_converted_shown_or_hidden() -> None:
    provider = {"provider": "remote::vllm", "settings": _nested(240)}
    obj = reviews.resource() | {"apiVersion": "llamastack.io/v1alpha2"}
    obj["spec"] = {"providers": {"inference": provider, "scoring": provider}}
    view = _there(obj, "v1alpha1")
    assert view["spec"]["server"]["providers"]["inference"]["config"] == _nested(240)
    back = _there(view, "v1alpha2")
    assert orjson.loads(deep_json(back["spec"])) == obj["spec"]
    assert "annotations" not in back["metadata"]


def _there(obj: dict[str, Any], version: str) -> Any:
    review = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "request": {
            "uid": "u",
            "desiredAPIVersion": f"llamastack.io/{version}",
            "objects": [obj],
        },
    }
    request = read_conversion(deep_json(review).encode())
    answer = orjson.loads(conversion_answer("u", list(conversions(request))))
    assert answer["response"]["result"] == {"status": "Success"}
    return answer["response"]["convertedObjects"][0]


def test_what_no_annotation_has_room_for_can_be_read_and_not_written() -> None:
    """The API server refuses such an answer, and with it the list of all resources."""
    obj = reviews.resource() | {"apiVersion": "llamastack.io/v1alpha2"}
    settings = {"a": "x" * MOST_OF_ANNOTATIONS}
    obj["spec"] = {"providers": {"scoring": {"provider": "remote::x", "settings": settings}}}
    view = _there(obj, "v1alpha1")
    size = sum(len(k) + len(v) for k, v in view["metadata"]["annotations"].items())
    assert size <= MOST_OF_ANNOTATIONS
    request = read_conversion(
        changed(GOOD, objects=[view], desiredAPIVersion="llamastack.io/v1alpha2")
    )
    with pytest.raises(CannotConvert, match="too large for an annotation"):
        list(conversions(request))


def test_view_of_an_object_with_full_annotations_can_be_listed() -> None:
    """The API server takes 256 KiB of them, and what is in an object is its author's."""
    obj = reviews.resource() | {"apiVersion": "llamastack.io/v1alpha2"}
    obj["metadata"]["annotations"] = {"full": "x" * (MOST_OF_ANNOTATIONS - len("full"))}
    obj["spec"]["networking"] = {"expose": {"hostname": "a.example"}}
    view = _there(obj, "v1alpha1")
    assert view["metadata"]["annotations"] == obj["metadata"]["annotations"]
    assert view["metadata"]["labels"] == {LABEL: TOO_LARGE}


def test_what_is_stored_is_never_cut() -> None:
    """What does not fit had no effect: a later variable of the same name wins."""
    obj = reviews.resource() | {"apiVersion": OLD}
    env = [{"name": "A", "value": "x" * MOST_OF_ANNOTATIONS}, {"name": "A", "value": "b"}]
    obj["spec"] = {"server": {"distribution": {"name": "s"}, "containerSpec": {"env": env}}}
    stored = _there(obj, "v1alpha2")
    assert stored["spec"]["workload"]["overrides"]["env"] == [env[1]]
    assert not set(stored["metadata"]) & {"annotations", "labels"} or LABEL not in str(stored)
    assert _there(stored, "v1alpha1")["spec"]["server"]["containerSpec"]["env"] == [env[1]]


def test_object_without_metadata_is_converted() -> None:
    obj = {"apiVersion": "llamastack.io/v1alpha2", "kind": "X", "metadata": "none"}
    assert _there(obj, "v1alpha1")["metadata"] == "none"


def test_label_in_a_stored_object_is_in_nobodys_way() -> None:
    obj = reviews.resource() | {"apiVersion": "llamastack.io/v1alpha2"}
    obj["metadata"]["labels"] = {LABEL: TOO_LARGE}
    assert _there(obj, "v1alpha1")["apiVersion"] == OLD


def test_commas_in_a_text_are_no_values() -> None:
    obj = reviews.resource() | {"apiVersion": "llamastack.io/v1alpha2"}
    obj["metadata"]["annotations"] = {"a": ',[{\\"' * (MOST_PARTS // 2)}
    assert read_conversion(reviews.conversion(obj, to=OLD)).objects == (obj,)


def test_review_that_is_deeper_than_decoders_go_is_read() -> None:
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    review = {**GOOD, "request": {**GOOD["request"], "objects": [{"a": deep, "b": "]"}]}}
    (found,) = read_conversion(deep_json(review).encode()).objects
    assert deep_json(found) == deep_json({"a": deep, "b": "]"})


def test_warning_has_no_character_that_a_header_cannot_have() -> None:
    verdict = Verdict((), (FieldWarning("spec.end\x1bpoint\x7f", "is not known"),))
    (warning,) = response(admission_answer("u", verdict))["warnings"]
    assert warning == "spec.end\\x1bpoint\\x7f: is not known"
