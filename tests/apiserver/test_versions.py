# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One object in two versions, on a real API server that asks the operator."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api import ANNOTATIONS, OLD_VERSION, VERSION
from api.conditions import condition
from hack.cluster.errors import ClusterError
from hack.cluster.plane import ControlPlane
from tests.support.apicase import SECRET, resource
from tests.support.crdplane import APPLY, MERGE
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import Json, Webhooked, asked, collection, webhooked
from tests.support.world import eventually

pytestmark = pytest.mark.apiserver

JSON_PATCH = "application/json-patch+json"
HIDDEN = ANNOTATIONS[VERSION]
CONFLICT = 409


@pytest.fixture(scope="module")
def hooked(kwok_plane: ControlPlane) -> Iterator[Webhooked]:
    with webhooked(kwok_plane) as where, asked(where):
        yield where


class Two:
    """One resource, written and read in both versions."""

    def __init__(self, hooked: Webhooked, namespace: str, name: str = "demo") -> None:
        self._hooked = hooked
        self._namespace = namespace
        self._name = name

    def spec(self, version: str = VERSION) -> Any:
        return self._hooked.get(self._name, self._namespace, version)["spec"]

    def annotations(self, version: str) -> dict[str, str]:
        found = self._hooked.get(self._name, self._namespace, version)["metadata"]
        return dict(found.get("annotations") or {})

    def create(self, obj: Json) -> None:
        obj["metadata"]["name"] = self._name
        assert self._hooked.create(obj, self._namespace) == (201, "")

    def patch(self, version: str, body: Any, kind: str = MERGE) -> tuple[int, Json]:
        path = f"{collection(version, self._namespace)}/{self._name}"
        return self._hooked.ask("PATCH", path, body, content_type=kind)

    def replace(self, version: str, change: Any) -> tuple[int, Json]:
        path = f"{collection(version, self._namespace)}/{self._name}"
        while True:
            obj = self._hooked.get(self._name, self._namespace, version)
            change(obj)
            code, answer = self._hooked.ask("PUT", path, obj)
            if code != CONFLICT:  # the operator writes the status
                return code, answer

    def apply(self, obj: Json, manager: str = "a", *, force: bool = True) -> tuple[int, Json]:
        version = obj["apiVersion"].rpartition("/")[2]
        path = f"{collection(version, self._namespace)}/{self._name}"
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        obj["metadata"]["name"] = self._name
        return self._hooked.ask("PATCH", path + query, obj, content_type=APPLY)

    def kubectl(self, text: Json) -> str:
        """Client-side apply, with the annotation of kubectl."""
        text["metadata"]["name"] = self._name
        done = self._hooked.plane.kubectl(
            "apply", "-n", self._namespace, "-f", "-", stdin=json.dumps(text)
        )
        return str(done)


@pytest.fixture
def two(hooked: Webhooked, kwok_namespace: str) -> Two:
    return Two(hooked, kwok_namespace)


def test_an_object_is_stored_in_the_hub_version_and_read_in_both(two: Two) -> None:
    two.create(old_resource(containerSpec={"port": 9000}, storage={}))

    assert two.spec() == {
        "distribution": {"name": "starter"},
        "networking": {"port": 9000},
        "workload": {"replicas": 1, "storage": {}, "overrides": {"containerName": "llama-stack"}},
    }
    assert two.spec(OLD_VERSION) == {
        "replicas": 1,
        "server": {
            "distribution": {"name": "starter"},
            "containerSpec": {"name": "llama-stack", "port": 9000},
            "storage": {},
        },
    }
    assert two.annotations(VERSION) == {}


