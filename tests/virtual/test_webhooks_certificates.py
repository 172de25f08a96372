# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Replicas keep one certificate, and everybody who calls them trusts it, on virtual time (H4)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from controller.llamastack.objects.kinds import SECRET
from informers.errors import Forbidden, TransportError
from informers.metrics import NO_METRICS
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from llamastack_operator.webhooks.certificates.ca_bundle import INJECTED
from llamastack_operator.webhooks.certificates.issuing import AUTHORITY_LIFE, CERTIFICATE_LIFE
from llamastack_operator.webhooks.certificates.keeper import LOOK_AGAIN_S, SETTLE_S
from llamastack_operator.webhooks.certificates.pair import read_certificates
from llamastack_operator.webhooks.certificates.state import (
    AUTHORITIES,
    AUTHORITY_KEY,
    CERTIFICATE,
    KEYS,
    OVERLAP,
)
from llamastack_operator.webhooks.certificates.targets import Target
from llamastack_operator.webhooks.certificates.vault import SecretVault
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.webhook_replicas import ADDRESS, DEFINITION_KEY, SECRET_KEY, World, world

pytestmark = pytest.mark.looptime

WRITES = ("create", "json-patch", "update", "apply", "delete")


def writes(made: World) -> int:
    return sum(len(replica.client.verbs(*WRITES)) for replica in made.replicas)


async def settled(made: World, within_s: float = 120.0, *, every_s: float = 0.01) -> float:
    return await made.until(made.is_right, within_s, every_s=every_s)


@pytest.mark.parametrize("replicas", [1, 2, 5])
async def test_replicas_agree_on_one_pair_and_are_trusted(replicas: int) -> None:
    async with world(replicas=replicas) as made:
        assert await settled(made) < 5.0

        secret = made.api.get(SECRET, SECRET_KEY)
        assert secret["type"] == "kubernetes.io/tls"
        assert set(made.stored()) == set(KEYS)
        assert len(read_certificates(made.stored()[AUTHORITIES])) == 1


async def test_nothing_is_written_and_nothing_asked_when_all_is_right() -> None:
    async with world(replicas=2) as made:
        await settled(made)
        before = [len(replica.client.calls) for replica in made.replicas]

        await asyncio.sleep(6 * 3600.0)

        for replica, count in zip(made.replicas, before, strict=True):
            assert {call.verb for call in replica.client.calls[count:]} <= {"watch"}


async def test_replica_that_comes_later_writes_nothing() -> None:
    async with world(replicas=1) as made:
        await settled(made)
        late = made.add()
        await settled(made)

        assert late.client.verbs(*WRITES) == []


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, b"", b"junk"])
async def test_key_that_somebody_breaks_is_made_again_within_seconds(
    key: str, value: bytes | None
) -> None:
    async with world(replicas=2) as made:
        await settled(made)

        made.damage(**{key.replace(".", "_"): value})

        assert await settled(made) < 10.0


async def test_deleted_secret_is_made_again_with_new_keys() -> None:
    async with world(replicas=2) as made:
        await settled(made)
        old = made.stored()

        made.delete_secret()

        await made.until(lambda: bool(made.stored()))
        assert await settled(made) < 10.0
        assert made.stored()[AUTHORITY_KEY] != old[AUTHORITY_KEY]
        assert made.stored()[CERTIFICATE] != old[CERTIFICATE]


@pytest.mark.parametrize("value", [None, "", "anVuaw=="])
async def test_ca_bundle_that_somebody_changes_is_corrected_within_seconds(
    value: str | None,
) -> None:
    async with world(replicas=2) as made:
        await settled(made)

        made.set_bundle(value)

        assert await settled(made) < 5.0


async def test_webhooks_that_are_installed_later_are_trusted() -> None:
    made = World()
    manifest = made.api.get(CRD, DEFINITION_KEY)
    made.api.delete(CRD, DEFINITION_KEY)
    made.add()
    await made.until(lambda: bool(made.stored()))

    created = {"metadata": {"name": DEFINITION_KEY.name}, "spec": manifest["spec"]}
    made.api.create(CRD, created)

    assert await settled(made) < 5.0
    await made.end()


async def test_somebody_who_insists_on_another_bundle_is_not_fought_without_end() -> None:
    async with world(replicas=1) as made:
        await settled(made)
        before = writes(made)

        def insist() -> bool:
            if made.is_right():
                made.set_bundle("anVuaw==")
            return made.utc().minute == 10

        await made.until(insist, 900.0, every_s=0.5)

        assert 5 < writes(made) - before < 40


# --- renewal -------------------------------------------------------------------------------


async def test_nobody_is_refused_for_a_renewal_of_the_certificate() -> None:
    async with world(replicas=3) as made:
        await settled(made)
        old = made.stored()
        made.offset += CERTIFICATE_LIFE * 2 / 3

        # An hour later at the latest somebody looks at the clock.
        await made.until(lambda: made.stored() != old, LOOK_AGAIN_S + 10.0, every_s=0.5)
        await made.until(lambda: accepted(made))
        assert made.stored()[AUTHORITIES] == old[AUTHORITIES]


def accepted(made: World) -> bool:
    """Must be so at any time; whether it is right now, too."""
    for replica in made.replicas:
        assert all(replica.is_accepted(bundle, made.utc()) for bundle in made.bundles())
    return made.is_right()


