# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How far a pod is with external providers: what is kept, what it means, what must not be shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.installs import INSTALLS, evicted, named_provider
from controller.llamastack.objects.pods import TROUBLE, keep_trouble, worst
from tests.support.installing import (
    DONE,
    INPUT,
    RUNNING,
    crash_loop,
    ended,
    pod,
    waiting,
)

PULLS = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"]
MADE = ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"]
TOO_BIG = 'Usage of EmptyDir volume "{}" exceeds the limit "2Gi". '

Json = dict[str, Any]


def kept(obj: Json) -> Json:
    found = keep_trouble(obj)
    assert found is not None
    return dict(found)


def state(container: Json, name: str = "one") -> Json:
    """What is kept of the one init container of a pod."""
    ((_, found),) = kept(pod({name: container}))[INSTALLS]["containers"].items()
    return dict(found)


# --- the table of section 6 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "phase", "message"),
    [
        ({}, "Pending", "Waiting for init container to start"),
        ({"state": {}}, "Pending", "Waiting for init container to start"),
        (waiting("PodInitializing"), "Pending", "PodInitializing"),
        (waiting("ContainerCreating", "x"), "Pending", "ContainerCreating"),
        (RUNNING, "Installing", "Installing provider packages"),
        (DONE, "Ready", "Provider installed successfully"),
        (ended(3), "Failed", "Init container failed with exit code 3"),
        (ended(1, "ERROR: x\n"), "Failed", "Init container failed with exit code 1: ERROR: x"),
        (crash_loop(1, "boom"), "Failed", "Init container failed with exit code 1: boom"),
        (
            {**RUNNING, "lastState": {"terminated": {"exitCode": 2, "message": "boom"}}},
            "Failed",
            "Init container failed with exit code 2: boom",
        ),
        (
            waiting("PodInitializing", lastState={"terminated": {"exitCode": 1}}),
            "Failed",
            "Init container failed with exit code 1",
        ),
    ],
)
def test_state_of_a_container_is_a_phase_with_a_message(
    container: Json, phase: str, message: str
) -> None:
    reason = "ProviderInstallFailed" if phase == "Failed" else ""

    found = state(container)

    assert (found["phase"], found["reason"]) == (phase, reason)
    assert found["message"].partition("\n")[0] == message
    # What the kubelet alone knows has the form of what programs say; those say it themselves.
    ours = phase == "Failed" and not message.endswith(("boom", "ERROR: x"))
    assert ("Provider: one" in found["message"]) == ours


@pytest.mark.parametrize(
    "container",
    [
        {**DONE, "lastState": {"terminated": {"exitCode": 1, "message": "earlier"}}},
        {**DONE, "ready": True},
    ],
)
def test_container_that_went_well_in_the_end_is_ready(container: Json) -> None:
    assert state(container)["phase"] == "Ready"


def test_container_that_runs_again_after_a_good_end_is_no_failure() -> None:
    again = {**RUNNING, "lastState": {"terminated": {"exitCode": 0}}}
    waits = waiting("PodInitializing", lastState={"terminated": {"exitCode": 0}})

    assert state(again)["phase"] == "Installing"
    assert state(waits)["phase"] == "Pending"


@pytest.mark.parametrize("why", PULLS)
def test_image_that_cannot_be_pulled_is_named_with_what_to_do(why: str) -> None:
    found = state(waiting(why, "denied: back-off 5m0s"))

    assert found == {
        "phase": "Failed",
        "reason": "ProviderImagePullFailed",
        "message": "Failed to pull provider image registry.example/install-provider-one:1\n\n"
        "Provider: one\nImage: registry.example/install-provider-one:1\n"
        "Init Container: install-provider-one\n\n"
        "Resolution: Check the image reference and that the pod's ServiceAccount has "
        "imagePullSecrets for this registry.",
    }


def test_pull_that_is_tried_again_reads_the_same() -> None:
    first = state(waiting("ErrImagePull", "rpc error: not found"))
    second = state(waiting("ImagePullBackOff", 'Back-off pulling image "x"'))

    assert first == second


@pytest.mark.parametrize("name", ["merge-config", "preflight"])
def test_image_that_is_no_providers_is_not_called_one(name: str) -> None:
    found = state(waiting("ImagePullBackOff"), name)

    assert found["reason"] == "ImagePullFailed"
    assert found["message"].startswith(f"Failed to pull image registry.example/{name}:1")


