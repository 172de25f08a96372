# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images with their own config: when they are asked about, and what the answer does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from api.conditions import condition
from api.v1alpha2.reasons import ConfigSource, Phase, Reason
from configs.base import BaseConfig, read_base
from configs.distributions import Distributions
from configs.engine import BASE_REQUIRED
from controller.llamastack.cache.observed import Observed
from controller.llamastack.cache.reference_index import reference_index
from controller.llamastack.objects.kinds import SECRET, SERVICE_ACCOUNT
from controller.llamastack.planning.image_configs import (
    Answer,
    Failed,
    Known,
    NoImageConfigs,
    Pending,
    Postpone,
    Question,
    Refuse,
    Unlabelled,
    Use,
    decide,
)
from controller.llamastack.planning.image_planner import ImageAwarePlanner
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.planning.planner import Planner
from controller.llamastack.render import labels
from controller.llamastack.status.compute import compute
from controller.llamastack.status.events import between
from controller.llamastack.status.facts import Facts
from informers.ports import Object, ObjectKey, key_of
from tests.support.fakeapi.caches import FakeCaches
from tests.support.fakeapi.server import FakeApi

IMAGE = "quay.io/team/mine:1"
QUESTION = Question(IMAGE, "n", "demo-sa", ())
DISTRIBUTIONS = Distributions.load()
OVERRIDDEN = Distributions.load({"starter": IMAGE})
PROVIDER = {"provider": "vllm", "endpoint": "http://vllm.example:8000/v1"}


def base(url: str = "http://a/v1") -> BaseConfig:
    text = f"""\
version: 2
distro_name: mine
apis: [inference, responses]
providers:
  inference: [{{provider_id: a, provider_type: 'remote::vllm', config: {{base_url: '{url}'}}}}]
mark: {url}
"""
    return read_base(text, source=ConfigSource.OCI_LABEL, era="0.7")


def resource(image: str | None = IMAGE, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "n", "uid": "u", "generation": 3},
        "spec": {
            "distribution": {"image": image} if image else {"name": "starter"},
            "providers": {"inference": PROVIDER},
            **spec,
        },
    }


