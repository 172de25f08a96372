# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which pull secrets count, and what is said when none of them opens the door."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from controller.llamastack.objects.kinds import SECRET, SERVICE_ACCOUNT
from controller.llamastack.planning.image_configs import Question
from informers.errors import Forbidden, TransportError
from informers.ports import ObjectKey
from llamastack_operator.oci import reference
from llamastack_operator.oci.errors import Unavailable
from llamastack_operator.oci.secrets import PullSecrets
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

IMAGE = reference.parse("quay.io/team/image")
HINT = "name one with access in spec.workload.overrides.imagePullSecrets"


def cluster(*faults: Fault, **objects: dict[str, Any]) -> FakeClient:
    """Secrets of namespace ``n``, and a ServiceAccount if there is an ``sa``."""
    client = FakeClient(FakeApi())
    client.faults += faults
    for name, content in objects.items():
        kind = SERVICE_ACCOUNT if name == "sa" else SECRET
        client.api.put(kind, ObjectKey("n", name), **content)
    return client


def pull_secret(*hosts: str, user: str = "u") -> dict[str, Any]:
    auths = {host: {"username": user, "password": "hunter2"} for host in hosts}
    text = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()
    return {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": text}}


async def ask(client: FakeClient, *names: str) -> tuple[list[str], str]:
    question = Question("quay.io/team/image", "n", "sa", names)
    found, explanation = await PullSecrets(client).candidates(question, IMAGE)
    return [credential.secret for credential in found], explanation


async def test_secrets_of_the_spec_count_and_those_of_the_account_do_not() -> None:
    account = {"imagePullSecrets": [{"name": "theirs"}]}
    client = cluster(sa=account, mine=pull_secret("quay.io"), theirs=pull_secret("quay.io"))

    assert (await ask(client, "mine"))[0] == ["mine"]
    assert client.verbs() == ["get secrets n/mine"]


async def test_secrets_of_the_account_count_where_the_spec_names_none() -> None:
    account = {"imagePullSecrets": [{"name": "b"}, {"name": "a"}, {}]}
    client = cluster(sa=account, a=pull_secret("quay.io"), b=pull_secret("quay.io"))

    assert (await ask(client))[0] == ["b", "a"]


async def test_longer_path_is_tried_first_whichever_secret_it_is_in() -> None:
    client = cluster(a=pull_secret("quay.io"), b=pull_secret("quay.io/team"))

    assert (await ask(client, "a", "b"))[0] == ["b", "a"]


@pytest.mark.parametrize(
    ("names", "explanation"),
    [
        ((), f"there is no pull secret, neither in the spec nor in ServiceAccount sa; {HINT}"),
        (("a",), f'tried pull secret "a"; {HINT}'),
        (("a", "b"), f'tried pull secrets "b", "a"; {HINT}'),
        (("other",), f'pull secret "other" has no entry for quay.io; {HINT}'),
        (("gone",), f'pull secret "gone" does not exist; {HINT}'),
        (("hidden",), f'pull secret "hidden" does not exist; {HINT}'),
        (
            ("opaque", "a"),
            'tried pull secret "a"; pull secret "opaque" is of type Opaque, not '
            f"kubernetes.io/dockerconfigjson; {HINT}",
        ),
    ],
)
async def test_explanation_names_secrets_and_what_to_do(
    names: tuple[str, ...], explanation: str
) -> None:
    client = cluster(
        Fault("get", name="hidden", error=Forbidden("no", code=403)),
        a=pull_secret("quay.io"),
        b=pull_secret("quay.io/team"),
        other=pull_secret("ghcr.io"),
        opaque={"type": "Opaque", "data": {"x": "aHVudGVyMg=="}},
    )

    said = (await ask(client, *names))[1]

    assert said == explanation
    assert "hunter2" not in said


async def test_cluster_that_does_not_answer_is_no_missing_secret() -> None:
    with pytest.raises(Unavailable, match="could not read Secret a"):
        await ask(cluster(Fault("get", error=TransportError("away"))), "a")