@pytest.mark.parametrize("why", MADE)
def test_container_that_cannot_be_made_says_why(why: str) -> None:
    found = state(waiting(why, 'secret "x" not found'))

    assert (found["phase"], found["reason"]) == ("Failed", "ProviderInstallFailed")
    assert 'secret "x" not found' in found["message"]
    assert "install-provider-one" in found["message"]


def test_image_without_python_is_told_as_such() -> None:
    text = 'exec: "python3": executable file not found in $PATH: unknown'

    found = state(waiting("RunContainerError", text))

    assert found["message"].startswith("ERROR: No python3 in image registry.example/")
    assert "Init Container: install-provider-one" in found["message"]
    assert "Resolution: " in found["message"]
    assert "No python3" not in state(waiting("RunContainerError", text), "merge-config")["message"]
    preflight = state(waiting("RunContainerError", text), "preflight")["message"]
    assert preflight.startswith("ERROR: No python3 in image registry.example/")
    assert "--preflight=false" in preflight


@pytest.mark.parametrize("why", ["StartError", "ContainerCannotRun"])
def test_container_that_does_not_start_says_the_same_in_all_of_its_states(why: str) -> None:
    text = 'exec: "python3": executable file not found in $PATH: unknown'
    over = {"terminated": {"exitCode": 128, "reason": why, "message": text}}

    told = [
        state(waiting("RunContainerError", text)),
        state({"state": over}),
        state(waiting("RunContainerError", text, lastState=over)),
        state(waiting("CrashLoopBackOff", "back-off 10s", lastState=over)),
    ]

    assert told == [told[0]] * 4
    assert told[0]["message"].startswith("ERROR: No python3 in image registry.example/")


@pytest.mark.parametrize("container", [ended, crash_loop])
def test_memory_that_was_not_enough_is_told_with_the_field_to_raise(container: Any) -> None:
    found = state(container(137, reason="OOMKilled"))

    assert (found["phase"], found["reason"]) == ("Failed", "ProviderInstallFailed")
    assert "exit code 137" in found["message"]
    assert "spec.externalProviders.install.resources.limits.memory" in found["message"]


def test_container_that_was_killed_says_so() -> None:
    assert state(ended(137))["message"].startswith(
        "Init container failed with exit code 137: it was killed\n\nProvider: one\n"
    )
    assert state(ended(137, "said"))["message"].endswith("exit code 137: said")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("one", "ProviderInstallFailed"),
        ("merge-config", "ConfigMergeFailed"),
        ("preflight", "PreflightFailed"),
    ],
)
def test_reason_is_that_of_the_container(name: str, reason: str) -> None:
    assert state(ended(1), name)["reason"] == reason


# --- what is kept ---------------------------------------------------------------------------------


def test_pod_that_installs_is_kept_with_how_far_it_is_and_without_its_spec() -> None:
    found = kept(pod({"one": DONE, "merge-config": RUNNING}))

    assert set(found) == {"apiVersion", "kind", "metadata", INSTALLS}
    assert found[INSTALLS]["input"] == INPUT
    assert found[INSTALLS]["ended"] is False
    assert list(found[INSTALLS]["containers"]) == ["install-provider-one", "merge-config"]


def test_pod_that_serves_is_kept_as_long_as_it_lives() -> None:
    serving = pod({"one": DONE}, phase="Running", containerStatuses=[{"ready": True}])

    assert kept(serving)[INSTALLS]["containers"]["install-provider-one"]["phase"] == "Ready"


def test_pod_that_the_kubelet_has_not_seen_is_kept_without_containers() -> None:
    bare = pod({})
    bare.pop("status")

    assert kept(bare)[INSTALLS] == {
        "input": INPUT,
        "ended": False,
        "evicted": None,
        "containers": {},
    }


def test_pod_that_installs_nothing_is_not_kept() -> None:
    assert keep_trouble(pod({"one": DONE}, source="")) is None


def test_pod_that_goes_installs_nothing() -> None:
    going = pod({"one": ended()})
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    found = kept(going)
    assert INSTALLS not in found
    assert TROUBLE not in found


def test_containers_of_others_are_not_told_of_as_providers() -> None:
    found = pod({"one": DONE})
    found["status"]["initContainerStatuses"].append({"name": "istio-init", **RUNNING})

    assert list(kept(found)[INSTALLS]["containers"]) == ["install-provider-one"]


