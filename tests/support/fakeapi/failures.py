# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server says to calls that it refuses; classified as the answers of a real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from informers.errors import StatusError
from informers.ports import ObjectKey, Resource
from llamastack_operator.kube.classify import status_error
from tests.support.fakeapi.field_sets import FieldSet, in_words
from tests.support.fakeapi.managed_fields import Manager

_JSON = {"Content-Type": "application/json"}


def failure(code: int, reason: str, message: str, *causes: tuple[str, str, str]) -> StatusError:
    """The error for a Status.

    Args:
        code: HTTP status.
        reason: e.g. ``NotFound``.
        message: for people.
        causes: each with reason, field and message.
    """
    listed = [{"reason": why, "field": field, "message": text} for why, field, text in causes]
    status: dict[str, Any] = {"kind": "Status", "reason": reason, "message": message}
    body = orjson.dumps({**status, "code": code, "details": {"causes": listed}})
    return status_error(code, _JSON, body, what="a call of the API in memory")


def no_path(*, of_known_group: bool = True) -> StatusError:
    """Nothing is served there; of a group that nobody knows, the API server answers in text."""
    if not of_known_group:
        text = {"Content-Type": "text/plain; charset=utf-8"}
        return status_error(404, text, b"404 page not found", what="request")
    return failure(404, "NotFound", "the server could not find the requested resource")


def not_found(resource: Resource, name: str) -> StatusError:
    """There is no such object."""
    return failure(404, "NotFound", f'{resource} "{name}" not found')


def already_exists(resource: Resource, name: str) -> StatusError:
    """There is one of that name."""
    return failure(409, "AlreadyExists", f'{resource} "{name}" already exists')


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    """It is not what the caller thinks it is."""
    what = f'Operation cannot be fulfilled on {resource} "{name}"'
    return failure(409, "Conflict", f"{what}: {why}")


def modified(resource: Resource, name: str) -> StatusError:
    """It has another version."""
    why = (
        "the object has been modified; please apply your changes to the latest version and "
        "try again"
    )
    return conflict(resource, name, why)


def precondition(resource: Resource, name: str, field: str, wanted: str, found: str) -> StatusError:
    """A delete was meant for another one, or for another state of it."""
    what, why = {
        "uid": ("UID", "might have been deleted and then recreated"),
        "resourceVersion": ("ResourceVersion", "might have been modified"),
    }[field]
    return failure(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.kind} "{name}": the {what} in the '
        f"precondition ({wanted}) does not match the {what} in record ({found}). The object {why}",
    )


def invalid(resource: Resource, name: str, *causes: tuple[str, str, str]) -> StatusError:
    """It breaks rules."""
    texts = [f"{field}: {text}" for _, field, text in causes]
    what = (
        f'{resource.kind}.{resource.group} "{name}"'
        if resource.group
        else (f'{resource.kind} "{name}"')
    )
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return failure(422, "Invalid", f"{what} is invalid: {text}", *causes)


def unprocessable(why: str) -> StatusError:
    """A JSON patch that cannot be carried out; the server does not say so much."""
    text = "the server rejected our request due to an error in our request"
    error = failure(422, "Invalid", text)
    error.add_note(why)
    return error


def malformed(resource: Resource, key: ObjectKey, why: str) -> StatusError:
    """An apply that breaks the schema's list keys."""
    which = f"{key}; {resource.api_version}, Kind={resource.kind}"
    return failure(500, "", f"failed to create typed patch object ({which}): {why}")


def terminating(resource: Resource, key: ObjectKey) -> StatusError:
    """Its namespace is being deleted."""
    why = (
        f'{resource} "{key.name}" is forbidden: unable to create new content in namespace '
        f"{key.namespace} because it is being terminated"
    )
    cause = ("NamespaceTerminating", "metadata.namespace", "namespace is being terminated")
    return failure(403, "Forbidden", why, cause)


def fields_owned(conflicts: Mapping[Manager, FieldSet]) -> StatusError:
    """An apply without force would take fields from others."""
    causes = [
        ("FieldManagerConflict", in_words(field), f'conflict with "{other.name}"')
        for other, fields in conflicts.items()
        for field in sorted(fields)
    ]
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    return failure(409, "Conflict", f"Apply failed with {count}", *causes)


def other_name(asked: str, name: str) -> StatusError:
    """A patch that would rename the object."""
    why = f"the name of the object ({asked}) does not match the name on the URL ({name})"
    return failure(400, "BadRequest", why)


def version_at_creation() -> StatusError:
    """A version that nobody can know yet."""
    return failure(500, "", "resourceVersion should not be set on objects to be created")