async def test_nobody_is_refused_for_a_renewal_of_the_authority() -> None:
    async with world(replicas=3) as made:
        await settled(made)
        # Renewed in time, so that only the authority is due.
        made.offset += AUTHORITY_LIFE * 2 / 3 - timedelta(days=1)
        await settled(made, 4000.0, every_s=1.0)
        old = made.stored()
        made.offset += timedelta(days=1)

        # An hour later at the latest somebody looks at the clock.
        await made.until(lambda: made.stored() != old, LOOK_AGAIN_S + 10.0, every_s=0.5)
        await made.until(lambda: accepted(made))
        served = made.utc()
        assert len(read_certificates(made.stored()[AUTHORITIES])) == 2

        await made.until(
            lambda: accepted(made) and len(read_certificates(made.stored()[AUTHORITIES])) == 1,
            2 * OVERLAP.total_seconds(),
            every_s=0.5,
        )
        assert made.utc() - served > OVERLAP / 2


async def test_nobody_is_refused_for_a_secret_that_is_deleted() -> None:
    """The old certificate is served until everybody knows the new authority."""
    async with world(replicas=2) as made:
        await settled(made)
        old = made.stored()
        made.delete_secret()

        took = await made.until(
            lambda: bool(made.stored()) and accepted(made) and made.stored() != old
        )

        assert took >= SETTLE_S


async def test_certificate_that_ran_out_is_renewed() -> None:
    async with world(replicas=2) as made:
        await settled(made)
        made.offset += AUTHORITY_LIFE * 2

        assert await settled(made, 4000.0, every_s=1.0) <= 3700.0


# --- what cannot be done -------------------------------------------------------------------


async def test_api_server_that_is_away_is_tried_again_and_the_old_pair_served() -> None:
    async with world(replicas=1) as made:
        await settled(made)
        (replica,) = made.replicas
        pair = replica.serving.pair
        away = Fault("create", SECRET, error=TransportError("away"), times=None)
        replica.client.faults = [away]
        made.delete_secret()

        await made.until(
            lambda: len(replica.client.keys("create", SECRET)) >= 8, 600.0, every_s=1.0
        )
        assert replica.serving.pair == pair
        assert len(replica.client.keys("create", SECRET)) < 12

        replica.client.faults = []
        await settled(made)


async def test_secret_that_nobody_may_change_is_told_and_served_on() -> None:
    async with world(replicas=1) as made:
        await settled(made)
        (replica,) = made.replicas
        pair = replica.serving.pair
        live = made.api.get(SECRET, SECRET_KEY)
        data = {**live["data"], "tls.key": ""}
        with capture_logs() as logs:
            made.api.replace(SECRET, {**live, "data": data, "immutable": True})
            await made.until(lambda: any(e["log_level"] == "warning" for e in logs))

        (told, *_) = [e for e in logs if e["log_level"] == "warning"]
        assert told["event"] == "Failed to renew the webhooks' certificate"
        assert "immutable" in told["error"]
        assert replica.serving.pair == pair


async def test_missing_right_to_change_the_definition_is_said_once() -> None:
    made = World()
    refusal = Forbidden("no", code=403)
    with capture_logs() as logs:
        replica = made.add()
        replica.client.faults = [Fault("json-patch", CRD, error=refusal, times=None)]
        await made.until(lambda: replica.serving.pair is not None and made.bundles()[1] != b"")
        for _ in range(5):
            made.set_bundle(None)
            await made.until(lambda: made.bundles()[1] != b"")

    said = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["object"] for entry in said] == [f"{CRD.kind} {DEFINITION_KEY.name}"]
    assert len(replica.client.keys("json-patch", CRD)) == 1
    await made.end()


async def test_bundle_of_cert_manager_is_left_alone_and_that_is_said() -> None:
    made = World()
    live = made.api.get(WEBHOOK, DEFINITION_KEY)
    annotated = {**live["metadata"], "annotations": {INJECTED[0]: "system/cert"}}
    made.api.replace(WEBHOOK, {**live, "metadata": annotated})
    with capture_logs() as logs:
        replica = made.add()
        await made.until(lambda: made.bundles()[0] != b"")

    assert made.bundles()[1] == b""
    assert replica.client.keys("json-patch", WEBHOOK) == []
    assert [e["reason"] for e in logs if e["event"] == "Left the CA bundle alone"] == [
        "an annotation asks somebody else to keep it"
    ]
    await made.end()


async def test_replica_that_lags_does_not_undo_what_another_did() -> None:
    async with world(replicas=1) as made:
        await settled(made)
        client = FakeClient(made.api)
        blind = SecretVault(client, SECRET_KEY, lambda: None, metrics=NO_METRICS)
        target = Target(
            client,
            CRD,
            DEFINITION_KEY.name,
            ADDRESS,
            lambda: None,
            clock=asyncio.get_running_loop().time,
            metrics=NO_METRICS,
        )
        following = asyncio.create_task(target.run(), name="target")
        await made.until(target.is_known)

        assert blind.read() == {}
        assert await target.correct(b"stale", blind.is_current) is not None

        assert client.verbs("json-patch") == []
        following.cancel()


async def test_no_key_is_ever_logged() -> None:
    with capture_logs() as logs:
        async with world(replicas=2) as made:
            await settled(made)
            made.damage(ca_key=b"junk", tls_key=b"junk")
            await settled(made)

    assert logs
    assert "PRIVATE" not in repr(logs)
