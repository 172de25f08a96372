# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources of v1alpha1, with the webhooks in the cluster and a real server."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from hack.cluster.errors import ClusterError
from hack.cluster.node.pods import Namespace, wait_for
from tests.support.samples import BY_NAME
from tests.support.v1alpha1 import old_resource
from tests.support.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_OLD = "llamastackdistributions.v1alpha1.llamastack.io"
_NEW = "llamastackdistributions.v1alpha2.llamastack.io"
_PORT = 8321
_SAMPLE = BY_NAME["minimal-inference"]
_SMALL = {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}
"""Two at a time have to fit on a machine with two processors."""


def _kubectl(world: World, *words: str, stdin: str | None = None) -> str:
    return world.plane.kubectl("-n", world.namespace, *words, stdin=stdin)


def _apply(world: World, *documents: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    _kubectl(world, "apply", "--server-side", "-f", "-", stdin=json.dumps(listed))


def _get(world: World, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_kubectl(world, "get", kind, name, "-o", "json"))
    return found


def _models(restricted: Namespace) -> set[str]:
    listed = restricted.ask_json(f"{_SAMPLE.name}-service", _PORT, "/v1/models")["data"]
    return {model["id"] for model in listed}


def test_a_sample_becomes_ready_is_read_in_both_versions_and_rolls_when_edited(
    world: World, restricted: Namespace
) -> None:
    name, resource = _SAMPLE.name, copy.deepcopy(_SAMPLE.resource)
    written = resource["spec"]["server"]
    written["containerSpec"] = _SMALL
    _apply(world, *_SAMPLE.documents[:-1], resource)

    world.wait_ready(name, deadline_s=180)
    old, new = _get(world, _OLD, name), _get(world, _NEW, name)
    shown = [_kubectl(world, "get", kind, name).splitlines() for kind in (_OLD, _NEW)]

    assert _SAMPLE.announced_models <= wait_for("models", lambda: _models(restricted))
    for key in ("providers", "resources"):
        assert old["spec"]["server"][key] == written[key]
        assert new["spec"][key] == _SAMPLE.converted["spec"][key]
    assert new["spec"]["workload"]["resources"] == _SMALL["resources"]
    assert (old["status"]["phase"], new["status"]["phase"]) == ("Ready", "Ready")
    assert [(len(lines), "Ready" in lines[1]) for lines in shown] == [(2, True)] * 2
    edit = {"spec": {"server": {"resources": {"models": ["one", "two"]}}}}
    _kubectl(world, "patch", _OLD, name, "--type=merge", f"--patch={json.dumps(edit)}")
    world.wait_ready(name, deadline_s=180)
    assert {"vllm/one", "vllm/two"} <= wait_for("models", lambda: _models(restricted))


def test_a_mistake_is_refused_with_the_path_that_its_author_wrote(world: World) -> None:
    resource = copy.deepcopy(_SAMPLE.resource)  # without its Secret

    with pytest.raises(ClusterError) as missing:
        _apply(world, resource)
    with pytest.raises(ClusterError) as unknown:
        _apply(world, old_resource(distribution={"name": "not-one-of-ours"}))

    path = "spec.server.providers.inference.apiKey.secretKeyRef"
    assert f'{path}: Secret "vllm-credentials" not found' in str(missing.value)
    assert "spec.server.distribution.name: Unknown distribution" in str(unknown.value)
    assert world.all("llsd") == []
