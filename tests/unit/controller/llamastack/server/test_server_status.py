# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the status says of the running server, and for how long."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from api.conditions import condition
from api.v1alpha2 import Spec
from api.v1alpha2.reasons import ConfigSource, Reason
from api.v1alpha2.status import Status
from configs.engine import Generated
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.render.inputs import Inputs
from controller.llamastack.server.observation import ready_write_delay_s
from controller.llamastack.server.probe_port import (
    NoProber,
    ReportedProvider,
    ServerReport,
    is_ready,
    server_of,
    template_of,
)
from controller.llamastack.server.status import PASSED, OperatorFacts, is_known
from controller.llamastack.status.compute import compute
from controller.llamastack.status.facts import Facts

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
OPERATOR_FACTS = OperatorFacts("1.2.3", {"starter": "example.org/starter:1"})
VLLM = ReportedProvider("inference", "vllm", "remote::vllm", "Not Implemented", "Not there")
REPORT = ServerReport("0.7.3", (VLLM, ReportedProvider("safety", "guard", "inline::guard")))
ILL = ServerReport(problem="could not be asked for its providers: it answers 500", version="0.7.3")


def deployment(image: str = "i:1", *, replicas: int = 1, available: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"generation": 1, "uid": "d"},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": "c", "image": image}]}},
        },
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "availableReplicas": available,
            "conditions": [{"type": "Available", "status": "True", "lastTransitionTime": NOW}],
        },
    }


def cr(status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo", "namespace": "n", "uid": "u", "generation": 3},
        "spec": {"distribution": {"name": "starter"}},
        "status": status or {},
    }


FACTS = Facts(
    cr=cr(),
    now=NOW,
    generated=Generated("c", "f" * 64, "i:1", "generated", base_source=ConfigSource.EMBEDDED),
    resolution=Resolution(Reason.SECRETS_RESOLVED, (), "h"),
    deployment=deployment(),
    service_url="http://x",
    operator_facts=OPERATOR_FACTS,
)


def health_of(status: dict[str, Any]) -> Mapping[str, Any]:
    return condition({"status": status}, "HealthCheck")


def after(status: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """The status of a later reconcile that got no report, unless one is given."""
    return compute(replace(FACTS, cr=cr(status), now=LATER, **changed))


def test_report_is_in_the_status() -> None:
    status = compute(replace(FACTS, server_report=REPORT))

    assert status["version"] == {
        "operatorVersion": "1.2.3",
        "llamaStackServerVersion": "0.7.3",
        "lastUpdated": NOW,
    }
    assert status["distributionConfig"] == {
        "activeDistribution": "starter",
        "availableDistributions": {"starter": "example.org/starter:1"},
        "podTemplate": template_of(deployment()),
        "providers": [
            {
                "api": "inference",
                "provider_id": "vllm",
                "provider_type": "remote::vllm",
                "health": {"status": "Not Implemented", "message": "Not there"},
            },
            {"api": "safety", "provider_id": "guard", "provider_type": "inline::guard"},
        ],
    }
    assert Status.model_validate(status).version is not None
    assert health_of(status)["message"] == (
        "The server answers its readiness probe and lists 2 providers. "
        "Servers do not tell whether their providers work"
    )


def test_operator_says_its_version_before_any_server_reports() -> None:
    status = compute(FACTS)

    assert status["version"] == {"operatorVersion": "1.2.3", "lastUpdated": NOW}
    assert "podTemplate" not in status["distributionConfig"]
    assert health_of(status)["message"] == PASSED


def test_image_is_a_custom_distribution() -> None:
    with_image = cr() | {"spec": {"distribution": {"image": "i:1"}}}

    status = compute(replace(FACTS, cr=with_image))

    assert status["distributionConfig"]["activeDistribution"] == "custom"


@pytest.mark.parametrize("report", [REPORT, ILL, ServerReport("0.7.3", ())])
def test_new_leader_that_knows_nothing_changes_nothing(report: ServerReport) -> None:
    first = compute(replace(FACTS, server_report=report))

    assert after(copy.deepcopy(first)) == first


def test_new_template_drops_every_word_of_the_old_server_at_once() -> None:
    first = compute(replace(FACTS, server_report=REPORT))

    status = after(first, deployment=deployment("i:2", available=0))

    assert "llamaStackServerVersion" not in status["version"]
    assert status["version"]["lastUpdated"] == LATER
    assert status["distributionConfig"].keys() == {
        "activeDistribution",
        "availableDistributions",
    }


def test_new_template_that_serves_already_has_nothing_of_the_old_one_either() -> None:
    first = compute(replace(FACTS, server_report=ILL))

    status = after(first, deployment=deployment("i:2"))

    assert health_of(status)["message"] != health_of(first)["message"]
    assert "providers" not in status["distributionConfig"]


def test_pods_that_go_and_come_take_no_word_away() -> None:
    first = compute(replace(FACTS, server_report=REPORT))

    away = after(first, deployment=deployment(available=0))
    back = after(away)

    assert away["distributionConfig"] == first["distributionConfig"]
    assert back["distributionConfig"] == first["distributionConfig"]
    assert health_of(back)["message"] == health_of(first)["message"]


@pytest.mark.parametrize("live", [None, deployment(replicas=0, available=0)])
def test_where_no_server_runs_none_is_described(live: dict[str, Any] | None) -> None:
    first = compute(replace(FACTS, server_report=REPORT))

    status = after(first, deployment=live)

    assert "llamaStackServerVersion" not in status["version"]
    assert "providers" not in status["distributionConfig"]


def test_server_that_could_not_be_asked_is_said_so_and_is_ready() -> None:
    status = compute(replace(FACTS, server_report=ILL))

    answer = health_of(status)
    assert (answer["status"], answer["reason"]) == ("True", Reason.HEALTH_CHECK_PASSED)
    assert "but could not be asked for its providers: it answers 500" in answer["message"]
    assert condition({"status": status}, "Ready")["status"] == "True"
    assert status["version"]["llamaStackServerVersion"] == "0.7.3"
    assert "providers" not in status["distributionConfig"]


def test_failure_replaces_the_report_before() -> None:
    first = compute(replace(FACTS, server_report=REPORT))

    status = after(first, server_report=ILL)

    assert "providers" not in status["distributionConfig"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("OK", "OK"), "When it was asked it reported OK of 2"),
        (("OK", "Error"), "When it was asked it reported Error of 1, OK of 1 (a/p1)"),
        (("Error",) * 5, "When it was asked it reported Error of 5 (a/p0, a/p1, a/p2, ...)"),
        (("OK", "Not Implemented"), "When it was asked it reported OK of 1"),
        (("Not Implemented", ""), "Servers do not tell whether their providers work"),
    ],
)
def test_health_of_providers_is_the_word_of_the_server(words: tuple[str, ...], told: str) -> None:
    providers = tuple(ReportedProvider("a", f"p{n}", "t", word) for n, word in enumerate(words))

    status = compute(replace(FACTS, server_report=ServerReport("0.2.23", providers)))

    assert health_of(status)["message"].endswith(f"providers. {told}")
    assert condition({"status": status}, "Ready")["status"] == "True"


