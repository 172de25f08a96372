# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The webhooks' certificate on a real API server, kept with the rights of ``deploy/rbac`` (H4).

What somebody deletes or breaks is made again while clients write: nobody is refused for longer than
a moment, and the operator does not restart.
"""

from __future__ import annotations

import base64
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from api import webhook
from controller.llamastack.objects.kinds import SECRET
from hack.cluster.plane import ControlPlane
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.certificates.pair import read_certificates
from tests.support.operator_process import OperatorProcess
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import Json, Webhooked, asked, webhooked
from tests.support.world import eventually, install

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]

MERGE = "application/merge-patch+json"
DEFINITION = CRD.path(name=names.DEFINITION)
CONFIGURATION = WEBHOOK.path(name=names.CONFIGURATION)
CERTIFICATE = SECRET.path(namespace=webhook.NAMESPACE, name=names.SECRET)
BROKEN_FOR_S = 5.0
"""How long a client may be refused at most, when it tries again and again."""


class Hooked:
    """The control plane, and the operator that it asks."""

    def __init__(self, where: Webhooked, process: OperatorProcess) -> None:
        self.where = where
        self.process = process

    def get(self, path: str) -> Json:
        found: Json = self.where.plane.client.get(path)
        return found

    def patch(self, path: str, body: Any) -> None:
        code, answer = self.where.ask("PATCH", path, body, content_type=MERGE)
        assert code == 200, answer

    def stored(self) -> dict[str, bytes]:
        code, secret = self.where.ask("GET", CERTIFICATE)
        data = (secret.get("data") or {}) if code == 200 else {}
        return {name: base64.b64decode(value) for name, value in data.items()}

    def bundles(self) -> list[bytes]:
        definition = self.get(DEFINITION)["spec"]["conversion"]["webhook"]["clientConfig"]
        (hook,) = self.get(CONFIGURATION)["webhooks"]
        configs = (definition, hook["clientConfig"])
        return [base64.b64decode(config.get("caBundle") or "") for config in configs]

    def is_right(self) -> bool:
        return self.bundles() == [self.stored().get("ca.crt", b"?")] * 2

    def refusal(self, name: str, namespace: str) -> str:
        """What keeps a good resource of the old version out; empty if nothing does."""
        code, message = self.where.create(old_resource(name), namespace, dry_run=True)
        return "" if code == 201 else f"{code} {message}"

    @contextmanager
    def writers(self, namespace: str) -> Iterator[list[tuple[float, str]]]:
        """Somebody writes all the time; when and why each write failed."""
        failures: list[tuple[float, str]] = []
        done = threading.Event()

        def write() -> None:
            for number in itertools.count():
                if done.is_set():
                    return
                if refusal := self.refusal(f"r{number}", namespace):
                    failures.append((time.monotonic(), refusal))

        threads = [threading.Thread(target=write, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield failures
        finally:
            done.set()
            for thread in threads:
                thread.join(10)


@pytest.fixture(scope="module")
def hooked(kwok_plane: ControlPlane) -> Iterator[Hooked]:
    account = install(kwok_plane)
    with (
        webhooked(kwok_plane) as where,
        asked(replace(where, kubeconfig=account)) as process,
    ):
        yield Hooked(where, process)


def lasted(failures: list[tuple[float, str]]) -> float:
    """From the first refused write to the last."""
    return failures[-1][0] - failures[0][0] if failures else 0.0


def test_certificate_is_made_and_trusted_with_the_rights_of_the_account(hooked: Hooked) -> None:
    assert hooked.is_right()
    assert set(hooked.stored()) == {"tls.crt", "tls.key", "ca.crt", "ca.key"}
    told = [r["event"] for r in hooked.process.records() if r["level"] in {"warning", "error"}]
    assert [event for event in told if "CA bundle" in event or "certificate" in event] == []


def test_resource_of_the_old_version_is_read_in_both_and_a_wrong_one_refused(
    hooked: Hooked, kwok_namespace: str
) -> None:
    assert hooked.where.create(old_resource("both"), kwok_namespace) == (201, "")

    new = hooked.where.get("both", kwok_namespace, "v1alpha2")
    assert new["spec"]["distribution"] == {"name": "starter"}
    old = hooked.where.get("both", kwok_namespace, "v1alpha1")
    assert old["spec"]["server"]["distribution"] == {"name": "starter"}
    wrong = old_resource("wrong", distribution={"name": "nobody-knows-it"})
    code, message = hooked.where.create(wrong, kwok_namespace)
    assert code == 422
    assert "spec.server.distribution.name: Unknown distribution" in message


@pytest.mark.parametrize("bundle", [{}, {"caBundle": ""}])
def test_ca_bundle_that_somebody_takes_away_is_given_back(
    hooked: Hooked, kwok_namespace: str, bundle: Json
) -> None:
    (hook,) = hooked.get(CONFIGURATION)["webhooks"]
    emptied = {**hook, "clientConfig": {"url": hook["clientConfig"]["url"], **bundle}}
    hooked.patch(CONFIGURATION, {"webhooks": [emptied]})
    nothing = {"clientConfig": {"caBundle": None, **bundle}}
    hooked.patch(DEFINITION, {"spec": {"conversion": {"webhook": nothing}}})

    eventually("both bundles", hooked.is_right, 15.0)
    eventually("a write", lambda: not hooked.refusal("again", kwok_namespace), 15.0)


def break_key(hooked: Hooked) -> None:
    hooked.patch(CERTIFICATE, {"data": {"tls.key": base64.b64encode(b"junk").decode()}})


def break_authority(hooked: Hooked) -> None:
    hooked.patch(CERTIFICATE, {"data": {"ca.crt": None}})


def delete(hooked: Hooked) -> None:
    hooked.where.plane.client.delete(CERTIFICATE)


@pytest.mark.parametrize("damage", [break_key, break_authority, delete])
def test_what_is_broken_is_made_again_while_clients_write(
    hooked: Hooked, kwok_namespace: str, damage: Callable[[Hooked], None]
) -> None:
    eventually("an undamaged state", hooked.is_right, 15.0)
    before = hooked.stored()
    with hooked.writers(kwok_namespace) as failures:
        damage(hooked)
        eventually(
            "something else",
            lambda: hooked.stored().get("tls.crt") not in {None, b"", before["tls.crt"]},
            15.0,
        )
        eventually("everybody's trust", hooked.is_right, 15.0)
        time.sleep(BROKEN_FOR_S)  # what goes wrong late is seen, too

    assert lasted(failures) < BROKEN_FOR_S, failures[-1]
    assert hooked.refusal("after", kwok_namespace) == ""
    authorities = read_certificates(hooked.stored()["ca.crt"])
    assert 1 <= len(authorities) <= 4


def test_nothing_was_restarted_and_no_key_was_logged(hooked: Hooked) -> None:
    records = hooked.process.records()

    assert len([r for r in records if r["event"] == "Started the operator"]) == 1
    assert "PRIVATE" not in repr(records)
