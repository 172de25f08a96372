# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How far external providers are over all pods: whom to look at, whom to believe, whom to blame."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.external_providers.progress import (
    Progress,
    assess_installs,
    kept_installs,
    waiting_installs,
    with_times,
)
from controller.llamastack.objects.pods import keep_trouble
from tests.support.installing import (
    DONE,
    INPUT,
    RUNNING,
    TWO,
    crash_loop,
    ended,
    pod,
    provider,
    waiting,
    wanted,
)

INSTALLS = wanted(**TWO)
ALL_DONE = {"one": DONE, "two": DONE, "merge-config": DONE, "preflight": DONE}
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
TOO_BIG = 'Usage of EmptyDir volume "external-providers" exceeds the limit "2Gi". '

Json = dict[str, Any]


def assess(*pods: Json, source: str = INPUT) -> Progress:
    kept = [found for each in pods if (found := keep_trouble(each)) is not None]
    progress = assess_installs(INSTALLS, source, kept)
    assert progress is not None
    return progress


def phases(progress: Progress) -> list[str]:
    return [each["phase"] for each in progress.providers]


def said(progress: Progress) -> tuple[str, str]:
    return progress.status, progress.reason


# --- one pod --------------------------------------------------------------------------------------


def test_every_provider_is_listed_in_order_with_its_image_and_container() -> None:
    assert assess(pod(ALL_DONE)).providers == (
        {
            "providerId": "one",
            "image": "registry.example/one:1",
            "phase": "Ready",
            "message": "Provider installed successfully",
            "initContainerName": "install-provider-one",
        },
        {
            "providerId": "two",
            "image": "registry.example/two:1",
            "phase": "Ready",
            "message": "Provider installed successfully",
            "initContainerName": "install-provider-two",
        },
    )


@pytest.mark.parametrize(
    ("states", "expected", "condition", "message"),
    [
        ({}, ["Pending", "Pending"], ("Unknown", "ProvidersPending"), "0/2"),
        (
            {"one": waiting("PodInitializing"), "two": waiting("PodInitializing")},
            ["Pending", "Pending"],
            ("Unknown", "ProvidersPending"),
            "0/2",
        ),
        ({"one": RUNNING}, ["Installing", "Pending"], ("Unknown", "ProvidersInstalling"), "0/2"),
        ({"one": DONE}, ["Ready", "Pending"], ("Unknown", "ProvidersInstalling"), "1/2"),
        (
            {"one": DONE, "two": DONE, "merge-config": RUNNING},
            ["Ready", "Ready"],
            ("Unknown", "ProvidersInstalling"),
            "2/2",
        ),
        (
            {**ALL_DONE, "preflight": waiting("PodInitializing")},
            ["Ready", "Ready"],
            ("Unknown", "ProvidersInstalling"),
            "2/2",
        ),
        (ALL_DONE, ["Ready", "Ready"], ("True", "AllProvidersReady"), "2/2"),
        (
            {"one": DONE, "two": DONE, "merge-config": DONE},
            ["Ready", "Ready"],
            ("True", "AllProvidersReady"),
            "2/2",
        ),
    ],
)
def test_condition_sums_up_what_goes_well(
    states: Json, expected: list[str], condition: tuple[str, str], message: str
) -> None:
    progress = assess(pod(states))

    assert (phases(progress), said(progress)) == (expected, condition)
    assert progress.message == f"{message} external providers ready"


@pytest.mark.parametrize(
    ("state", "reason", "message"),
    [
        (ended(1, "ERROR: no"), "ProviderInstallFailed", "exit code 1: ERROR: no"),
        (crash_loop(2), "ProviderInstallFailed", "exit code 2"),
        (waiting("ImagePullBackOff"), "ProviderImagePullFailed", "Failed to pull provider image"),
    ],
)
def test_failure_of_a_provider_is_the_conditions(state: Json, reason: str, message: str) -> None:
    progress = assess(pod({"one": state, "two": waiting("PodInitializing")}))

    assert phases(progress) == ["Failed", "Pending"]
    assert said(progress) == ("False", reason)
    assert message in progress.message
    assert progress.providers[0]["message"] == progress.message


def test_first_of_several_failures_is_told() -> None:
    progress = assess(pod({"one": ended(1, "first"), "two": ended(1, "second")}))

    assert phases(progress) == ["Failed", "Failed"]
    assert progress.message.endswith("first")