@pytest.mark.parametrize(
    "obj", [pod({"one": ended(1, "x")}), pod({"one": RUNNING}), pod({}, phase="Failed")]
)
def test_keeping_what_was_kept_changes_nothing(obj: Json) -> None:
    first = kept(obj)

    assert keep_trouble(json.loads(json.dumps(first))) == first


def test_failure_is_the_trouble_of_the_pod_in_the_words_of_the_status() -> None:
    found = kept(pod({"one": DONE, "two": crash_loop(1, "ERROR: x")}))

    assert found[TROUBLE] == {
        "reason": "ProviderInstallFailed",
        "message": "Init container failed with exit code 1: ERROR: x",
    }
    assert worst([found]) == found[TROUBLE]


def test_pod_that_installs_well_is_in_no_trouble() -> None:
    fine = kept(pod({"one": DONE, "merge-config": RUNNING}))

    assert TROUBLE not in fine
    assert worst([fine]) is None


def test_init_container_of_somebody_else_is_judged_as_ever() -> None:
    found = pod({})
    found["status"]["initContainerStatuses"] = [
        {"name": "istio-init", "image": "i", **waiting("ErrImagePull")}
    ]

    assert kept(found)[TROUBLE]["reason"] == Reason.IMAGE_PULL_FAILED


def test_trouble_of_the_server_is_told_after_everything_is_installed() -> None:
    server = {"name": "llama-stack", "image": "i", **crash_loop(1, "ValueError: x")}
    found = kept(pod({"one": DONE, "preflight": DONE}, containerStatuses=[server]))

    assert found[TROUBLE]["reason"] == Reason.CRASH_LOOP


# --- eviction -------------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", ["external-providers", "provider-tmp"])
def test_pod_with_too_large_packages_is_told_of_with_the_field_to_raise(volume: str) -> None:
    said = TOO_BIG.format(volume)
    found = kept(pod({"one": ended(137)}, phase="Failed", reason="Evicted", message=said))

    assert found[INSTALLS]["ended"] is True
    assert found[TROUBLE]["reason"] == "ProviderInstallFailed"
    assert said.strip() in found[TROUBLE]["message"]
    assert "spec.externalProviders.install.sizeLimit" in found[TROUBLE]["message"]


def evicted_pod(states: Json, **status: Any) -> Json:
    said = TOO_BIG.format("external-providers")
    return pod(states, **{"phase": "Failed", "reason": "Evicted", "message": said, **status})


def block_of(name: str) -> str:
    """What names a provider in a message."""
    image = f"registry.example/install-provider-{name}:1"
    return f"\n\nProvider: {name}\nImage: {image}\nInit Container: install-provider-{name}\n\n"


def finished(at: str, code: int = 137) -> Json:
    return ended(code, finishedAt=at)


@pytest.mark.parametrize(
    ("states", "name"),
    [
        ({"one": DONE, "two": RUNNING}, "two"),
        ({"one": finished("2026-01-01T00:00:01Z", 1), "two": RUNNING}, "two"),
        ({"one": DONE, "two": ended(137), "merge-config": waiting("PodInitializing")}, "two"),
        ({"one": ended(137), "two": waiting("PodInitializing")}, "one"),
        ({"one": crash_loop(1), "two": waiting("PodInitializing")}, "one"),
        ({"one": finished("2026-01-01T00:00:02Z"), "two": finished("2026-01-01T00:00:01Z")}, "one"),
        ({"one": finished("2026-01-01T00:00:02Z"), "two": finished("2026-01-01T00:00:02Z")}, "two"),
        ({"one": DONE, "merge-config": RUNNING}, "one"),
        ({"one": {}}, "one"),
    ],
)
def test_provider_that_was_being_installed_is_named_where_the_kubelet_names_the_volume(
    states: Json, name: str
) -> None:
    message = kept(evicted_pod(states))[TROUBLE]["message"]

    assert block_of(name) in message
    assert message.startswith("The packages of external providers take more than they may: Usage")
    assert message.endswith("\n\nResolution: Raise spec.externalProviders.install.sizeLimit.")
    assert named_provider(message) == name


def test_pod_that_is_over_without_a_reason_was_evicted_too() -> None:
    """What a real kubelet leaves if the server ends with 0 when it is told to."""
    found = kept(pod({"one": DONE, "merge-config": DONE}, phase="Succeeded"))

    assert found[INSTALLS]["ended"] is True
    assert found[TROUBLE]["reason"] == "ProviderInstallFailed"
    assert block_of("one") in found[TROUBLE]["message"]
    assert found[TROUBLE]["message"].startswith(
        "The packages of external providers seem to take more than they may: "
    )