def test_time_of_the_versions_moves_with_them_only() -> None:
    first = compute(replace(FACTS, server_report=REPORT))

    assert after(first, server_report=REPORT)["version"]["lastUpdated"] == NOW
    assert after(first, operator_facts=replace(OPERATOR_FACTS, operator_version="2"))[
        "version"
    ] == {
        "operatorVersion": "2",
        "llamaStackServerVersion": "0.7.3",
        "lastUpdated": LATER,
    }


def test_status_that_has_it_all_is_known() -> None:
    whole = compute(replace(FACTS, server_report=REPORT))

    assert is_known(whole, deployment())
    assert not is_known(whole, deployment("i:2"))
    assert not is_known(compute(replace(FACTS, server_report=ILL)), deployment())
    assert not is_known(compute(FACTS), deployment())


def test_server_is_asked_when_all_of_its_pods_are_there() -> None:
    progressing = deployment()
    progressing["metadata"]["generation"] = 2

    assert is_ready(deployment())
    assert not is_ready(progressing)
    assert not is_ready(deployment(replicas=2, available=1))
    assert not is_ready(deployment(replicas=0, available=0))


TLS = {"enabled": True, "secretName": "certificate"}
SPEC = {"distribution": {"name": "starter"}, "networking": {"port": 8443, "tls": TLS}}
INPUTS = Inputs(
    owner=cr(), spec=Spec.model_validate(SPEC), generated=Generated("c", "f", "i:1", "generated")
)
SERVICE = {"spec": {"clusterIP": "10.0.0.7"}}


def test_server_is_behind_the_address_of_its_service() -> None:
    found = server_of(INPUTS, deployment(), SERVICE)

    assert found is not None
    assert (found.service, found.address, found.port) == ("demo-service", "10.0.0.7", 8443)
    assert found.scheme == "https"
    assert found.template == template_of(deployment())


@pytest.mark.parametrize("service", [None, {}, {"spec": {"clusterIP": "None"}}])
def test_without_an_address_there_is_nobody_to_ask(service: dict[str, Any] | None) -> None:
    assert server_of(INPUTS, deployment(), service) is None


@pytest.mark.parametrize(
    "other",
    [
        deployment("i:2"),
        deployment(replicas=2, available=2),
        deployment() | {"metadata": {"generation": 1, "uid": "another"}},
    ],
)
def test_other_pods_are_an_occasion(other: dict[str, Any]) -> None:
    before = server_of(INPUTS, deployment(), SERVICE)
    after = server_of(INPUTS, other, SERVICE)

    assert before is not None
    assert after is not None
    assert before.occasion != after.occasion


def test_pod_that_was_replaced_is_an_occasion_though_the_template_is_the_same() -> None:
    other = deployment()
    other["status"]["conditions"][0]["lastTransitionTime"] = LATER

    before = server_of(INPUTS, deployment(), SERVICE)
    after = server_of(INPUTS, other, SERVICE)

    assert before is not None
    assert after is not None
    assert before.template == after.template
    assert before.occasion != after.occasion


class Awaited(NoProber):
    """Servers whose first words are expected in a moment."""

    def awaited_s(self, uid: str) -> float:
        return 0.5


def told(status: dict[str, Any], generation: int) -> dict[str, Any]:
    obj = cr({**status, "observedGeneration": 1})
    return {**obj, "metadata": {**obj["metadata"], "generation": generation}}


def test_first_words_are_waited_for() -> None:
    assert ready_write_delay_s(told(compute(FACTS), 1), deployment(), Awaited()) == 0.5


@pytest.mark.parametrize(
    ("obj", "live"),
    [
        pytest.param(told({}, 2), deployment(), id="the status is of another spec"),
        pytest.param(told({}, 1), None, id="no Deployment"),
        pytest.param(
            told(compute(replace(FACTS, server_report=REPORT)), 1),
            deployment(),
            id="they are written",
        ),
    ],
)
def test_nothing_waits(obj: dict[str, Any], live: dict[str, Any] | None) -> None:
    assert ready_write_delay_s(obj, live, Awaited()) == 0.0
