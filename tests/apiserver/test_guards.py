# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One table of mistakes, four guards, two versions: they agree, in the author's own words.

The guards are schema and CEL of the definition, the admission policy, the webhook, and the rules
that the reconciler asks (``judge``), which say what has to be said of each object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from api import OLD_VERSION, VERSION, webhook
from api.conversion import convert, hidden_paths
from api.errors import FieldError
from configs.distributions import Distributions
from hack.cluster.plane import ControlPlane
from llamastack_operator.webhooks.admission import judge
from tests.support.apicases import BAD, GOOD
from tests.support.crdplane import MERGE
from tests.support.v1alpha1 import BROKEN_RULES, old_resource
from tests.support.webhooked import (
    HOOKS,
    Json,
    Webhooked,
    asked,
    collection,
    install_webhooks,
    webhooked,
)
from tests.support.world import eventually

pytestmark = pytest.mark.apiserver

CREATED, OK = 201, 200
REFUSED = {400, 403, 422}
V1ALPHA2_PATH = re.compile(
    r"\bspec\.(distribution|providers|resources|storage|disabled|networking|workload|"
    r"overrideConfig|externalProviders)\b"
)


@pytest.fixture(scope="module")
def hooked(kwok_plane: ControlPlane) -> Iterator[Webhooked]:
    with webhooked(kwok_plane) as where, asked(where, "--missing-references=warn"):
        yield where


@pytest.fixture(scope="module")
def distributions() -> Distributions:
    return Distributions.load()


def _cases() -> dict[str, Json]:
    """Every object of the tables, and its v1alpha1 form where that version can say it."""
    found: dict[str, Json] = {f"{name}, good": obj for name, obj in GOOD.items()}
    found |= {case.name: case.obj for case in BAD}
    old = {}
    for name, obj in found.items():
        if obj.get("apiVersion", "").endswith(VERSION):
            view = convert(obj, OLD_VERSION)
            if not hidden_paths(view):
                old[f"{name} in {OLD_VERSION}"] = view
    broken = {f"{name}, a rule of {OLD_VERSION}": obj for name, obj, _ in BROKEN_RULES}
    return {**found, **old, **broken}


CASES = _cases()


@pytest.mark.parametrize("name", CASES)
def test_the_cluster_refuses_what_the_rules_refuse_at_the_same_field(
    hooked: Webhooked, distributions: Distributions, name: str
) -> None:
    obj = CASES[name]
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    if version not in {OLD_VERSION, VERSION}:
        pytest.skip("no object of ours: the API server has no place for it")
    errors = judge(obj, distributions).errors

    code, message = hooked.create(obj, "default", dry_run=True)

    assert (code in REFUSED) == bool(errors), message
    if errors:
        assert _names(message, errors), message
        if version == OLD_VERSION:
            assert V1ALPHA2_PATH.search(_ours(message)) is None, message


def _names(message: str, errors: tuple[FieldError, ...]) -> bool:
    """Whether an answer names the field of an error, or what it is in, as the schema does."""
    places = [path for error in errors for path in _above(error.path)]
    return any(f"{place}" in message for place in places)


def _above(path: str) -> Iterator[str]:
    """A path, and what it is in: rules of a schema speak of the field that they stand at."""
    yield path
    while (path := re.sub(r"(\.[^.\[]+|\[[^\]]*\])$", "", path)).count(".") > 1:
        yield path


def _ours(message: str) -> str:
    """What we say in an answer, without the names of our objects."""
    return message.partition("denied request: ")[2] or message.partition("denied the request: ")[2]


def test_a_missing_secret_is_a_warning_if_so_chosen_and_else_an_error(
    hooked: Webhooked,
) -> None:
    secret = {"secretKeyRef": {"name": "nobody-made-it", "key": "token"}}
    provider = {"provider": "vllm", "endpoint": "http://v:1/v1", "apiKey": secret}
    obj = old_resource(providers={"inference": provider})

    assert hooked.create(obj, "default", dry_run=True)[0] == CREATED


# --- what is never blocked -----------------------------------------------------------------------


@pytest.fixture
def broken(hooked: Webhooked, kwok_namespace: str) -> tuple[Webhooked, str]:
    """An object that breaks rules, stored before there was anybody to say so."""
    namespace = kwok_namespace
    obj = old_resource(
        providers={"inference": {"provider": "vllm", "endpoint": "http://v:1/v1"}},
        distribution={"name": "not-known"},
    )
    obj["metadata"]["finalizers"] = ["example.com/test"]
    _without_webhook(hooked, lambda: hooked.create(obj, namespace))
    return hooked, namespace


def _without_webhook(hooked: Webhooked, act: Callable[[], tuple[int, str]]) -> None:
    hooked.plane.client.delete(f"{HOOKS}/{webhook.NAME}")
    eventually("nobody is asked", lambda: not hooked.is_asked())
    assert act() == (CREATED, "")
    install_webhooks(hooked)
    eventually("the operator is asked again", hooked.is_asked)


@pytest.mark.parametrize("version", [OLD_VERSION, VERSION])
def test_labels_finalizers_status_and_deletion_get_through(
    broken: tuple[Webhooked, str], version: str
) -> None:
    hooked, namespace = broken
    path = f"{collection(version, namespace)}/demo"

    def patch(body: Json, where: str = path) -> tuple[int, Json]:
        return hooked.ask("PATCH", where, body, content_type=MERGE)

    assert patch({"metadata": {"labels": {"a": "b"}}})[0] == OK
    assert patch({"status": {"phase": "Pending"}}, f"{path}/status")[0] == OK
    # A change that does not touch what is wrong, and one that makes more wrong.
    replicas = {"replicas": 2} if version == OLD_VERSION else {"workload": {"replicas": 2}}
    assert patch({"spec": replicas})[0] == OK
    resources = {"resources": {"models": [{"name": "m", "provider": "nobody"}]}}
    worse = {"server": resources} if version == OLD_VERSION else resources
    code, answer = patch({"spec": worse})
    assert code in {OK, *REFUSED}, answer
    assert hooked.ask("DELETE", path)[0] == OK
    assert patch({"metadata": {"finalizers": None}})[0] == OK
    assert hooked.ask("GET", path)[0] == 404
