# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a server is told of its bundle, and what is shown of it without a cluster."""

from __future__ import annotations

from typing import Any

from configs.distributions import Distributions
from controller.llamastack.objects.kinds import CA_BUNDLE_HASH
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview
from controller.llamastack.render import deployment
from controller.llamastack.render.inputs import NO_MOUNTS, Inputs

Json = dict[str, Any]

FOLDER = "/etc/ssl/certs/ca-bundle"
FILE = f"{FOLDER}/ca-bundle.crt"
VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")


def resource(**spec: Any) -> Json:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "prod", "uid": "u", "generation": 1},
        "spec": {"distribution": {"name": "starter"}, **spec},
    }


def template(ca_bundle: str, **overrides: Any) -> Json:
    obj = resource(workload={"overrides": overrides})
    plan = make_plan(obj, Distributions.load())
    assert plan.cr is not None
    assert plan.generated is not None
    inputs = Inputs(owner=obj, spec=plan.cr.spec, generated=plan.generated, ca_bundle=ca_bundle)
    made = deployment.render(inputs, NO_MOUNTS).manifest
    found: Json = made["spec"]["template"]
    return found


def test_bundle_is_mounted_read_only_where_the_go_operator_mounts_it() -> None:
    made = template("digest")

    assert made["metadata"]["annotations"][CA_BUNDLE_HASH] == "digest"
    items = [{"key": "ca-bundle.crt", "path": "ca-bundle.crt"}]
    assert {
        "name": "ca-bundle",
        "configMap": {"name": "demo-ca-bundle", "items": items},
    } in made["spec"]["volumes"]
    mount = {"name": "ca-bundle", "mountPath": FOLDER, "readOnly": True}
    assert mount in made["spec"]["containers"][0]["volumeMounts"]


def test_variables_tell_of_it_and_the_users_own_win() -> None:
    mine = [{"name": "SSL_CERT_FILE", "value": "/mine"}]

    env = template("digest", env=mine)["spec"]["containers"][0]["env"]

    assert [(v["name"], v["value"]) for v in env if v["name"] in VARIABLES] == [
        ("SSL_CERT_FILE", "/mine"),
        ("REQUESTS_CA_BUNDLE", FILE),
        ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", FILE),
    ]


def test_without_a_bundle_there_is_no_trace_of_one() -> None:
    made = repr(template(""))

    assert "ca-bundle" not in made
    assert not any(name in made for name in VARIABLES)


def test_volume_of_the_user_keeps_its_name() -> None:
    made = template("digest", volumes=[{"name": "ca-bundle", "emptyDir": {}}])["spec"]

    names = [volume["name"] for volume in made["volumes"]]
    assert len(set(names)) == len(names)
    assert {"name": "llama-stack-ca-bundle", "mountPath": FOLDER, "readOnly": True} in (
        made["containers"][0]["volumeMounts"]
    )


def shown(**bundle: Any) -> dict[str, Json]:
    obj = resource(networking={"tls": {"caBundle": {"configMapName": "company", **bundle}}})
    plan = make_plan(obj, Distributions.load())
    manifests = preview(obj, plan)
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in manifests}


def test_preview_says_what_will_be_in_the_bundle() -> None:
    made = shown(configMapKeys=["b", "a"])

    assert made["ConfigMap/demo-ca-bundle"]["data"]["ca-bundle.crt"] == (
        '# Here the operator puts the certificates of ConfigMap "prod/company", keys: a, b; and '
        "the public ones.\n"
    )


def test_preview_of_another_source_has_other_pods() -> None:
    one, other = shown(), shown(configMapName="other")

    assert one["Deployment/demo"]["spec"] != other["Deployment/demo"]["spec"]