def test_what_v1alpha1_cannot_say_survives_every_kind_of_write_in_it(two: Two) -> None:
    rich = resource(
        networking={"expose": {"hostname": "a.example.com"}, "port": 9000},
        workload={"overrides": {"nodeSelector": {"a": "b"}}},
    )
    two.create(rich)
    writes: tuple[Callable[[], tuple[int, Json]], ...] = (
        lambda: two.patch(OLD_VERSION, {"spec": {"replicas": 2}}),
        lambda: two.patch(
            OLD_VERSION, [{"op": "replace", "path": "/spec/replicas", "value": 3}], JSON_PATCH
        ),
        lambda: two.replace(OLD_VERSION, lambda obj: obj["spec"].update(replicas=4)),
        lambda: two.apply({**old_resource(), "spec": {**old_resource()["spec"], "replicas": 5}}),
    )
    for replicas, write in enumerate(writes, start=2):
        code, answer = write()
        assert code == 200, answer
        assert two.spec()["networking"] == rich["spec"]["networking"]
        # A container has a name in v1alpha1, by the default of its schema.
        assert two.spec()["workload"] == {
            "replicas": replicas,
            "overrides": {"nodeSelector": {"a": "b"}, "containerName": "llama-stack"},
        }


def test_a_field_of_v1alpha1_beats_what_was_hidden_behind_it(two: Two) -> None:
    two.create(resource(networking={"expose": {"hostname": "a.example.com"}}))

    code, answer = two.patch(OLD_VERSION, {"spec": {"network": {"exposeRoute": False}}})

    assert code == 200, answer
    assert two.spec()["networking"] == {"expose": False}
    assert HIDDEN not in two.annotations(OLD_VERSION)


def test_managers_in_both_versions_own_their_fields(two: Two) -> None:
    two.apply(old_resource(containerSpec={"port": 9000}), "old")
    two.apply(resource(workload={"overrides": {"labels": {"a": "b"}}}), "new")

    code, answer = two.apply(resource(networking={"port": 1}), "new", force=False)
    assert (code, "conflict with" in answer["message"]) == (409, True)

    # What a manager leaves out goes, whatever version the other one writes.
    assert two.apply(resource(), "new")[0] == 200
    assert "labels" not in two.spec().get("workload", {}).get("overrides", {})
    assert two.apply(old_resource(), "old")[0] == 200
    assert "port" not in two.spec().get("networking", {})


def test_client_side_apply_goes_on_after_the_other_version_was_edited(two: Two) -> None:
    first = old_resource(containerSpec={"port": 9000}, workers=2)
    two.kubectl(first)
    two.patch(VERSION, {"spec": {"workload": {"overrides": {"labels": {"a": "b"}}}}})

    second = old_resource(containerSpec={"port": 9001})
    two.kubectl(second)

    spec = two.spec()
    assert spec["networking"] == {"port": 9001}
    assert spec["workload"]["overrides"]["labels"] == {"a": "b"}
    assert "workers" not in spec["workload"]


def test_a_replacement_without_the_annotation_is_the_whole_object(two: Two) -> None:
    two.create(resource(networking={"expose": {"hostname": "a.example.com"}, "port": 9000}))

    def strip(obj: Json) -> None:
        del obj["metadata"]["annotations"]

    assert two.replace(OLD_VERSION, strip)[0] == 200
    assert two.spec()["networking"] == {"port": 9000, "expose": True}


def test_a_forged_annotation_is_refused_where_it_is(two: Two) -> None:
    forged = [{"path": ["spec", "workload", "overrides", "nodeSelector"], "value": 5}]
    obj = old_resource()
    obj["metadata"]["annotations"] = {HIDDEN: json.dumps(forged)}

    code, answer = two.apply(obj)

    assert code == 422, answer
    assert (
        f"metadata.annotations[{HIDDEN}]: spec.workload.overrides.nodeSelector"
        in (answer["message"])
    )


def test_hidden_fields_do_not_go_to_the_successor_of_their_provider(
    two: Two, hooked: Webhooked, kwok_namespace: str
) -> None:
    _secret(hooked, kwok_namespace)
    provider = {"provider": "remote::mine", "secretRefs": {"password": SECRET}}
    two.create(resource(providers={"inference": provider}))

    code, answer = two.patch(
        OLD_VERSION, {"spec": {"server": {"providers": {"inference": {"provider": "remote::x"}}}}}
    )

    assert code == 200, answer
    assert two.spec()["providers"] == {"inference": {"provider": "remote::x"}}


