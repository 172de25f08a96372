# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the operator's ConfigMap says, what of it is refused, and what takes effect when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.distributions import Distributions
from controller.llamastack.operator_config.live import LiveConfig
from controller.llamastack.operator_config.parse import MAX_BYTES, MAX_VALUES, OperatorConfig, read
from controller.llamastack.planning.planner import Planner
from controller.llamastack.render.inputs import Options
from informers.ports import Object, ObjectKey

ON = "enableNetworkPolicy:\n  enabled: true\n"
OTHER = "registry.example.org:5000/team/starter:1.2"


def test_absent_and_empty_content_are_the_defaults() -> None:
    for data in ({}, {"featureFlags": "", "image-overrides": "# nothing\n"}):
        reading = read(data)

        assert reading.config == OperatorConfig()
        assert (reading.errors, reading.warnings) == ((), ())


def test_flags_and_images_are_read() -> None:
    reading = read({"featureFlags": ON, "image-overrides": f"starter: {OTHER}\n"})

    assert reading.config == OperatorConfig(True, (("starter", OTHER),))
    assert (reading.errors, reading.warnings) == ((), ())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"featureFlags": "a: [\nb"}, "featureFlags: line 2, column "),
        ({"featureFlags": "- a"}, "featureFlags: must be a mapping of names, not a list"),
        (
            {"featureFlags": "enableNetworkPolicy: true"},
            'enableNetworkPolicy: must be a mapping such as {enabled: true}, not "True"',
        ),
        (
            {"featureFlags": "enableNetworkPolicy: {enabled: maybe}"},
            'featureFlags: enableNetworkPolicy.enabled: must be true or false, not "maybe"',
        ),
        (
            {"image-overrides": "starter: Not An Image"},
            "image-overrides: starter: must be an image such as",
        ),
        ({"image-overrides": "starter: 5"}, "image-overrides: starter: must be an image such as"),
        ({"image-overrides": "starter:"}, "not nothing"),
        ({"image-overrides": "starter: a\nstarter: b"}, "image-overrides: line 2"),
        ({"image-overrides": "#" * (MAX_BYTES + 1)}, "image-overrides: "),
        (
            {"image-overrides": "".join(f"n{i}: a\n" for i in range(MAX_VALUES // 2))},
            f"image-overrides: line 1000, column 7: more than {MAX_VALUES} values",
        ),
    ],
)
def test_mistake_is_told_with_its_place(data: dict[str, str], message: str) -> None:
    reading = read(data)

    assert reading.config is None
    (error,) = reading.errors
    assert message in error


def test_key_with_a_mistake_stays_as_it_was_and_the_other_is_taken() -> None:
    last = OperatorConfig(True, (("starter", OTHER),))

    flags_wrong = read({"featureFlags": "[", "image-overrides": "starter: x:2"}, last)
    images_wrong = read({"featureFlags": "", "image-overrides": "starter: X"}, last)

    assert flags_wrong.config == OperatorConfig(True, (("starter", "x:2"),))
    assert images_wrong.config == OperatorConfig(False, (("starter", OTHER),))


def test_what_is_not_known_is_told_and_left_out() -> None:
    reading = read(
        {
            "featureFlags": "enableFuture: {enabled: true}\nenableNetworkPolicy: {enable: true}",
            "image-overrides": "startr: x:1\nstarter: y:1",
            "imageOverrides": "",
        }
    )

    assert reading.config == OperatorConfig(False, (("starter", "y:1"),))
    assert reading.errors == ()
    places = [warning.split(": ")[:2] for warning in reading.warnings]
    assert places == [
        ["imageOverrides", "not a key of this ConfigMap; its keys are featureFlags and "
         "image-overrides"],
        ["featureFlags", "enableFuture"],
        ["featureFlags", "enableNetworkPolicy.enable"],
        ["image-overrides", "startr"],
    ]  # fmt: skip


def test_many_mistakes_are_a_few_lines() -> None:
    many = "".join(f"name-{number}: a\n" for number in range(100))
    wrong = "".join(f"name-{number}: A\n" for number in range(100))

    assert len(read({"image-overrides": many}).warnings) == 6
    assert read({"image-overrides": many}).warnings[-1] == "image-overrides: 95 more of that kind"
    (error,) = read({"image-overrides": wrong}).errors
    assert error.endswith("; 95 more of that kind")


@pytest.mark.parametrize(
    "image",
    [
        "a",
        "a:1",
        "docker.io/a/b_c:latest",
        "[::1]:5000/a",
        "r.example/a@sha256:" + "0" * 64,
        "r.example/a@sha384:" + "0" * 96,
    ],
)
def test_images_of_every_form_are_taken(image: str) -> None:
    assert read({"image-overrides": f'starter: "{image}"'}).errors == ()


@pytest.mark.parametrize("image", ["", "A", "a b", "a:", "a@sha256:1", "http://a/b", "a//b", "-a"])
def test_what_no_container_runtime_takes_is_refused(image: str) -> None:
    assert read({"image-overrides": f'starter: "{image}"'}).errors != ()


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["featureFlags", "image-overrides", "x"]), st.text()))
def test_any_content_is_read_or_refused(data: dict[str, str]) -> None:
    last = OperatorConfig(True, (("starter", OTHER),))

    reading = read(data, last)

    assert reading.config is not None
    assert reading == read(data, last)
    assert all("\n" not in text for text in (*reading.errors, *reading.warnings))


