# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""ConversionReview and AdmissionReview, version 1, both ways. Pure.

What cannot be read raises :class:`MalformedReview`: nobody but the API server calls us, so that is
a bug of somebody, answered with 400. Everything that is about an object is part of an answer with
status 200, as the two APIs want it: the API server shows it to whoever asked for the object.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

import api
from api import VERSION
from api.conversion import convert, is_partial
from api.json_text import deep_json, deep_loads
from api.printable import printable
from llamastack_operator.webhooks.oversize import UNWRITABLE, fitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from api.errors import Finding

CONVERSION: Final = "apiextensions.k8s.io/v1"
ADMISSION: Final = "admission.k8s.io/v1"

MOST_FINDINGS: Final = 20
"""Errors or warnings in one answer (R-D30); how many more there are is said in one line."""

MOST_TEXT: Final = 4096
"""Bytes of the message of a refusal (R-D30)."""

MOST_WARNING: Final = 256
"""Characters of a warning; the API server cuts all of them off beyond 4096 together."""

MOST_PARTS: Final = 2_000_000
"""Values in one review, as far as that can be told before it is read. ``[{},{},…`` takes twenty
times as much memory as it has bytes; a thousand resources have two hundred thousand values. An
object that etcd takes has less than a million, and a review of an update has two objects: what
could be created can be changed."""

_INVALID: Final = 422


class MalformedReview(Exception):
    """The body of a request is no review of the kind that its path is for."""


# --- conversion --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """What to convert.

    Attributes:
        uid: names the request.
        desired: apiVersion to convert to.
        objects: of any version of ours; not looked into yet.
    """

    uid: str
    desired: str
    objects: tuple[Any, ...]


class CannotConvert(Exception):
    """An object cannot be converted; the message names it."""


def read_conversion(body: bytes) -> ConversionRequest:
    """The request in a ConversionReview.

    Raises:
        MalformedReview: there is none.
    """
    request = _request(body, CONVERSION, "ConversionReview")
    objects = request.get("objects")
    if not isinstance(objects, list):
        raise MalformedReview("request.objects is not a list")
    return ConversionRequest(
        uid=_text(request, "uid"),
        desired=_text(request, "desiredAPIVersion"),
        objects=tuple(objects),
    )


def conversions(request: ConversionRequest) -> Iterator[dict[str, Any]]:
    """The objects in the desired version, one after the other and in their order.

    Raises:
        CannotConvert: one of them cannot be converted, and so the review has failed.
    """
    for number, obj in enumerate(request.objects):
        if not isinstance(obj, Mapping):
            raise CannotConvert(f"object {number} is not an object")
        version = _version(request.desired)
        if version == VERSION and is_partial(obj):
            raise CannotConvert(f"{_name(obj)}: {UNWRITABLE}")
        try:
            yield fitted(convert(obj, version), version)
        except ValueError as error:
            raise CannotConvert(f"{_name(obj)}: {error}") from error


def conversion_answer(uid: str, converted: Sequence[Mapping[str, Any]]) -> bytes:
    """The review that hands out converted objects."""
    return _answer(
        CONVERSION,
        "ConversionReview",
        {"uid": uid, "result": {"status": "Success"}, "convertedObjects": converted},
    )


def conversion_failure(uid: str, message: str) -> bytes:
    """The review that says why there are no converted objects."""
    result = {"status": "Failure", "message": bounded(message, MOST_TEXT)}
    return _answer(CONVERSION, "ConversionReview", {"uid": uid, "result": result})


# --- admission ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """A write that is about to happen.

    Attributes:
        uid: names the request.
        operation: ``CREATE``, ``UPDATE``, ``DELETE`` or ``CONNECT``.
        namespace: of the object.
        subresource: which is written; empty for the object itself.
        obj: as it would be stored, in the version of whoever writes; ``None`` for a deletion.
        old: as it is stored, in the same version; ``None`` for a creation.
    """

    uid: str
    operation: str
    namespace: str
    subresource: str
    obj: Mapping[str, Any] | None
    old: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to say about a write.

    Attributes:
        errors: it is refused for; none if it is not.
        warnings: that whoever writes gets to see, refused or not.
    """

    errors: Sequence[Finding] = field(default=())
    warnings: Sequence[Finding] = field(default=())