def test_conditions_name_the_fields_of_whoever_wrote_last(
    two: Two, hooked: Webhooked, kwok_namespace: str
) -> None:
    _secret(hooked, kwok_namespace)
    provider = {"provider": "vllm", "endpoint": "http://v:1/v1", "apiKey": SECRET}
    two.create(old_resource(providers={"inference": provider}))

    def resolved() -> Json:
        return dict(condition(hooked.get("demo", kwok_namespace, VERSION), "SecretsResolved"))

    eventually("the Secret is found", lambda: resolved().get("status") == "True")
    hooked.plane.client.delete(f"/api/v1/namespaces/{kwok_namespace}/secrets/creds")
    eventually("the Secret is missed", lambda: resolved().get("status") == "False")
    assert resolved()["message"] == (
        f'Secret "creds" not found in namespace "{kwok_namespace}". Referenced by: '
        "spec.server.providers.inference.apiKey.secretKeyRef"
    )


def _secret(hooked: Webhooked, namespace: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "creds"},
        "stringData": {"token": "t"},
    }
    hooked.plane.client.create(f"/api/v1/namespaces/{namespace}/secrets", secret)


def test_setting_that_v1alpha1_cannot_say_is_not_missed_there(
    hooked: Webhooked, two: Two, kwok_namespace: str
) -> None:
    _secret(hooked, kwok_namespace)
    region = {"provider": "bedrock", "secretRefs": {"region": SECRET}}
    two.create(resource(providers={"inference": region}))

    code, answered = two.patch(OLD_VERSION, {"spec": {"replicas": 2}})

    assert code == 200, answered
    assert two.spec()["providers"]["inference"] == region


def test_object_without_room_for_an_annotation_is_in_nobodys_way(
    hooked: Webhooked, two: Two, kwok_namespace: str
) -> None:
    """It has as many annotations as the API server takes, and a field that v1alpha1 has not."""
    obj = resource(networking={"expose": {"hostname": "a.example"}})
    obj["metadata"] |= {"annotations": {"full": "x" * ((256 << 10) - 4)}}
    two.create(obj)

    listed = hooked.plane.client.get(collection(OLD_VERSION, kwok_namespace))["items"]
    code, answered = two.patch(OLD_VERSION, {"spec": {"replicas": 2}})
    written, _ = two.patch(VERSION, {"spec": {"workload": {"replicas": 2}}})
    hooked.plane.client.delete(f"{collection(VERSION, kwok_namespace)}/demo")

    assert listed[0]["metadata"]["labels"] == {HIDDEN: "too-large"}
    assert code >= 400
    assert "write it in the other version" in answered["message"]
    assert written == 200


@pytest.mark.parametrize("version", [OLD_VERSION, VERSION])
def test_explain_knows_the_fields_of_a_version(hooked: Webhooked, version: str) -> None:
    path = "llsd.spec.server.providers" if version == OLD_VERSION else "llsd.spec.providers"
    command = ("explain", path, f"--api-version=llamastack.io/{version}")

    def explained() -> str:  # the OpenAPI document is younger than the resource
        with contextlib.suppress(ClusterError):
            return hooked.plane.kubectl(*command)
        return ""

    assert "One object or a list of objects" in eventually("its explanation", explained)


def test_both_versions_are_listed_with_their_own_columns(hooked: Webhooked, two: Two) -> None:
    two.create(old_resource())
    lists = {
        version: str(
            hooked.plane.kubectl("get", f"llamastackdistributions.{version}.llamastack.io", "-A")
        )
        for version in (OLD_VERSION, VERSION)
    }
    assert "OPERATOR VERSION" in lists[OLD_VERSION]
    assert "PROVIDERS" in lists[VERSION]
