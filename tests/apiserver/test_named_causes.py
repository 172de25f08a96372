# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What keeps a server from running, or a rollout from ending, is named in its status."""

from __future__ import annotations

import pytest

from api.conditions import condition
from tests.support.world import World

pytestmark = pytest.mark.apiserver

TLS = {"tls": {"enabled": True, "secretName": "cert"}}


def test_missing_certificate_is_told_once(world: World) -> None:
    world.resource(networking=TLS)

    said = world.wait_condition("SecretsResolved", "False")

    assert said["message"] == (
        f'Secret "cert" not found in namespace "{world.namespace}". '
        "Referenced by: spec.networking.tls.secretName"
    )


def test_certificate_that_is_empty_is_not_usable_until_it_is_filled(world: World) -> None:
    world.secret("cert", **{"tls.crt": "", "tls.key": " \n"})
    world.resource(networking=TLS)

    said = world.wait_condition("SecretsResolved", "False")

    assert said["reason"] == "SecretValueNotUsable"
    assert 'key "tls.crt" in Secret "cert" is empty' in said["message"]
    assert 'key "tls.key" in Secret "cert" is empty' in said["message"]
    assert world.get("deployment", "demo") is None
    ready = condition(world.must_get("llsd", "demo"), "Ready")
    assert (ready["status"], ready["message"]) == ("False", said["message"])

    filled = {"tls.crt": "certificate", "tls.key": "key"}
    world.patch("secret", "cert", {"stringData": filled})
    world.wait_ready()
