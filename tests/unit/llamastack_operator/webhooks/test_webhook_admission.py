# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a write is refused for, and what no write is ever refused for (FR-076)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.conversion import convert
from api.errors import FieldError
from configs.distributions import Distributions
from llamastack_operator.webhooks.admission import (
    Judgement,
    changed_references,
    introduced,
    is_exempt,
    judge,
)
from llamastack_operator.webhooks.review import AdmissionRequest, read_admission
from tests.support import reviews
from tests.support.reviews import resource, with_key

DISTRIBUTIONS = Distributions.load()
BROKEN: dict[str, Any] = {"distribution": {"name": "nobody-knows-it"}}


def request(obj: Any, old: Any = None, **fields: Any) -> AdmissionRequest:
    return read_admission(reviews.admission(obj, old, **fields))


def changed(obj: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


# --- what is never refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "exempt"),
    [
        (request(resource()), False),
        (request(resource(**BROKEN)), False),
        (request(resource(**BROKEN), resource()), False),
        (request(None, resource(**BROKEN), operation="DELETE"), True),
        (request(resource(**BROKEN), resource(**BROKEN)), True),
        (request(changed(resource(**BROKEN), labels={"a": "b"}), resource(**BROKEN)), True),
        (request(changed(resource(**BROKEN), finalizers=[]), resource(**BROKEN)), True),
        (request({**resource(**BROKEN), "status": {"phase": "Failed"}}, resource(**BROKEN)), True),
        (request(resource(**BROKEN), resource(), subResource="status"), True),
        (request({"spec": {"replicas": 2}}, {"spec": {"replicas": 1}}, subResource="scale"), True),
        (request(changed(resource(**BROKEN), deletionTimestamp="t"), resource()), True),
        (request(resource(**BROKEN), changed(resource(), deletionTimestamp="t")), True),
    ],
)
def test_some_writes_are_never_refused(what: AdmissionRequest, exempt: bool) -> None:
    assert is_exempt(what) is exempt


def test_number_in_place_of_a_boolean_is_a_change() -> None:
    """To Python they are equal."""
    before = resource(distribution={"name": "starter"}, networking={"expose": True})
    after = resource(distribution={"name": "starter"}, networking={"expose": 1})

    assert not is_exempt(request(after, before))


@pytest.mark.parametrize("levels", [400, 900])
def test_deep_values_are_compared(levels: int) -> None:
    settings: Any = 1
    for _ in range(levels):
        settings = [settings]
    before = resource(providers={"inference": {"provider": "vllm", "settings": {"a": settings}}})
    what = AdmissionRequest("u", "UPDATE", "team-a", "", changed(before, labels={"a": "b"}), before)

    assert is_exempt(what)
    assert not is_exempt(replace(what, old=resource()))


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_annotation_with_fields_of_the_other_version_counts_as_spec(version: str) -> None:
    annotations = {f"llamastack.io/{version}-fields": "[]"}

    assert not is_exempt(request(changed(resource(), annotations=annotations), resource()))


# --- what can be told from the object ------------------------------------------------------


def errors(obj: dict[str, Any], distributions: Distributions | None = DISTRIBUTIONS) -> list[str]:
    return [str(error) for error in judge(obj, distributions).errors]


def test_good_resource_has_no_errors() -> None:
    assert errors(resource(**with_key("s"))) == []


def test_unknown_distribution_is_an_error_that_lists_the_known_ones() -> None:
    (error,) = errors(resource(**BROKEN))

    assert error.startswith('spec.distribution.name: Unknown distribution "nobody-knows-it"')
    assert "starter" in error


def test_model_of_an_unknown_provider_is_an_error() -> None:
    models = [{"name": "llama", "provider": "nowhere"}]
    (error,) = errors(resource(**with_key("s"), resources={"models": models}))

    assert error.startswith("spec.resources.models[0].provider: ")
    assert "nowhere" in error


