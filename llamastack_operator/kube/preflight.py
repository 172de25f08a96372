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


class Rules:
    """What somebody may do, as far as the API server can list it.

    Args:
        answers: by a namespace in words (empty: anywhere): its rules, and whether those are all.
    """

    def __init__(self, answers: Sequence[tuple[str, list[dict[str, Any]], bool]]) -> None:
        self._answers = answers

    def allow(self, right: Right) -> bool:
        """Whether a right is given in all of them; not if nobody can tell."""
        return all(any(_allows(rule, right) for rule in rules) for _, rules, _ in self._answers)

    def missing(self, rights: Iterable[Right]) -> list[str]:
        """Those that are not given, in words; without those that nobody can tell of."""
        needed = list(rights)
        return [
            f"{_in_words(right)}{where}"
            for where, rules, complete in self._answers
            for right in needed
            if complete and not any(_allows(rule, right) for rule in rules)
        ]


async def rules_in(client: Client, namespaces: Sequence[str]) -> Rules:
    """What we may do; one review a namespace.

    Args:
        client: as whom.
        namespaces: to be watched; empty for all, where the rights must come from cluster roles.

    Raises:
        ApiError: the review failed.
    """
    answers = []
    for namespace in namespaces or ("default",):
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        answer = await client.request("POST", _REVIEWS, body=body, timeout_s=_TIMEOUT_S)
        status = answer.get("status") or {}
        where = f" in namespace {namespace}" if namespaces else ""
        # An authorizer that cannot list its rules: the first request will tell.
        complete = not status.get("incomplete")
        answers.append((where, status.get("resourceRules") or [], complete))
    return Rules(answers)


async def check_rights(client: Client, namespaces: Sequence[str], rights: Iterable[Right]) -> Rules:
    """Whether we may do all that we are going to do.

    Args:
        client: as whom.
        namespaces: to be watched; empty for all, where the rights must come from cluster roles.
        rights: what is needed in each.

    Returns:
        All that we may do.

    Raises:
        NotFit: a right is missing.
        ApiError: the review failed.
    """
    rules = await rules_in(client, namespaces)
    missing = rules.missing(rights)
    if missing:
        raise NotFit("\n".join(f"missing right: {text}" for text in missing))
    return rules


async def missing_rights(
    client: Client, namespaces: Sequence[str], rights: Iterable[Right]
) -> list[str]:
    """The rights that we lack, in words; see :func:`rules_in`.

    Raises:
        ApiError: the review failed.
    """
    return (await rules_in(client, namespaces)).missing(rights)


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