# --- while the operator runs ---------------------------------------------------------------


class Capabilities:
    """A planner, and lists of what was asked of the rest."""

    def __init__(self) -> None:
        self.planner = Planner(Distributions.load())
        self.added: list[tuple[ObjectKey, int]] = []
        self.events: list[tuple[str, str]] = []
        self.live = LiveConfig(
            planner=self.planner,
            queue=self,
            resources=lambda: [resource()],
            recorder=self,
            options=Options(operator_namespace="system"),
        )

    def add(self, key: ObjectKey, *, priority: int = 0) -> None:
        self.added.append((key, priority))

    def add_after(self, key: ObjectKey, delay_s: float, *, priority: int = 0) -> None:
        raise AssertionError("a new configuration waits for nothing")

    def event(self, regarding: Object, *, type: str, reason: str, action: str, note: str) -> None:
        assert regarding["metadata"]["name"] == "llama-stack-operator-config"
        self.events.append((reason, note))

    @property
    def image(self) -> str:
        plan = self.planner.plan(resource())
        assert plan.generated is not None
        return plan.generated.image


def resource() -> dict[str, Any]:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {"distribution": {"name": "starter"}},
    }


def config_map(version: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "llama-stack-operator-config",
            "namespace": "system",
            "resourceVersion": version,
        },
        "data": {key.replace("_", "-"): text for key, text in data.items()},
    }


def test_change_reaches_plans_and_options_and_wakes_everybody_with_patience() -> None:
    around = Capabilities()
    around.live.take(None)
    default = around.image
    around.added.clear()
    before = config_map("1", image_overrides=f"starter: {OTHER}", featureFlags=ON)

    around.live.on_add(before, initial=False)

    assert around.image == OTHER
    assert around.live.options == Options(network_policies=True, operator_namespace="system")
    assert around.added == [(ObjectKey("n", "demo"), -100)]

    around.live.on_update(before, {**before, "metadata": {**before["metadata"], "labels": {}}})
    assert len(around.added) == 1  # the same content concerns nobody

    around.live.on_delete(before, final_state_unknown=False)
    assert around.image == default
    assert around.live.options == Options(operator_namespace="system")
    assert len(around.added) == 2


def test_mistake_changes_nothing_and_is_told_once() -> None:
    around = Capabilities()
    good, bad = config_map("1", featureFlags=ON), config_map("2", featureFlags="[")
    around.live.on_add(good, initial=True)
    around.added.clear()

    around.live.on_update(good, bad)
    around.live.on_update(bad, bad)

    assert around.live.options.network_policies
    assert (around.added, around.live.problem) == ([], "")
    ((reason, note),) = around.events
    assert reason == "InvalidOperatorConfig"
    assert note.startswith("featureFlags: line 1")
    assert note.endswith("What was last read holds until it is corrected")


def test_nothing_holds_before_the_first_content_is_right() -> None:
    around = Capabilities()
    assert around.live.problem

    bad = config_map("1", featureFlags="[")
    around.live.on_add(bad, initial=True)
    assert "featureFlags: line 1" in around.live.problem
    assert around.added == []

    around.live.on_update(bad, config_map("2", featureFlags=ON))
    assert around.live.problem == ""
    assert around.added == [(ObjectKey("n", "demo"), -100)]
