# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Messages name fields as the author of the resource wrote them."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.objects.author import (
    in_version_of_author,
    keep_version,
    note_to_author,
    writes_v1alpha1,
)

OLD, NEW = "llamastack.io/v1alpha1", "llamastack.io/v1alpha2"
MESSAGE = (
    'Secret "creds" not found in namespace "n". Referenced by: '
    "spec.providers.inference.apiKey.secretKeyRef"
)


def entry(version: str, time: str, *, fields: str = "f:spec", **more: str) -> dict[str, Any]:
    return {"apiVersion": version, "time": time, "fieldsV1": {fields: {}}, **more}


def cached(*entries: dict[str, Any]) -> Any:
    return keep_version(
        {
            "apiVersion": NEW,
            "metadata": {"name": "demo", "managedFields": list(entries)},
            "spec": {"providers": {"inference": {"provider": "vllm"}}},
        }
    )


@pytest.mark.parametrize(
    ("entries", "old"),
    [
        pytest.param([], False, id="nobody-knows"),
        pytest.param([entry(OLD, "1")], True, id="v1alpha1"),
        pytest.param([entry(NEW, "1")], False, id="v1alpha2"),
        pytest.param([entry(OLD, "1"), entry(NEW, "2")], False, id="changed-over"),
        pytest.param([entry(NEW, "1"), entry(OLD, "2")], True, id="and-back"),
        pytest.param(
            [entry(OLD, "1"), entry(NEW, "2", fields="f:metadata")], True, id="only-labels"
        ),
        pytest.param(
            [entry(OLD, "1"), entry(NEW, "2", subresource="status")], True, id="only-status"
        ),
    ],
)
def test_the_author_is_who_wrote_the_spec_last(entries: list[dict[str, Any]], old: bool) -> None:
    assert writes_v1alpha1(cached(*entries)) is old


def test_no_more_of_managed_fields_is_kept_than_the_version() -> None:
    assert cached(entry(OLD, "1"))["metadata"]["managedFields"] == [{"apiVersion": OLD}]
    assert "managedFields" not in cached(entry(NEW, "1"))["metadata"]


def test_conditions_and_notes_name_the_fields_of_the_author() -> None:
    status = {"phase": "Failed", "conditions": [{"type": "Ready", "message": MESSAGE}]}
    old = MESSAGE.replace("spec.providers", "spec.server.providers")

    told = in_version_of_author(status, cached(entry(OLD, "1")))
    assert told == {"phase": "Failed", "conditions": [{"type": "Ready", "message": old}]}
    assert note_to_author(MESSAGE, cached(entry(OLD, "1"))) == old
    assert in_version_of_author(status, cached(entry(NEW, "1"))) is status
    assert note_to_author(MESSAGE, cached(entry(NEW, "1"))) == MESSAGE


def test_messages_of_external_providers_name_the_fields_of_the_author() -> None:
    told = "Raise {}.install.sizeLimit."
    message = told.format("spec.externalProviders")
    status = {"externalProviders": [{"providerId": "a", "message": message}]}
    author = cached(entry(OLD, "1"))

    once = in_version_of_author(status, author)

    message = told.format("spec.server.externalProviders")
    assert once == {"externalProviders": [{"providerId": "a", "message": message}]}
    assert in_version_of_author(once, author) == once
