# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The control plane itself: what the other tests build on is really there."""

from __future__ import annotations

import pytest

from tests.support.cluster.plane import ControlPlane

pytestmark = pytest.mark.apiserver


def test_unknown_user_is_forbidden_and_the_request_is_audited(
    control_plane: ControlPlane, namespace: str
) -> None:
    mark = control_plane.audit.mark()
    path = f"/api/v1/namespaces/{namespace}/secrets"

    code, _ = control_plane.client_for("nobody").raw("GET", path)

    assert code == 403
    (request,) = [r for r in control_plane.audit.since(mark) if r.user == "nobody"]
    assert (request.verb, request.resource, request.code) == ("list", "secrets", 403)
