# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The webhooks in the cluster: replicas end, all of them are away, and everything is taken away.

The last tests of the folder, because they take away what the others need; each of them brings it
back, as an administrator would, and with nothing but ``deploy/default``.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from api import VERSIONS, webhook
from hack.cluster.errors import ApiFailure
from hack.cluster.node.pods import Namespace, wait_for
from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.certificates.issuing import renewed
from llamastack_operator.webhooks.certificates.state import assess
from tests.support.incluster import NAME, InCluster
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import collection
from tests.support.world import World, eventually, manifest
from tests.support.writers import Writers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_CERTIFICATE = f"/api/v1/namespaces/{webhook.NAMESPACE}/secrets/{names.SECRET}"
_AGES_AGO = timedelta(days=20 * 365)
_UP_S = 60.0
_CREATED, _INVALID, _NOT_ASKED = 201, 422, 500


def _status(world: World, obj: dict[str, Any]) -> tuple[int, str]:
    """What a dry run of a creation is answered: status, and message of an error."""
    version = obj["apiVersion"].rpartition("/")[2]
    path = f"{collection(version, world.namespace)}?dryRun=All"
    try:
        world.client.create(path, obj)
    except ApiFailure as error:
        return error.code, str(error)
    return _CREATED, ""


def _wait_until_both_versions_are_written(world: World) -> None:
    """Without help: whoever tries again succeeds, in either version."""
    new = {**manifest("try"), "spec": {"distribution": {"name": "starter"}}}
    for obj in (old_resource("try"), new):
        eventually(f"a write of {obj['apiVersion']}", partial(_is_accepted, world, obj), _UP_S)


def _is_accepted(world: World, obj: dict[str, Any]) -> bool:
    return _status(world, obj)[0] == _CREATED


def _without_pods(name: str) -> dict[str, Any]:
    return manifest(name, workload={"replicas": 0})


def test_no_write_fails_for_good_while_one_replica_is_killed_and_the_other_drained(
    operator_in_cluster: InCluster, restricted: Namespace
) -> None:
    running = operator_in_cluster
    leading = running.leading_pod()
    (standby,) = {pod["metadata"]["name"] for pod in running.pods()} - {leading}
    with Writers(restricted.client, restricted.name) as writers:
        wait_for("writes", lambda: writers.count() > 100)
        running.kill(leading)
        wait_for("the restart", lambda: _restarts(running, leading) > 0)
        running.system.wait_for_deployment(NAME)
        before = writers.count()
        running.evict(standby)
        wait_for(
            "its end",
            lambda: not running.system.client.exists(f"{running.system.core}/pods/{standby}"),
        )
        running.system.wait_for_deployment(NAME)
        after = writers.count()
        wait_for("writes at the end", lambda: writers.count() > after + 100)

    tally = writers.tally
    print(f"{tally.written} writes, {len(tally.failures)} tried again, {tally.longest_s:.1f} s")
    assert tally.given_up == []
    assert after > before
    assert tally.longest_s < 15.0, tally.failures[-3:]


def _restarts(running: InCluster, pod: str) -> int:
    found = running.system.client.get(f"{running.system.core}/pods/{pod}")
    return int(found["status"]["containerStatuses"][0]["restartCount"])


def test_without_any_replica_nonsense_is_refused_and_what_is_there_can_be_taken_away(
    operator_in_cluster: InCluster, world: World
) -> None:
    world.secret()
    for name in ("kept", "dropped"):
        world.create("llsd", _without_pods(name))
        wait_for("its Deployment", partial(world.get, "deployment", name))
    operator_in_cluster.scale(0)
    try:
        nonsense = _status(world, manifest("bad", providers={"inference": 4}))
        typed = _status(world, manifest("bad", workload={"replicas": -1}))
        good = _status(world, manifest("good"))
        old = _status(world, old_resource("good"))
        world.plane.kubectl("label", "-n", world.namespace, "llsd", "kept", "team=a")
        world.plane.kubectl("delete", "-n", world.namespace, "llsd", "dropped", "--wait")
        _store_expired_certificate(world)
    finally:
        operator_in_cluster.scale(2)

    assert nonsense[0] == _INVALID
    assert "spec.providers.inference: must be an object or a list of objects" in nonsense[1]
    assert (typed[0], "spec.workload.replicas" in typed[1]) == (_INVALID, True)
    assert [good[0], old[0]] == [_NOT_ASKED] * 2
    assert "failed calling webhook" in good[1]
    _wait_until_both_versions_are_written(world)
    wait_for("the Deployment's end", lambda: not world.get("deployment", "dropped"), seconds=90)
    for version in VERSIONS:
        path = f"{collection(version, world.namespace)}/kept"
        assert world.client.get(path)["metadata"]["labels"] == {"team": "a"}


def _store_expired_certificate(world: World) -> None:
    then = datetime.now(UTC) - _AGES_AGO
    found = assess({}, names.service_hosts(webhook.NAMESPACE), then)
    data = {k: base64.b64encode(v).decode() for k, v in renewed({}, found, then).items()}
    world.client.request(
        "PATCH", _CERTIFICATE, {"data": data}, content_type="application/merge-patch+json"
    )


def test_deleted_certificate_is_made_again_without_a_restart(
    operator_in_cluster: InCluster, world: World
) -> None:
    pods = operator_in_cluster.containers()
    before = world.client.get(_CERTIFICATE)["metadata"]["uid"]

    world.client.delete(_CERTIFICATE)

    wait_for("another one", lambda: world.client.get(_CERTIFICATE)["metadata"]["uid"] != before)
    _wait_until_both_versions_are_written(world)
    assert operator_in_cluster.containers() == pods


def test_operator_comes_back_after_its_namespace_was_deleted_and_servers_do_not_notice(
    operator_in_cluster: InCluster, world: World, restricted: Namespace
) -> None:
    world.secret()
    world.resource("demo", workload={"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}})
    world.wait_ready(deadline_s=180)
    (before,) = restricted.pods("app.kubernetes.io/instance=demo")

    operator_in_cluster.delete_namespace()
    try:
        refused = _status(world, old_resource("good"))
        served = restricted.ask_json("demo-service", 8321, "/v1/models")["data"]
    finally:
        operator_in_cluster.install()

    assert refused[0] == _NOT_ASKED
    assert served
    _wait_until_both_versions_are_written(world)
    world.patch(
        "llsd", "demo", {"spec": {"workload": {"podDisruptionBudget": {"maxUnavailable": 1}}}}
    )
    wait_for("the change", lambda: world.get("budget", "demo-pdb") or world.all("budget"))
    world.wait_ready(deadline_s=60)
    (after,) = restricted.pods("app.kubernetes.io/instance=demo")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
