# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every edit of ``spec.networking`` on a live resource, with the operator's own rights."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver


def expose(world: World, value: Any) -> None:
    world.patch("llsd", "demo", {"spec": {"networking": {"expose": value}}})


def route_url(world: World) -> Any:
    return world.must_get("llsd", "demo")["status"].get("routeURL")


def spec(world: World, name: str = "demo") -> dict[str, Any]:
    found: dict[str, Any] = world.must_get("ingress", f"{name}-ingress")["spec"]
    return found


FULL = {"hostname": "a.example", "ingressClassName": "nginx", "annotations": {"x.example/a": "1"}}


def test_ingress_comes_changes_and_goes_with_the_spec(world: World) -> None:
    world.resource()
    world.wait_ready()
    assert world.get("ingress", "demo-ingress") is None

    expose(world, FULL)
    eventually("the address", lambda: route_url(world) == "http://a.example")
    assert spec(world)["ingressClassName"] == "nginx"

    world.patch("llsd", "demo", {"spec": {"networking": {"port": 9000}}})
    expose(world, {"hostname": "b.example", "ingressClassName": None, "annotations": None})
    eventually("the new address", lambda: route_url(world) == "http://b.example")
    world.wait_ready()
    world.resource("fresh", networking={"port": 9000, "expose": {"hostname": "b.example"}})
    world.wait_ready("fresh")
    fresh = spec(world, "fresh")
    backend = fresh["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "fresh-service", "port": {"number": 9000}}
    backend["name"] = "demo-service"
    assert spec(world) == fresh
    annotations = world.must_get("ingress", "demo-ingress")["metadata"]["annotations"]
    assert "x.example/a" not in annotations

    expose(world, False)
    eventually("no Ingress", lambda: world.get("ingress", "demo-ingress") is None)
    eventually("no address", lambda: route_url(world) is None)


def test_what_others_wrote_into_the_ingress_survives(world: World) -> None:
    world.resource(networking={"expose": True})
    world.wait_ready()
    theirs = {"ingressClassName": "theirs", "tls": [{"secretName": "theirs"}]}
    world.patch(
        "ingress",
        "demo-ingress",
        {"metadata": {"annotations": {"their.example/x": "1"}}, "spec": theirs},
    )

    expose(world, FULL | {"ingressClassName": None})
    eventually("the address", lambda: route_url(world) == "https://a.example")

    live = world.must_get("ingress", "demo-ingress")
    assert live["metadata"]["annotations"]["their.example/x"] == "1"
    assert live["metadata"]["annotations"]["x.example/a"] == "1"
    assert theirs.items() <= live["spec"].items()


def test_address_of_the_load_balancer_is_told_when_no_host_is_named(world: World) -> None:
    world.resource(networking={"expose": {}})
    world.wait_ready()
    assert route_url(world) is None
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.9"}]}}
    path = world.path("ingress", "demo-ingress") + "/status"
    world.client.raw("PATCH", path, {"status": status}, content_type="application/merge-patch+json")

    eventually("the address", lambda: route_url(world) == "http://10.0.0.9")
