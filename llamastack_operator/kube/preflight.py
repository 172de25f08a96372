# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Is the cluster fit for us? Asked once, before anything starts, with two requests.

An operator that lacks a right finds out late and one resource at a time; asked up front, a new
version with a missing right fails its rollout while the old one goes on working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from informers.errors import NotFound, TransportError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from informers.ports import Resource
    from llamastack_operator.kube.rest import Client

_TIMEOUT_S = 10.0  # whoever waits for a command to fail waits no longer than this
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


class NotFit(Exception):
    """The cluster cannot be used as it is; one line a finding."""


class Right(Protocol):
    """A verb on a resource, or on its subresource."""

    @property
    def verb(self) -> str:
        """E.g. ``list``."""
        ...

    @property
    def resource(self) -> Resource:
        """Which kind."""
        ...

    @property
    def subresource(self) -> str:
        """E.g. ``status``; empty for the object itself."""
        ...

    @property
    def name(self) -> str:
        """Of the one object that it is needed for; empty for all."""
        ...


async def check_served(client: Client, resource: Resource) -> None:
    """Whether the API server knows the custom resource.

    Raises:
        NotFit: unreachable, not authenticated, or the CRD is not installed.
        ApiError: another failure.
    """
    server = client.connection.server
    path = f"/apis/{resource.group}/{resource.version}"
    try:
        listing = await client.request("GET", path, timeout_s=_TIMEOUT_S)
    except NotFound:
        listing = {}
    except TransportError as error:
        raise NotFit(
            f"cannot reach the API server at {server} ({client.connection.source}): "
            f"{error.__cause__ or error}"
        ) from error
    except Unauthorized as error:
        raise NotFit(
            f"the API server at {server} does not accept the credentials of "
            f"{client.connection.source}: {error.message}"
        ) from error
    if resource.plural not in {r.get("name") for r in listing.get("resources") or ()}:
        raise NotFit(
            f"CustomResourceDefinition {resource} with version {resource.version} is not "
            "installed in this cluster; run "
            "`python -m llamastack_operator install` or apply deploy/crd"
        )


async def check_rights(client: Client, namespaces: Sequence[str], rights: Iterable[Right]) -> None:
    """Whether we may do all that we are going to do.

    Args:
        client: as whom.
        namespaces: to be watched; empty for all, where the rights must come from cluster roles.
        rights: what is needed in each.

    Raises:
        NotFit: a right is missing.
        ApiError: the review failed.
    """
    missing = await missing_rights(client, namespaces, rights)
    if missing:
        raise NotFit("\n".join(f"missing right: {text}" for text in missing))


async def missing_rights(
    client: Client, namespaces: Sequence[str], rights: Iterable[Right]
) -> list[str]:
    """The rights that we lack, in words; one review a namespace.

    Args:
        client: as whom.
        namespaces: to be watched; empty for all, where the rights must come from cluster roles.
        rights: what is looked for in each.

    Raises:
        ApiError: the review failed.
    """
    missing: list[str] = []
    needed = list(rights)
    for namespace in namespaces or ("default",):
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        answer = await client.request("POST", _REVIEWS, body=body, timeout_s=_TIMEOUT_S)
        status = answer.get("status") or {}
        if status.get("incomplete"):
            continue  # an authorizer that cannot list its rules; the first request will tell
        rules = status.get("resourceRules") or []
        where = f" in namespace {namespace}" if namespaces else ""
        missing += [
            f"{_in_words(r)}{where}" for r in needed if not any(_allows(x, r) for x in rules)
        ]
    return missing


def _in_words(right: Right) -> str:
    name = f" {right.name}" if right.name else ""
    return f'{right.verb} {_plural(right)}{name} (API group "{right.resource.group or "core"}")'


def _plural(right: Right) -> str:
    return "/".join(part for part in (right.resource.plural, right.subresource) if part)


def _allows(rule: dict[str, Any], right: Right) -> bool:
    names = rule.get("resourceNames")
    return (
        (not names or right.name in names)
        and _matches(rule.get("verbs"), right.verb)
        and _matches(rule.get("apiGroups"), right.resource.group)
        and _matches(rule.get("resources"), _plural(right))
    )


def _matches(values: list[str] | None, wanted: str) -> bool:
    return bool(values) and (wanted in (values or ()) or "*" in (values or ()))
