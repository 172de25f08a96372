# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A reflector that is driven by hand, and the objects and events that it is driven with."""

from __future__ import annotations

import random
from typing import Any

import orjson

from informers.decoder import INITIAL_EVENTS_END, Decoder
from informers.errors import (
    ApiError,
    TransportError,
)
from informers.metrics import NO_METRICS, Gauges
from informers.options import ReflectorOptions
from informers.ports import ObjectKey, Page, Resource
from informers.reflector import Reflector
from informers.reflector_messages import (
    Failed,
    Input,
    Line,
    OpenWatch,
    Output,
    PageArrived,
    Started,
    Wait,
    WaitOver,
    WatchOpened,
)
from informers.transforms import drop_noise
from tests.support.fakecluster import CONFIG_MAPS, line

PAGED = ReflectorOptions(streaming_list=False)
STREAMED = ReflectorOptions()


class Driven:
    """A reflector with a clock that moves by hand."""

    def __init__(self, tuning: ReflectorOptions, resource: Resource = CONFIG_MAPS) -> None:
        zero = Gauges(store_size=int, store_rv_age_s=float, last_event_age_s=float)
        metrics = NO_METRICS.informer("test", zero)
        self.failures: list[str] = []
        decoder = Decoder(
            resource,
            transform=drop_noise,
            metrics=metrics,
            on_error=lambda key, error: self.failures.append(f"{key}: {error}"),
        )
        self.reflector = Reflector(decoder, rng=random.Random(1), metrics=metrics, tuning=tuning)
        self.now = 1000.0

    def give(self, message: Input) -> tuple[Output, ...]:
        return self.reflector.step(message, self.now)

    def only(self, message: Input) -> Output:
        outputs = self.give(message)
        assert len(outputs) == 1, outputs
        return outputs[0]

    def fail(self, error: ApiError) -> Output:
        return self.only(Failed(error))

    def line(self, type_: str, obj: dict[str, Any]) -> tuple[Output, ...]:
        return self.give(Line(line(type_, obj).rstrip()))


def config_map(name: str, version: int, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


def end_of_initial(version: int) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "resourceVersion": str(version),
            "annotations": {INITIAL_EVENTS_END: "true"},
        },
    }


def key(name: str) -> ObjectKey:
    return ObjectKey("default", name)


def page(*objects: dict[str, Any], version: int, more: str = "") -> PageArrived:
    return PageArrived(Page(objects, str(version), more))


def synced(tuning: ReflectorOptions = PAGED, version: int = 100) -> Driven:
    """A reflector whose list was taken over, about to open its watch."""
    driven = Driven(tuning)
    driven.give(Started())
    if tuning.streaming_list:
        driven.give(WatchOpened())
        driven.line("BOOKMARK", end_of_initial(version))
        driven.give(Failed(TransportError("cut")))  # a bookmark is no progress: it waits
        driven.give(WaitOver())
    else:
        driven.give(page(version=version))
    return driven


def watching(tuning: ReflectorOptions = PAGED, version: int = 100) -> Driven:
    driven = synced(tuning, version)
    assert driven.give(WatchOpened()) == ()
    return driven


def waits(output: Output) -> Wait:
    """The output is a wait with back-off."""
    assert isinstance(output, Wait), output
    assert output.seconds > 0, output
    return output


def at_once(output: Output) -> None:
    """The output is a wait of no length: try again now."""
    assert isinstance(output, Wait), output
    assert output.seconds == 0, output


def opens(output: Output) -> OpenWatch:
    """The output is a watch to open."""
    assert isinstance(output, OpenWatch), output
    return output


def gone_event() -> Line:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    return Line(orjson.dumps({"type": "ERROR", "object": status}))