# --- failures of what is done for all -------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "reason"),
    [("merge-config", "ConfigMergeFailed"), ("preflight", "PreflightFailed")],
)
def test_failure_that_names_a_provider_is_that_providers(container: str, reason: str) -> None:
    text = "ERROR: Bad\n\nProvider: two\nImage: i\n\nResolution: r"
    progress = assess(pod({**ALL_DONE, container: ended(1, text)}))

    assert phases(progress) == ["Ready", "Failed"]
    assert said(progress) == ("False", reason)
    assert text in progress.message
    assert progress.providers[1]["message"] == progress.message


@pytest.mark.parametrize(
    ("container", "reason"),
    [("merge-config", "ConfigMergeFailed"), ("preflight", "PreflightFailed")],
)
@pytest.mark.parametrize("text", ["ERROR: Failed to parse", "Provider: stranger", ""])
def test_failure_that_names_none_is_the_conditions_alone(
    container: str, reason: str, text: str
) -> None:
    progress = assess(pod({**ALL_DONE, container: ended(1, text)}))

    assert phases(progress) == ["Ready", "Ready"]
    assert said(progress) == ("False", reason)
    assert progress.message.startswith(f"Init container {container} failed with exit code 1")


def test_merge_image_that_cannot_be_pulled_is_told() -> None:
    progress = assess(pod({**ALL_DONE, "merge-config": waiting("ErrImagePull")}))

    assert phases(progress) == ["Ready", "Ready"]
    assert said(progress) == ("False", "ImagePullFailed")
    assert "registry.example/merge-config:1" in progress.message


def test_provider_that_fails_itself_keeps_its_own_message() -> None:
    text = "Provider: one"
    progress = assess(pod({"one": ended(1, "own"), "merge-config": ended(1, text)}))

    assert progress.providers[0]["message"].endswith("own")
    assert said(progress) == ("False", "ProviderInstallFailed")


def test_install_container_cannot_blame_another_provider() -> None:
    progress = assess(pod({"one": ended(1, "ERROR: x\n\nProvider: two"), "two": DONE}))

    assert phases(progress) == ["Failed", "Ready"]


# --- several pods ---------------------------------------------------------------------------------

WORST_FIRST = [ended(1), waiting("PodInitializing"), RUNNING, DONE]


@pytest.mark.parametrize("worse", range(len(WORST_FIRST)))
@pytest.mark.parametrize("better", range(len(WORST_FIRST)))
def test_worst_of_several_pods_is_told(worse: int, better: int) -> None:
    pair = [
        pod({**ALL_DONE, "one": WORST_FIRST[index]}, name=name)
        for index, name in ((worse, "a"), (better, "b"))
    ]
    names = ["Failed", "Pending", "Installing", "Ready"]

    assert phases(assess(*pair))[0] == names[min(worse, better)]


def test_pod_that_has_not_started_is_worse_than_one_that_is_ready() -> None:
    progress = assess(pod(ALL_DONE, name="a"), pod({}, name="b"))

    assert phases(progress) == ["Pending", "Pending"]
    assert said(progress)[0] == "Unknown"


def test_worst_merge_counts_too() -> None:
    other = pod({**ALL_DONE, "merge-config": crash_loop(1, "ERROR: x")}, name="b")

    assert said(assess(pod(ALL_DONE, name="a"), other)) == ("False", "ConfigMergeFailed")


@pytest.mark.parametrize("order", [1, -1])
def test_newest_template_wins(order: int) -> None:
    old = pod({"one": ended(1)}, name="z", template="old", created=NOW)
    new = pod({"one": RUNNING}, name="a", template="new", created=LATER)

    assert phases(assess(*[old, new][::order])) == ["Installing", "Pending"]


def test_all_pods_of_the_newest_template_count_however_old() -> None:
    pods = [
        pod({"one": ended(1)}, name="a", template="new", created=NOW),
        pod({"one": RUNNING}, name="b", template="new", created=LATER),
    ]

    assert phases(assess(*pods))[0] == "Failed"


def test_pods_of_another_input_are_not_looked_at() -> None:
    other = pod({"one": ended(1)}, name="b", source="demo-config-2", created=LATER)

    assert phases(assess(pod(ALL_DONE, name="a"), other)) == ["Ready", "Ready"]
    assert assess_installs(INSTALLS, "demo-config-3", filter(None, [keep_trouble(other)])) is None
    assert assess_installs(INSTALLS, INPUT, ()) is None


