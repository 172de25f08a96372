# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Routes and RoleBindings, as functions of the resource and of what the cluster has."""

from __future__ import annotations

from typing import Any

import pytest

from configs.distributions import Distributions
from controller.llamastack.children import table
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.render import ingress, role_binding, route
from controller.llamastack.render.inputs import Inputs, Options

ROUTES = Options(routes=True)
SERVER_TLS = {"tls": {"enabled": True, "secretName": "server"}}
REDIRECT = {"insecureEdgeTerminationPolicy": "Redirect"}


def inputs(options: Options = ROUTES, account: str = "", **networking: Any) -> Inputs:
    overrides = {"serviceAccountName": account} if account else {}
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "prod", "uid": "u", "generation": 1},
        "spec": {
            "distribution": {"name": "starter"},
            "networking": networking,
            "workload": {"overrides": overrides},
        },
    }
    plan = make_plan(obj, Distributions.load())
    assert plan.cr is not None
    assert plan.generated is not None, plan.problem
    return Inputs(obj, plan.cr.spec, plan.generated, options=options)


def kinds(made: Inputs) -> set[str]:
    return {
        child.resource.kind
        for child in (*table.before_deployment(made), *table.after_deployment(made))
    }


@pytest.mark.parametrize(
    ("options", "networking", "expected"),
    [
        (ROUTES, {"expose": True}, "Route"),
        (ROUTES, {"expose": {"ingressClassName": "nginx"}}, "Ingress"),
        (Options(), {"expose": True}, "Ingress"),
        (ROUTES, {"expose": False}, ""),
        (ROUTES, {}, ""),
    ],
)
def test_exposed_server_has_one_way_in(
    options: Options, networking: dict[str, Any], expected: str
) -> None:
    made = inputs(options, **networking)

    assert kinds(made) & {"Route", "Ingress"} == ({expected} if expected else set())
    gone = {kind.resource.kind for kind in table.unwanted(made)} & {"Route", "Ingress"}
    assert gone == ({"Route", "Ingress"} if options.routes else {"Ingress"}) - {expected}


def test_bare_route_says_what_the_api_server_would_default() -> None:
    made = route.render(inputs(expose=True))

    assert made is not None
    assert made.manifest["metadata"]["name"] == "demo-route"
    assert made.manifest["spec"] == {
        "to": {"kind": "Service", "name": "demo-service", "weight": 100},
        "port": {"targetPort": "http"},
        "wildcardPolicy": "None",
    }


@pytest.mark.parametrize(
    ("networking", "tls"),
    [
        (
            {"expose": {"tlsSecretName": "cert"}},
            {"termination": "edge", "externalCertificate": {"name": "cert"}, **REDIRECT},
        ),
        (
            {"expose": {"tlsSecretName": "cert"}, **SERVER_TLS},
            {"termination": "reencrypt", "externalCertificate": {"name": "cert"}, **REDIRECT},
        ),
        ({"expose": True, **SERVER_TLS}, {"termination": "passthrough", **REDIRECT}),
    ],
)
def test_route_speaks_tls_where_clients_or_the_server_do(
    networking: dict[str, Any], tls: dict[str, Any]
) -> None:
    made = route.render(inputs(**networking))

    assert made is not None
    assert made.manifest["spec"]["tls"] == tls
    assert route.url(inputs(**networking), {"spec": {"host": "h"}}) == "https://h"


def live(*ingresses: tuple[str, str], host: str = "") -> dict[str, Any]:
    return {
        "spec": {"host": host} if host else {},
        "status": {
            "ingress": [
                {"host": name, "conditions": [{"type": "Admitted", "status": status}]}
                for name, status in ingresses
            ]
        },
    }


@pytest.mark.parametrize(
    ("networking", "found", "url"),
    [
        ({"expose": True}, None, ""),
        ({"expose": True}, live(), ""),
        ({"expose": True}, live(host="made-up"), "http://made-up"),
        ({"expose": {"hostname": "mine"}}, None, "http://mine"),
        ({"expose": {"hostname": "mine"}}, live(("no", "False"), ("a", "True")), "http://a"),
        ({"expose": False}, live(("a", "True")), ""),
        ({"expose": {"ingressClassName": "nginx"}}, live(("a", "True")), ""),
    ],
)
def test_address_is_the_admitted_host_or_the_named_one(
    networking: dict[str, Any], found: dict[str, Any] | None, url: str
) -> None:
    assert route.url(inputs(**networking), found) == url


def test_ingress_has_no_address_where_a_route_is_used() -> None:
    assert ingress.url(inputs(expose={"hostname": "mine"}), None) == ""


@pytest.mark.parametrize(
    ("options", "account", "bound"),
    [
        (Options(role_bindings=True), "", True),
        (Options(role_bindings=True), "another", False),
        (Options(role_bindings=True, fixed_uids=False), "", False),
        (Options(), "", False),
    ],
)
def test_account_is_bound_only_where_pods_need_it(
    options: Options, account: str, *, bound: bool
) -> None:
    made = inputs(options, account)

    assert ("RoleBinding" in kinds(made)) is bound
    gone = {kind.resource.kind for kind in table.unwanted(made)}
    assert ("RoleBinding" in gone) is (options.role_bindings and not bound)


def test_binding_names_the_resources_own_account() -> None:
    made = role_binding.render(inputs(Options(role_bindings=True)))

    assert made is not None
    assert made.manifest["metadata"]["name"] == "demo-rb"
    assert made.manifest["subjects"] == [
        {"kind": "ServiceAccount", "name": "demo-sa", "namespace": "prod"}
    ]
    assert made.manifest["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:openshift:scc:anyuid",
    }
