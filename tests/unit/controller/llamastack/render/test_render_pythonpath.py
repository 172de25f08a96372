# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Packages of external providers come first on the path of the server, and the user's after."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.installing import TWO, pod_of

OURS = "/opt/llama-stack/external-providers/python-packages"
FIELD = {"valueFrom": {"configMapKeyRef": {"name": "mine", "key": "path"}}}

Json = dict[str, Any]


def env(users: list[Json], external: Json | None = TWO) -> list[Json]:
    """Of the server; the same as of the preflight."""
    pod = pod_of(external, workload={"overrides": {"env": users}})
    found: list[Json] = pod["containers"][0]["env"]
    names = [entry["name"] for entry in found]
    assert len(names) == len(set(names)), "a name twice is a 500 of the API server"
    for container in pod.get("initContainers", ()):
        assert container["name"] != "preflight" or container["env"] == found
    return found


def value(users: list[Json], external: Json | None = TWO) -> str | None:
    """The variable, as the kubelet takes it."""
    entries = [e for e in env(users, external) if e["name"] == "PYTHONPATH"]
    return entries[0]["value"] if entries else None


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ([], OURS),
        ([{"name": "PYTHONPATH", "value": ""}], OURS),
        ([{"name": "PYTHONPATH"}], OURS),
        ([{"name": "PYTHONPATH", "value": "/a:/b"}], f"{OURS}:/a:/b"),
        ([{"name": "PYTHONPATH", "value": "$(A)/b"}], f"{OURS}:$(A)/b"),
        ([{"name": "PYTHONPATH", **FIELD}], f"{OURS}:$(LLS_USER_PYTHONPATH)"),
    ],
)
def test_path_begins_with_the_packages(users: list[Json], expected: str) -> None:
    assert value(users) == expected


def test_value_from_elsewhere_is_known_before_it_is_used() -> None:
    found = env([{"name": "PYTHONPATH", **FIELD}, {"name": "LATER", "value": "x"}])
    names = [entry["name"] for entry in found]

    assert {"name": "LLS_USER_PYTHONPATH", **FIELD} in found
    assert names.index("LLS_USER_PYTHONPATH") < names.index("PYTHONPATH")


def test_variables_that_refer_to_each_other_stay_in_the_users_order() -> None:
    users = [
        {"name": "BASE", "value": "/base"},
        {"name": "PYTHONPATH", "value": "$(BASE)/lib"},
        {"name": "TOOL", "value": "$(PYTHONPATH)/tool"},
    ]

    names = [entry["name"] for entry in env(users)]

    assert names[-3:] == ["BASE", "PYTHONPATH", "TOOL"]


@pytest.mark.parametrize("external", [None, {}])
def test_path_is_the_users_alone_without_external_providers(external: Json | None) -> None:
    assert value([], external) is None
    assert value([{"name": "PYTHONPATH", "value": "/a"}], external) == "/a"
