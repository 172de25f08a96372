# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which cluster, and one clear line when that cannot be told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamastack_operator.kube.config import KubeConfigError, Source, connect


def test_flag_beats_environment_beats_cluster_beats_home() -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOME": "/h"}

    assert Source.find("/f", "c", {"KUBECONFIG": "/e"}) == Source("/f", "c")
    assert Source.find("", "", {**pod, "KUBECONFIG": "/e"}) == Source("/e")
    assert Source.find("", "", pod) == Source("")
    assert Source.find("", "", {"HOME": "/h"}) == Source("/h/.kube/config")


def kubeconfig(path: Path, **user: str) -> Path:
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/base/"}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [
                    {"name": "x", "context": {"cluster": "c", "user": "u"}},
                    {"name": "y", "context": {"cluster": "c"}},
                ],
                "current-context": "x",
            }
        )
    )
    return path


async def test_token_of_the_current_context_is_sent(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", token="abc")

    connection = await connect(Source(str(path)))

    assert connection.server == "http://127.0.0.1:1/base"
    assert await connection.authorization() == "Bearer abc"


async def test_named_context_is_used_instead(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", token="abc")

    connection = await connect(Source(str(path), "y"))

    assert await connection.authorization() is None


async def test_refresh_reads_a_token_file_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    path = kubeconfig(tmp_path / "config", tokenFile=str(token))
    connection = await connect(Source(str(path)))
    token.write_text("new")

    await connection.refresh()

    assert await connection.authorization() == "Bearer new"


async def test_credentials_are_not_in_the_representation(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", token="hunter2")

    connection = await connect(Source(str(path)))

    assert "hunter2" not in repr(connection)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not valid YAML"),
        ("[]", "lacks a cluster or a user"),
        ("", "lacks a cluster or a user"),
        ("{}", "cannot be used"),
        ("current-context: nope\ncontexts: []\nclusters: []\nusers: []", "nope"),
    ],
)
async def test_unusable_files_are_explained_in_one_line(
    tmp_path: Path, content: str, expected: str
) -> None:
    path = tmp_path / "config"
    path.write_text(content)

    with pytest.raises(KubeConfigError) as caught:
        await connect(Source(str(path)))

    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_absent_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KubeConfigError, match="does not exist; give --kubeconfig FILE"):
        await connect(Source(str(tmp_path / "absent")))
