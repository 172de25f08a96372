# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Children of a resource without external providers are the same, byte for byte.

Whatever the operator is told about external providers, and whichever way a resource says that it
has none.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

import orjson
import pytest

from api import GROUP, OLD_VERSION
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview
from controller.llamastack.render import init_containers
from controller.llamastack.render.inputs import DEFAULT_OPTIONS, Options
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.rendering import VLLM, resource

Json = dict[str, Any]

FLAGS: Final[dict[str, tuple[Any, ...]]] = {
    "merge_image": ("registry.example/operator:1", "registry.example/operator:2"),
    "image_volumes": (True,),
    "preflight": (False,),
    "install_memory": ("64Mi", "16Gi"),
    "install_size": ("1Mi", "64Gi"),
}
"""What the operator knows for external providers, and values besides the default."""

OTHERS: Final = {"fixed_uids", "network_policies", "operator_namespace", "routes", "role_bindings"}

SPECS: Final[dict[str, Json]] = {
    "image's own": {},
    "generated": {"providers": VLLM},
    "override": {"overrideConfig": {"configMapName": "mine"}},
    "everything": {
        "providers": VLLM,
        "networking": {"expose": {}, "tls": {"enabled": True, "secretName": "tls"}},
        "workload": {
            "storage": {"size": "10Gi"},
            "autoscaling": {"minReplicas": 1, "maxReplicas": 3},
            "overrides": {"env": [{"name": "PYTHONPATH", "value": "/mine"}]},
        },
    },
}

NONE: Final[dict[str, Json]] = {
    "empty": {},
    "empty-lists": {"inference": [], "vectorIo": []},
    "only-how-to-install": {"install": {"sizeLimit": "9Gi", "resources": {"limits": {"cpu": 1}}}},
}
"""Ways of having none."""


def children(obj: Json, options: Options = DEFAULT_OPTIONS) -> list[bytes]:
    """All children, as they are sent."""
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.problem is None, plan.problem
    return [orjson.dumps(child) for child in preview(obj, plan, options)]


def test_no_flag_is_forgotten() -> None:
    assert {field.name for field in fields(Options)} == FLAGS.keys() | OTHERS


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize(
    ("flag", "value"), [(flag, value) for flag, values in FLAGS.items() for value in values]
)
def test_flags_change_nothing(spec: Json, flag: str, value: Any) -> None:
    obj = resource(**spec)
    options = replace(DEFAULT_OPTIONS, **{flag: value})

    assert options != DEFAULT_OPTIONS
    assert children(obj, options) == children(obj)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("none", NONE.values(), ids=NONE)
def test_no_way_of_having_none_changes_anything(spec: Json, none: Json) -> None:
    everything = replace(DEFAULT_OPTIONS, **{flag: values[0] for flag, values in FLAGS.items()})

    assert children(resource(**spec, externalProviders=none), everything) == children(
        resource(**spec)
    )


@pytest.mark.parametrize("none", NONE.values(), ids=NONE)
def test_neither_in_the_other_version(none: Json) -> None:
    def old(**more: Json) -> Json:
        server = {"distribution": {"name": "starter"}, **more}
        return {
            **resource(),
            "apiVersion": f"{GROUP}/{OLD_VERSION}",
            "spec": {"server": server},
        }

    assert children(old(externalProviders=none)) == children(old())


def test_another_revision_of_the_merge_is_nothing_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = children(resource(providers=VLLM))
    monkeypatch.setattr(init_containers, "REVISION", "another")

    assert children(resource(providers=VLLM)) == before


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_nothing_of_them_is_in_any_child(spec: Json) -> None:
    text = b"".join(children(resource(**spec)))

    for trace in (
        b"initContainers", b"/opt/llama-stack", b"external-providers", b"config-merge",
        b"provider-tmp", b"merge-revision", b"template-hash", b"LLS_USER_PYTHONPATH",
    ):  # fmt: skip
        assert trace not in text
