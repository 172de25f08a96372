# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Everything that can be wrong with an image of an external provider, on real containers.

Of each the whole message is compared, as it is in the status: provider, image, init container, what
failed and why, and what to do (FR-X030).
"""

from __future__ import annotations

import doctest
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from api.conditions import condition
from configs.external import containers
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace, wait_for
from hack.images import base
from tests.support.external_resource import REQUESTS, with_external
from tests.support.incluster import InCluster
from tests.support.provider_archives import NodeImage, name_of, provider_archive
from tests.support.provider_failures import FAILURES, SLOW, Failure
from tests.support.provider_wheels import other_machine, this_machine
from tests.support.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

_AT_ONCE: Final = 5  # those that fail are tried again and again, which costs processor time
_BEFORE: Final = "other"
_SLOW: Final = "slow"


@pytest.fixture(scope="module", autouse=True)
def provider_images(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    images: dict[str, NodeImage] = {_SLOW: SLOW}
    for case, failure in FAILURES.items():
        images[case] = failure.provider
        if failure.before:
            images[f"{case}-{_BEFORE}"] = failure.before
    node.load(provider_archive(images, Path(tmp_path_factory.mktemp("providers"))))


def _create(world: World, case: str, failure: Failure) -> None:
    providers = [{"providerId": f"my-{case}", "image": name_of(case)}]
    if failure.before:
        before = {"providerId": _BEFORE, "image": name_of(f"{case}-{_BEFORE}")}
        providers.insert(0, before)
    resources = {**REQUESTS, **failure.install.get("resources", {})}
    install = {**failure.install, "resources": resources}
    world.create("llsd", with_external({"inference": providers, "install": install}, name=case))


def _wanted(case: str, failure: Failure) -> str:
    python = base.PYTHON.rpartition("python")[2]
    return failure.message.format(
        id=f"my-{case}",
        image=name_of(case),
        before=name_of(f"{case}-{_BEFORE}"),
        container=containers.install(f"my-{case}"),
        python=python,
        platform=f"linux/{this_machine()}",
        other=f"linux/{other_machine()}",
        abi=f"cpython-{python.replace('.', '')}",
    )


def _failed(world: World, cases: Mapping[str, Failure]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each case with its resource once that has failed; a few at a time."""
    todo = list(cases)
    running: list[str] = []

    def first() -> tuple[str, dict[str, Any]] | None:
        for case in running:
            cr = world.must_get("llsd", case)
            if condition(cr, "ExternalProvidersReady").get("status") == "False":
                return case, cr
        return None

    while todo or running:
        while todo and len(running) < _AT_ONCE:
            running.append(todo.pop(0))
            _create(world, running[-1], cases[running[-1]])
        case, cr = wait_for(f"one of {running} fails", first, seconds=240)
        yield case, cr
        running.remove(case)
        world.delete("llsd", case)


def _check(case: str, failure: Failure, cr: Mapping[str, Any]) -> str:
    """What is wrong with the status of a resource; empty if it tells what it has to."""
    *others, provider = cr["status"]["externalProviders"]
    summary = condition(cr, "ExternalProvidersReady")
    wanted = _wanted(case, failure)
    same = doctest.OutputChecker().check_output(
        f"{wanted}\n",
        f"{provider['message']}\n",
        doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    said = {
        "message": same,
        "phase": provider["phase"] == "Failed",
        "others": all(other["phase"] == "Ready" for other in others),
        "reason": summary["reason"] == failure.reason,
        "summary": summary["message"] == provider["message"],
        "Ready": condition(cr, "Ready")["status"] == "False",
        "whole": cr["status"]["phase"] == "Failed",
    }
    wrong = [name for name, is_right in said.items() if not is_right]
    return f"{case}: {wrong}\n{wanted}\n\n{cr['status']}\n" if wrong else ""


def test_every_failure_is_one_message(world: World, restricted: Namespace) -> None:
    problems = []
    for case, cr in _failed(world, FAILURES):
        problems.append(_check(case, FAILURES[case], cr))
        if case == "meddler":
            assert "MEDDLED" not in _log_of(restricted, case)
            assert "SAW" not in _log_of(restricted, case)

    assert not any(problems), "\n".join(problems)


def _log_of(namespace: Namespace, case: str) -> str:
    (pod,) = namespace.pods(f"app.kubernetes.io/instance={case}")
    log = namespace.log(pod["metadata"]["name"], container=containers.install(f"my-{case}"))
    assert "Successfully installed provider: my-meddler" in log, log
    return log


def test_failures_are_the_same_where_images_are_mounted(
    operator_in_cluster: InCluster, world: World
) -> None:
    cases = {case: failure for case, failure in FAILURES.items() if failure.mounted}
    with operator_in_cluster.started_with("--external-provider-delivery=image-volume"):
        problems = [_check(case, FAILURES[case], cr) for case, cr in _failed(world, cases)]

    assert not any(problems), "\n".join(problems)


def test_slow_one_is_installing(world: World) -> None:
    _create(world, _SLOW, Failure("", SLOW))

    cr = wait_for("it installs", lambda: _installing(world))

    (provider,) = cr["status"]["externalProviders"]
    assert (provider["phase"], provider["message"]) == (
        "Installing",
        "Installing provider packages",
    )
    assert condition(cr, "ExternalProvidersReady")["message"] == "0/1 external providers ready"
    assert cr["status"]["phase"] == "Initializing"


def _installing(world: World) -> dict[str, Any] | None:
    cr = world.must_get("llsd", _SLOW)
    reason = condition(cr, "ExternalProvidersReady").get("reason")
    return cr if reason == "ProvidersInstalling" else None
