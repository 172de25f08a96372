# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Telemetry becomes environment variables of the server, and what has none is refused."""

from __future__ import annotations

from typing import Any

import pytest

from configs import telemetry
from tests.support.config_specs import errors, generate, secret, warnings


def test_telemetry_becomes_environment() -> None:
    found = generate(
        providers={
            "telemetry": {
                "provider": "opentelemetry",
                "endpoint": "http://otel:4318/",
                "settings": {"serviceName": "x", "OTEL_TRACES_SAMPLER": "always_on", "timeout": 5},
                "secretRefs": {"headers": secret("h")},
            }
        }
    )

    assert {item.name: getattr(item, "value", "(secret)") for item in found.env} == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "(secret)",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
        "OTEL_SERVICE_NAME": "x",
        "OTEL_TRACES_SAMPLER": "always_on",
    }
    assert "telemetry" not in str(found.config_yaml)


def test_telemetry_that_has_no_variable_is_refused() -> None:
    found = errors(
        providers={
            "telemetry": {
                "provider": "meta-reference",
                "apiKey": secret(),
                "settings": {"sinks": ["a"], "é": 1},
            }
        }
    )  # fmt: skip

    assert set(found) == {
        "spec.providers.telemetry.provider", "spec.providers.telemetry.apiKey",
        "spec.providers.telemetry.settings.sinks", "spec.providers.telemetry.settings.é",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "name"),
    [("serviceName", "OTEL_SERVICE_NAME"), ("OTEL_SERVICE_NAME", "OTEL_SERVICE_NAME"),
     ("otelTracesExporter", "OTEL_TRACES_EXPORTER"), ("a b", None)],
)  # fmt: skip
def test_names_of_telemetry_variables(setting: str, name: str | None) -> None:
    assert telemetry.variable(setting) == name


@pytest.mark.parametrize(
    ("given", "protocol", "warned"),
    [
        ({"endpoint": "http://c:4318"}, "http/protobuf", False),
        ({"endpoint": "https://c"}, "http/protobuf", False),
        ({"endpoint": "http://c:4317"}, "grpc", True),
        ({"endpoint": "http://c:4317", "settings": {"protocol": "http/json"}}, "http/json", False),
        ({"settings": {"serviceName": "x"}}, None, False),
    ],
)
def test_traces_are_sent_in_the_protocol_of_the_endpoint(
    given: dict[str, Any], protocol: str | None, warned: bool
) -> None:
    sections = {"providers": {"telemetry": {"provider": "otel", **given}}}

    found = {item.name: getattr(item, "value", "") for item in generate(**sections).env}

    assert found.get(telemetry.PROTOCOL) == protocol
    assert ("spec.providers.telemetry.endpoint" in warnings(**sections)) == warned


@pytest.mark.parametrize(
    "endpoint", ["grpc://c:4317", "http://c:x", "${env.COLLECTOR}", "http://:1"]
)
def test_an_endpoint_that_no_exporter_takes_is_refused(endpoint: str) -> None:
    found = errors(providers={"telemetry": {"provider": "otel", "endpoint": endpoint}})

    assert "http://collector:4318" in found["spec.providers.telemetry.endpoint"]


def test_two_collectors_are_refused_naming_both() -> None:
    found = errors(
        providers={
            "telemetry": [
                {"id": "a", "provider": "otel", "endpoint": "http://a:4318"},
                {"id": "b", "provider": "otel", "endpoint": "http://b:4318"},
            ]
        }
    )

    path = "spec.providers.telemetry[1].endpoint"
    assert telemetry.ENDPOINT in found[path]
    assert "spec.providers.telemetry[0].endpoint" in found[path]


def test_disabled_telemetry_is_as_it_is_without() -> None:
    sections = {"disabled": ["telemetry"]}

    assert not generate(**sections).env
    assert "no telemetry is sent" in warnings(**sections)["spec.disabled[0]"]