def read_admission(body: bytes) -> AdmissionRequest:
    """The request in an AdmissionReview.

    Raises:
        MalformedReview: there is none.
    """
    request = _request(body, ADMISSION, "AdmissionReview")
    return AdmissionRequest(
        uid=_text(request, "uid"),
        operation=_text(request, "operation"),
        namespace=str(request.get("namespace") or ""),
        subresource=str(request.get("subResource") or ""),
        obj=_object(request, "object"),
        old=_object(request, "oldObject"),
    )


def admission_answer(uid: str, verdict: Verdict) -> bytes:
    """The review that lets a write through, or refuses it with one line an error."""
    response: dict[str, Any] = {"uid": uid, "allowed": not verdict.errors}
    if verdict.errors:
        response["status"] = {
            "status": "Failure",
            "reason": "Invalid",
            "code": _INVALID,
            "message": bounded("\n".join(_limited(verdict.errors, "errors")), MOST_TEXT),
        }
    if verdict.warnings:
        texts = _limited(verdict.warnings, "warnings")
        response["warnings"] = [_shortened(printable(" ".join(text.split()))) for text in texts]
    return _answer(ADMISSION, "AdmissionReview", response)


def _limited(findings: Sequence[Finding], what: str) -> list[str]:
    shown = [str(finding) for finding in findings[:MOST_FINDINGS]]
    more = len(findings) - len(shown)
    return [*shown, f"… and {more} more {what}"] if more else shown


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_WARNING else text[: MOST_WARNING - 1] + "…"


def bounded(text: str, most: int) -> str:
    """A text of at most so many bytes; a mark says where it was cut off."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return raw.decode("utf-8")
    return raw[: most - len("…".encode())].decode("utf-8", "ignore") + "…"


# --- both --------------------------------------------------------------------------------------


def _request(body: bytes, api_version: str, kind: str) -> Mapping[str, Any]:
    if _parts(body) > MOST_PARTS and _parts(_TEXT.sub(b"", body)) > MOST_PARTS:
        raise MalformedReview(f"the review has more than {MOST_PARTS} values")
    review = _decoded(body)
    if not isinstance(review, dict) or (review.get("apiVersion"), review.get("kind")) != (
        api_version,
        kind,
    ):
        raise MalformedReview(f"the body is no {kind} of {api_version}")
    request = review.get("request")
    if not isinstance(request, dict):
        raise MalformedReview("the review has no request")
    return request


_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
"""In JSON; what is inside is no value of its own."""


def _parts(body: bytes) -> int:
    """At least as many as there are values in JSON."""
    return sum(map(body.count, (b",", b"[", b"{")))


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        problem = error
    with contextlib.suppress(ValueError):
        if _TOO_DEEP in problem.msg:  # to read anything else again would take long for nothing
            return deep_loads(body)
    raise MalformedReview("the body is not JSON") from problem


_TOO_DEEP: Final = "depth limit"
"""What orjson says of text that is deeper than it goes."""


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedReview(f"request.{name} is missing or not a text")
    return value


def _object(request: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = request.get(name)
    if value is not None and not isinstance(value, dict):
        raise MalformedReview(f"request.{name} is not an object")
    return value


def _answer(api_version: str, kind: str, response: Mapping[str, Any]) -> bytes:
    review = {"apiVersion": api_version, "kind": kind, "response": response}
    try:
        return orjson.dumps(review)
    except orjson.JSONEncodeError:  # deeper than it goes
        return deep_json(review).encode()


def _version(api_version: str) -> str:
    """``v1alpha2`` of ``llamastack.io/v1alpha2``; of another group the whole, which is unknown."""
    group, _, version = api_version.rpartition("/")
    return version if group == api.GROUP else api_version


def _name(obj: Mapping[str, Any]) -> str:
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        metadata = {}
    parts = [str(metadata[part]) for part in ("namespace", "name") if metadata.get(part)]
    return f"{obj.get('kind') or 'object'} {'/'.join(parts) or 'without a name'}"