def in_force(
    source: str = ConfigSource.OCI_LABEL, generation: int = 3, image: str = IMAGE, **differing: str
) -> dict[str, Any]:
    """A resource with a configuration that is in force, but for what differs."""
    kinds = ("ConfigGenerated", "SecretsResolved", "DeploymentUpdated", "Available", "Ready")
    conditions = [
        {
            "type": kind,
            "status": differing.get(kind, "True"),
            "reason": "R",
            "message": "m",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in kinds
    ]
    resolved = {"image": image, "configSource": str(source)}
    return resource() | {"status": {"conditions": conditions, "resolvedDistribution": resolved}}


class Images:
    """Gives the answer that it was told; remembers the questions."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[Question, ObjectKey, str]] = []

    def lookup(self, question: Question, *, asker: ObjectKey, credentials: str) -> Answer:
        self.asked.append((question, asker, credentials))
        return self.answer


def plans(
    answer: Answer, distributions: Distributions = DISTRIBUTIONS, api: FakeApi | None = None
) -> tuple[ImageAwarePlanner, Images]:
    images, caches = Images(answer), FakeCaches(api or FakeApi())
    return ImageAwarePlanner(Planner(distributions), images, caches), images


def seen(cr: Object) -> Observed:
    """A resource of which nothing is there yet."""
    return Observed(cr, "now")


UNREAD = Failed(Reason.IMAGE_CONFIG_UNAVAILABLE, "away", transient=True, retry_in_s=7)
BAD = Failed(Reason.CONFIG_GENERATION_FAILED, "bad label", transient=False, retry_in_s=9)


# --- when to ask ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "distributions", "asked"),
    [
        ({}, DISTRIBUTIONS, True),
        ({"providers": {}}, DISTRIBUTIONS, False),
        ({"image": None}, DISTRIBUTIONS, False),
        ({"image": None}, OVERRIDDEN, True),
        ({"image": None, "providers": {}}, OVERRIDDEN, False),
        ({"distribution": {"name": "nope"}}, OVERRIDDEN, False),
        (
            {"providers": {}, "overrideConfig": {"configMapName": "mine"}},
            DISTRIBUTIONS,
            False,
        ),
    ],
)
def test_registry_is_asked_only_where_its_answer_can_matter(
    spec: dict[str, Any], distributions: Distributions, asked: bool
) -> None:
    question = make_plan(resource(**spec), distributions).question

    assert (question is not None) is asked
    assert question is None or question.image == IMAGE


def test_question_has_the_eyes_of_the_pod() -> None:
    overrides = {"imagePullSecrets": [{"name": "b"}, {"name": "a"}], "serviceAccountName": "own"}
    api = FakeApi()
    own = api.put(SERVICE_ACCOUNT, ObjectKey("n", "own"), metadata={"labels": labels.of_objects()})
    pull = api.put(SECRET, ObjectKey("n", "a"))
    versions = [obj["metadata"]["resourceVersion"] for obj in (own, pull)]
    labelled, images = plans(Pending(), api=api)

    labelled.plan(seen(resource(workload={"overrides": overrides})))
    labelled.plan(seen(resource() | {"metadata": {**resource()["metadata"], "generation": 4}}))

    key = ObjectKey("n", "demo")
    assert images.asked == [
        (Question(IMAGE, "n", "own", ("b", "a")), key, " - ".join(versions)),
        (QUESTION, key, "-"),
    ]


def test_change_of_a_pull_secret_wakes_the_resource() -> None:
    overrides = {"imagePullSecrets": [{"name": "b"}, {"name": "a"}, {}, "odd"]}

    named = reference_index(resource(workload={"overrides": overrides}))

    assert {"secrets/n/a", "secrets/n/b"} <= {*named}


# --- what an answer does -------------------------------------------------------------------


def test_labels_are_the_base() -> None:
    labelled, images = plans(Known(base()))

    plan = labelled.plan(seen(resource()))

    assert plan.generated is not None
    assert plan.generated.base_source == ConfigSource.OCI_LABEL
    assert plan.generated.image == IMAGE
    assert "mark: http://a/v1" in (plan.generated.config_yaml or "")
    assert labelled.plan(seen(resource())) is plan, "made once"

    images.answer = Known(base("http://b/v1"))
    changed = labelled.plan(seen(resource()))
    assert changed.generated is not None
    assert "mark: http://b/v1" in (changed.generated.config_yaml or "")


def test_same_config_of_another_era_is_another_base() -> None:
    labelled, images = plans(Known(base()))
    labelled.plan(seen(resource()))
    images.answer = Known(replace(base(), era="ogx"))

    plan = labelled.plan(seen(resource()))

    assert plan.generated is not None
    assert plan.generated.era == "ogx"


def test_labels_win_over_the_embedded_base_of_a_named_distribution() -> None:
    labelled, _ = plans(Known(base()), OVERRIDDEN)

    plan = labelled.plan(seen(resource(None)))

    assert plan.generated is not None
    assert plan.generated.base_source == ConfigSource.OCI_LABEL
    assert plan.generated.image == IMAGE


@pytest.mark.parametrize("images", [NoImageConfigs(), Images(Unlabelled())])
def test_image_without_labels_requires_a_base_word_for_word(images: Any) -> None:
    plan = ImageAwarePlanner(Planner(DISTRIBUTIONS), images, FakeCaches(FakeApi())).plan(
        seen(resource())
    )

    assert plan.problem is not None
    assert plan.problem.reason == Reason.BASE_CONFIG_REQUIRED
    assert plan.problem.message == f"spec.distribution.image: {BASE_REQUIRED}"


def test_replaced_image_without_labels_has_the_embedded_base() -> None:
    labelled, _ = plans(Unlabelled(), OVERRIDDEN)

    plan = labelled.plan(seen(resource(None)))

    assert plan.generated is not None
    assert (plan.generated.base_source, plan.note) == (ConfigSource.EMBEDDED, "")


def test_replaced_image_that_cannot_be_read_has_the_embedded_base_and_says_so() -> None:
    labelled, _ = plans(UNREAD, OVERRIDDEN)

    plan = labelled.plan(seen(resource(None)))

    assert plan.generated is not None
    assert plan.generated.base_source == ConfigSource.EMBEDDED
    assert plan.retry_in_s == 7
    facts = Facts(resource(None), "now", generated=plan.generated, config_note=plan.note)
    status = compute(facts)
    answer = condition(status_of(status), "ConfigGenerated")
    assert answer["status"] == "True"
    assert answer["message"].endswith(
        f"The labels of image {IMAGE} could not be read, so the "
        "configuration is based on the operator's own for this distribution: away"
    )
    (event,) = between({}, status, deployment_changed=False, config_note=plan.note)
    assert (event.type, event.reason) == ("Warning", "ImageConfigUnavailable")
    assert between(status, status, deployment_changed=False, config_note=plan.note) == []


def status_of(status: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": status}


def test_failure_for_an_image_is_a_problem_that_says_when_to_look_again() -> None:
    labelled, _ = plans(UNREAD)

    plan = labelled.plan(seen(resource()))

    assert (plan.generated, plan.retry_in_s) == (None, 7)
    assert plan.problem is not None
    assert plan.problem.reason == Reason.IMAGE_CONFIG_UNAVAILABLE
    assert plan.problem.message == "spec.distribution: away"
    assert not plan.problem.permanent


# --- the table of decisions ----------------------------------------------------------------

NEW = resource()
OLDER = in_force(generation=2)
KEEP = Postpone(settled=True, message="away", retry_in_s=7)


@pytest.mark.parametrize(
    ("answer", "cr", "named", "decision"),
    [
        (Pending(), NEW, False, Postpone(False, f"Reading the labels of image {IMAGE}")),
        (Pending(), OLDER, False, Postpone(False, f"Reading the labels of image {IMAGE}")),
        (Pending(), in_force(), False, Postpone(True, f"Reading the labels of image {IMAGE}")),
        (
            Pending(),
            in_force(DeploymentUpdated="False"),
            False,
            Postpone(False, f"Reading the labels of image {IMAGE}"),
        ),
        (
            Pending(),
            in_force(image="another"),
            True,
            Postpone(False, f"Reading the labels of image {IMAGE}"),
        ),
        # A registry that is away does not cast doubt on what is in force …
        (UNREAD, in_force(), False, KEEP),
        (UNREAD, in_force(), True, KEEP),
        # … but a new spec needs an answer, and never another base than before.
        (UNREAD, OLDER, True, Refuse(UNREAD.reason, "away", True, 7)),
        (UNREAD, OLDER, False, Refuse(UNREAD.reason, "away", True, 7)),
        (UNREAD, NEW, False, Refuse(UNREAD.reason, "away", True, 7)),
        (BAD, in_force(), False, Refuse(BAD.reason, "bad label", False, 9)),
        (BAD, NEW, True, Refuse(BAD.reason, "bad label", False, 9)),
        (Unlabelled(), in_force(), False, Use()),
    ],
)
def test_decisions(answer: Answer, cr: dict[str, Any], named: bool, decision: object) -> None:
    assert decide(answer, cr, QUESTION, named=named) == decision


@pytest.mark.parametrize("cr", [NEW, in_force(ConfigSource.EMBEDDED)])
def test_named_distribution_falls_back_unless_its_labels_were_in_force(cr: dict[str, Any]) -> None:
    decision = decide(UNREAD, cr, QUESTION, named=True)

    assert isinstance(decision, Use)
    assert decision.base is None
    assert "away" in decision.note


# --- the status meanwhile ------------------------------------------------------------------

DEPLOYMENT = {
    "metadata": {"generation": 1},
    "spec": {"replicas": 1},
    "status": {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": 1,
        "conditions": [{"type": "Available", "status": "True"}],
    },
}


def test_waiting_is_unknown_and_not_failed() -> None:
    status = compute(Facts(NEW, "now", config_postponed=Postpone(False, "Reading")))

    found = status_of(status)
    for kind in ("ConfigGenerated", "DeploymentUpdated", "Ready"):
        answer = condition(found, kind)
        assert (answer["status"], answer["reason"], answer["message"]) == (
            "Unknown",
            "ImageConfigPending",
            "Reading",
        )
    assert status["phase"] == Phase.PENDING
    assert between({}, status, deployment_changed=False) == []


def test_waiting_says_nothing_new_of_a_configuration_in_force() -> None:
    cr = in_force()

    status = compute(Facts(cr, "later", config_postponed=KEEP, deployment=DEPLOYMENT))

    assert [condition(status_of(status), kind)["status"] for kind in ("ConfigGenerated", "Ready")]
    assert condition(status_of(status), "ConfigGenerated") == condition(cr, "ConfigGenerated")
    assert condition(status_of(status), "DeploymentUpdated") == condition(cr, "DeploymentUpdated")
    assert condition(status_of(status), "Ready")["status"] == "True"
    assert status["resolvedDistribution"] == cr["status"]["resolvedDistribution"]
    assert status["phase"] == Phase.READY


def test_pods_that_fail_while_waiting_are_told_of() -> None:
    gone = replace(
        Facts(in_force(), "later", config_postponed=KEEP),
        deployment={**DEPLOYMENT, "status": {"observedGeneration": 1}},
    )

    assert condition(status_of(compute(gone)), "Ready")["status"] == "False"


def test_key_of_the_asker_is_that_of_the_resource() -> None:
    labelled, images = plans(Pending())
    labelled.plan(seen(resource()))

    assert images.asked[0][1] == key_of(resource())