def test_failed_pod_that_is_replaced_by_a_good_one_is_forgotten() -> None:
    gone = pod({"one": ended(1)}, name="a", phase="Failed")

    assert said(assess(gone, pod(ALL_DONE, name="b"))) == ("True", "AllProvidersReady")


# --- eviction -------------------------------------------------------------------------------------


def evicted(states: Json, message: str = TOO_BIG) -> Json:
    return pod(states, name="evicted", phase="Failed", reason="Evicted", message=message)


@pytest.mark.parametrize(
    "replacement", [[], [pod({}, name="b")], [pod({"one": RUNNING}, name="b")]]
)
def test_packages_that_are_too_large_are_told_until_it_goes_well(replacement: list[Json]) -> None:
    progress = assess(evicted({"one": ended(137)}), *replacement)

    assert said(progress) == ("False", "ProviderInstallFailed")
    assert phases(progress) == ["Failed", "Pending"]
    assert progress.providers[0]["message"] == progress.message
    assert "spec.externalProviders.install.sizeLimit" in progress.message


def test_eviction_is_over_when_a_pod_went_all_the_way() -> None:
    assert said(assess(evicted({"one": DONE}), pod(ALL_DONE, name="b")))[0] == "True"


def test_failure_that_happens_now_is_told_before_the_eviction() -> None:
    progress = assess(evicted({"one": DONE}), pod({"one": ended(1, "now")}, name="b"))

    assert progress.message.endswith("now")


def test_eviction_for_another_reason_is_no_failure_of_providers() -> None:
    progress = assess(evicted({"one": ended(137)}, "The node was low on resource: memory."))

    assert said(progress) == ("Unknown", "ProvidersPending")
    assert phases(progress) == ["Pending", "Pending"]


# --- no pod ---------------------------------------------------------------------------------------


def test_pods_that_are_about_to_start_are_waited_for() -> None:
    progress = waiting_installs(INSTALLS)

    assert phases(progress) == ["Pending", "Pending"]
    assert said(progress) == ("Unknown", "ProvidersPending")
    assert progress.message == "0/2 external providers ready"


def test_what_runs_is_listed_as_it_was_where_no_pod_installs_the_spec() -> None:
    before = [
        *assess(pod({"one": DONE, "two": ended(1, "x")})).providers,
        {"providerId": "gone", "image": "i", "phase": "Ready", "message": "m"},
    ]

    assert kept_installs(INSTALLS, before) == before[:2]
    assert kept_installs(None, before) == before


def test_nothing_is_said_of_another_image_by_what_was_told_of_the_last_one() -> None:
    before = [{**each, "image": "other"} for each in assess(pod(ALL_DONE)).providers]

    kept = kept_installs(INSTALLS, before)

    assert [each["phase"] for each in kept] == ["Pending", "Pending"]


def test_two_of_one_id_are_listed_once() -> None:
    twice = wanted(inference=[provider("one")], safety=[provider("one", image="other")])

    (listed,) = kept_installs(twice, ())

    assert (listed["providerId"], listed["image"]) == ("one", "registry.example/one:1")


# --- times ----------------------------------------------------------------------------------------


def test_time_moves_with_the_phase_alone() -> None:
    first = with_times(assess(pod({"one": RUNNING})).providers, (), NOW)
    second = with_times(assess(pod({"one": DONE})).providers, first, LATER)

    assert [each["lastTransitionTime"] for each in first] == [NOW, NOW]
    assert [each["lastTransitionTime"] for each in second] == [LATER, NOW]


def test_time_stays_where_only_the_message_or_the_order_changes() -> None:
    first = with_times(assess(pod({"one": ended(1, "a")})).providers, (), NOW)
    second = with_times(assess(pod({"one": ended(1, "b")})).providers, first[::-1], LATER)

    assert [each["lastTransitionTime"] for each in second] == [NOW, NOW]
    assert second[0]["message"].endswith("b")


def test_provider_that_is_new_begins_now() -> None:
    old = wanted(inference=[provider("one")])
    before = with_times(waiting_installs(old).providers, (), NOW)
    both = with_times(waiting_installs(INSTALLS).providers, before, LATER)

    assert [each["lastTransitionTime"] for each in both] == [NOW, LATER]