def test_rule_of_the_spec_is_checked() -> None:
    (error,) = errors(
        resource(distribution={"name": "starter"}, networking={"tls": {"enabled": True}})
    )

    assert error.startswith("spec.networking.tls.secretName: ")


def test_author_of_the_old_version_reads_the_path_that_he_wrote() -> None:
    old = convert(resource(**BROKEN), "v1alpha1")

    (error,) = errors(old)

    assert error.startswith("spec.server.distribution.name: ")


def test_without_distributions_the_rest_is_judged_all_the_same() -> None:
    assert errors(resource(**BROKEN), None) == []
    broken = resource(distribution={"name": "starter"}, networking={"tls": {"enabled": True}})
    assert errors(broken, None) == errors(broken)
    assert [ref.name for ref in judge(resource(**with_key("s")), None).secrets] == ["s"]


def test_what_an_image_says_of_itself_is_left_to_the_operator() -> None:
    """Without its labels nobody knows whether it has a base config."""
    image = {"image": "registry.example.org/own:1"}

    assert errors(resource(**{**with_key("s"), "distribution": image})) == []


def test_rules_hold_for_an_image_as_well() -> None:
    image = {"image": "registry.example.org/own:1"}
    (error,) = errors(resource(distribution=image, networking={"tls": {"enabled": True}}))

    assert error.startswith("spec.networking.tls.secretName: ")


def test_references_are_known_of_a_resource_with_errors() -> None:
    """So that they do not look new to the write that corrects it."""
    spec = with_key("s", networking={"tls": {"enabled": True}})

    assert [ref.name for ref in judge(resource(**spec), DISTRIBUTIONS).secrets] == ["s"]


@pytest.mark.parametrize("obj", [{}, {"spec": 7}, {"metadata": [], "spec": {"providers": "x"}}])
def test_anything_at_all_is_judged(obj: dict[str, Any]) -> None:
    assert errors({"apiVersion": reviews.NEW, **obj})


# --- what a write brings -------------------------------------------------------------------

A, B = FieldError("spec.a", "is wrong"), FieldError("spec.b", "is wrong")


def test_error_that_was_there_before_is_no_reason() -> None:
    assert introduced((A, B), (A,)) == (B,)
    assert introduced((A,), (A, B)) == ()


def test_error_with_another_text_at_the_same_field_is_a_new_one() -> None:
    assert introduced((A,), (replace(A, message="is wrong in another way"),)) == (A,)


def test_error_that_moved_with_its_item_is_none_of_the_write() -> None:
    first, second = (FieldError(f"spec.l[{i}].a", f"also at spec.l[{i}]") for i in (0, 1))
    assert introduced((second,), (first,)) == ()
    assert introduced((first, second), (first,)) == (second,)
    assert introduced((first, second), (second, first)) == ()


def test_reference_that_moved_with_its_item_is_not_looked_up() -> None:
    one, other = (
        {**with_key(name)["providers"]["inference"], "id": name} for name in ("kept", "new")
    )
    before, after = (
        judge(resource(**{**with_key("s"), "providers": {"inference": found}}), DISTRIBUTIONS)
        for found in ([one], [other, one])
    )
    assert [ref.name for ref in changed_references(after, before).secrets] == ["new"]


def test_only_references_that_changed_are_looked_up() -> None:
    before = judge(resource(**with_key("s")), DISTRIBUTIONS)
    after = judge(resource(**with_key("s"), overrideConfig={"configMapName": "c"}), DISTRIBUTIONS)

    found = changed_references(after, before)

    assert found.secrets == ()
    assert [ref.name for ref in found.config_maps] == ["c"]
    assert changed_references(after, after).config_maps == ()


def test_other_key_of_the_same_secret_is_another_reference() -> None:
    before = judge(resource(**with_key("s", "a")), DISTRIBUTIONS)
    after = judge(resource(**with_key("s", "b")), DISTRIBUTIONS)

    assert [ref.key for ref in changed_references(after, before).secrets] == ["b"]
    assert changed_references(after, Judgement()).secrets == after.secrets