@pytest.mark.parametrize(
    "pods",
    [
        evicted_pod({"one": DONE, "two": DONE, "merge-config": RUNNING}),
        evicted_pod({"one": DONE, "two": DONE, "preflight": ended(137)}),
        evicted_pod({"one": DONE, "two": DONE, "merge-config": DONE}),
        evicted_pod({"one": RUNNING, "two": {}}, initContainerStatuses=[]),
        evicted_pod({"one": RUNNING, "two": {}}, initContainerStatuses=None),
    ],
)
def test_all_providers_are_named_where_nobody_knows_which_one_it_was(pods: Json) -> None:
    pods["spec"]["initContainers"] += [{"name": "merge-config"}, {"name": "istio-init"}]

    message = kept(pods)[TROUBLE]["message"]

    image = "registry.example/install-provider-{0}:1, init container: install-provider-{0}"
    assert message.splitlines()[1:] == [
        "",
        "Providers:",
        f"  - one (image: {image.format('one')})",
        f"  - two (image: {image.format('two')})",
        "",
        "Resolution: Raise spec.externalProviders.install.sizeLimit.",
    ]
    assert named_provider(message) == ""


def test_pod_of_many_providers_names_those_that_fit_and_counts_the_others() -> None:
    names = [f"p{number}" for number in range(90)]

    message = kept(evicted_pod(dict.fromkeys(names, DONE)))[TROUBLE]["message"]

    shown = [line for line in message.splitlines() if line.startswith("  - p")]
    assert len(message) < 4500
    assert 0 < len(shown) < 90
    assert f"  - and {90 - len(shown)} more" in message


@pytest.mark.parametrize(
    "status",
    [
        {"reason": "Evicted", "message": TOO_BIG.format("lls-storage")},
        {"reason": "Evicted", "message": "The node was low on resource: memory."},
        {"reason": "NodeLost", "message": TOO_BIG.format("external-providers")},
    ],
)
def test_other_ends_of_a_pod_are_not_the_packages(status: Json) -> None:
    found = pod({}, phase="Failed", **status)

    assert evicted(found) is None
    assert kept(found)[TROUBLE]["reason"] == Reason.DEPLOYMENT_FAILED


def test_pod_that_had_to_go_for_something_else_is_over_for_that() -> None:
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}

    assert evicted(pod({"one": DONE}, phase="Succeeded", conditions=[disrupted])) is None


# --- whom a message is about ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Init container failed with exit code 1: ERROR: x\n\nProvider: one\nImage: i", "one"),
        ("Provider: a\nProvider: b", "a"),
        ("Provider 'one' is bad", ""),
        ("the Provider: one", ""),
        ("", ""),
    ],
)
def test_message_names_its_provider_on_a_line_of_its_own(message: str, name: str) -> None:
    assert named_provider(message) == name


# --- what must not be shown -----------------------------------------------------------------------


SECRETS = [
    "connecting to postgresql://llama:XQZJKVWQ@db:5432/x failed",
    "api_token: XQZJKVWQ",
    "ValidationError: input_value='XQZJKVWQ', input_type=str",
    "Authorization: Bearer XQZJKVWQ",
    "PIP_INDEX_URL=https://user:XQZJKVWQ@pypi.example/simple",
    "OPENAI_API_KEY=XQZJKVWQ",
    "sk-XQZJKVWQ",
]


@pytest.mark.parametrize("said", SECRETS)
@pytest.mark.parametrize("name", ["one", "merge-config", "preflight"])
def test_credential_that_a_program_showed_is_kept_nowhere(said: str, name: str) -> None:
    text = f"ERROR: x\n\nProvider: one\n{said}\nResolution: y"
    states = [
        ended(1, text),
        crash_loop(1, text),
        waiting("CreateContainerError", text),
        {**RUNNING, "lastState": {"terminated": {"exitCode": 1, "message": text}}},
    ]
    for container in states:
        found = json.dumps(kept(pod({name: container})))

        assert "XQZJKVWQ" not in found
        assert "ERROR: x" in found


def test_message_of_any_length_is_kept_to_what_the_kubelet_keeps() -> None:
    assert len(state(ended(1, "x" * 100_000))["message"]) < 4200
    assert len(state(waiting("CreateContainerError", "x" * 100_000))["message"]) < 4600
