# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Routes in the place of Ingresses, where the cluster has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane
from tests.support import openshift
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def operator(kubeconfig: Path, kwok_plane: ControlPlane) -> Iterator[OperatorProcess]:
    """One that started where there are Routes."""
    with openshift.served(kwok_plane, openshift.ROUTES), OperatorProcess(kubeconfig) as process:
        process.wait_ready()
        yield process
        assert process.terminate() == 0


@pytest.fixture
def world(
    operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str
) -> Iterator[World]:
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    made.secret("cert")
    yield made
    for cr in made.all("llsd"):  # while there are still Routes to be collected
        made.delete("llsd", cr["metadata"]["name"])


def expose(world: World, value: Any) -> None:
    world.patch("llsd", "demo", {"spec": {"networking": {"expose": value}}})


def route_url(world: World) -> Any:
    return world.must_get("llsd", "demo")["status"].get("routeURL")


def spec(world: World, name: str = "demo") -> dict[str, Any]:
    found: dict[str, Any] = world.must_get("route", f"{name}-route")["spec"]
    return found


def admit(world: World, host: str, status: str = "True") -> None:
    """What a router does."""
    condition = {"type": "Admitted", "status": status}
    body = {"status": {"ingress": [{"host": host, "conditions": [condition]}]}}
    path = world.path("route", "demo-route") + "/status"
    world.client.raw("PATCH", path, body, content_type="application/merge-patch+json")


FULL = {"hostname": "a.example", "annotations": {"x.example/a": "1"}, "tlsSecretName": "cert"}


def test_route_comes_changes_and_goes_with_the_spec(world: World) -> None:
    world.resource()
    world.wait_ready()
    assert world.get("route", "demo-route") is None

    expose(world, FULL)
    eventually("the address", lambda: route_url(world) == "https://a.example")
    assert world.get("ingress", "demo-ingress") is None
    assert spec(world)["tls"]["externalCertificate"] == {"name": "cert"}

    expose(world, {"hostname": "b.example", "annotations": None, "tlsSecretName": None})
    eventually("the new address", lambda: route_url(world) == "http://b.example")
    world.resource("fresh", networking={"expose": {"hostname": "b.example"}})
    world.wait_ready("fresh")
    fresh = spec(world, "fresh")
    fresh["to"]["name"] = "demo-service"
    assert spec(world) == fresh
    assert "x.example/a" not in world.must_get("route", "demo-route")["metadata"]["annotations"]

    expose(world, {"ingressClassName": "nginx"})
    eventually("an Ingress", lambda: world.get("ingress", "demo-ingress"))
    eventually("no Route", lambda: world.get("route", "demo-route") is None)
    expose(world, {"ingressClassName": None})
    eventually("a Route again", lambda: world.get("route", "demo-route"))
    eventually("no Ingress", lambda: world.get("ingress", "demo-ingress") is None)

    expose(world, None)
    eventually("nothing", lambda: world.get("route", "demo-route") is None)
    eventually("no address", lambda: route_url(world) is None)


def test_address_is_that_of_the_router_that_admits_the_route(world: World) -> None:
    world.resource(networking={"expose": True})
    world.wait_ready()
    assert route_url(world) is None

    admit(world, "no.example", status="False")
    admit(world, "demo-prod.apps.example")
    eventually("the address", lambda: route_url(world) == "http://demo-prod.apps.example")


def test_what_excludes_ours_goes_in_one_write(world: World) -> None:
    """OpenShift refuses a certificate, and a path, in a Route that hands connections through."""
    world.secret("pair", **{"tls.crt": "x", "tls.key": "y"})
    world.resource(networking={"expose": True, "tls": {"enabled": True, "secretName": "pair"}})
    eventually("the Route", lambda: world.get("route", "demo-route"))
    before = spec(world)
    assert before["tls"]["termination"] == "passthrough"
    mark = world.plane.audit.mark()

    theirs = {"termination": "edge", "certificate": "theirs", "key": "theirs"}
    world.patch("route", "demo-route", {"spec": {"path": "/x", "tls": theirs}})

    eventually("it is as it was", lambda: spec(world) == before)
    writes = [r for r in world.writes_since(mark) if r.resource == "routes" and r.code == 200]
    assert [r.verb for r in writes] == ["patch"]


def test_what_others_wrote_into_the_route_survives(world: World) -> None:
    world.resource(networking={"expose": True})
    world.wait_ready()
    tls = {"termination": "edge", "certificate": "theirs"}
    world.patch(
        "route",
        "demo-route",
        {"metadata": {"annotations": {"their.example/x": "1"}}, "spec": {"tls": tls}},
    )

    expose(world, {"hostname": "a.example", "annotations": {"x.example/a": "1"}})
    eventually("the address", lambda: route_url(world) == "https://a.example")

    live = world.must_get("route", "demo-route")
    assert live["metadata"]["annotations"]["their.example/x"] == "1"
    assert live["metadata"]["annotations"]["x.example/a"] == "1"
    assert tls.items() <= live["spec"]["tls"].items()
