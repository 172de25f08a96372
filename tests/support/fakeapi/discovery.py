# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which APIs there are, and what the caller may do: everything, or nothing."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.support.fakeapi.failures import no_path
from tests.support.fakeapi.server import FakeApi

_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_ALL: Final = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_VERSION_PATH: Final = re.compile(r"/apis/[^/]+/[^/]+")


def answers(path: str) -> bool:
    """Whether a path is one of these."""
    return path in {"/apis", "/version", _REVIEWS} or bool(_VERSION_PATH.fullmatch(path))


def answer(api: FakeApi, path: str) -> Any:
    """What a client is told.

    Raises:
        NotFound: no such group, or no such version of it.
    """
    served = [resource for resource in api.clusters if resource.group]
    if path == _REVIEWS:
        rules = [_ALL] if api.everything_is_allowed else []
        return {"status": {"resourceRules": rules, "incomplete": False}}
    if path == "/version":
        return {"major": "1", "minor": api.minor}
    if path == "/apis":
        versions = {(r.group, r.api_version) for r in served}
        return {
            "groups": [
                {"name": group, "versions": [{"groupVersion": version}]}
                for group, version in sorted(versions)
            ]
        }
    found = [{"name": r.plural, "kind": r.kind} for r in served if f"/apis/{r.api_version}" == path]
    if not found:
        raise no_path()
    return {"resources": found}
