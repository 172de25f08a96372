# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Telemetry: a section of the spec that becomes environment (R-D5b).

No server since 0.4 has a telemetry provider; the OpenTelemetry SDK in the image reads ``OTEL_*``,
and the entrypoint of the image turns instrumentation on as soon as one of them is set.

Two senders share the endpoint. The server sends its metrics itself, always by HTTP, to the endpoint
with ``/v1/metrics`` behind it (telemetry/__init__.py of 0.7.3): so the endpoint loses its slash.
Instrumentation sends traces, by gRPC unless told otherwise, and would find nobody at the same
address: so it is told ``http/protobuf``, unless the user says something, or the port is gRPC's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from api.v1alpha2 import Provider
from api.v1alpha2.references import provider_variables
from configs import references
from configs.errors import Findings
from configs.secrets import Environment

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Where the SDK sends traces and metrics."""

PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
"""How it sends traces."""

_GRPC_PORT: Final = 4317
"""Where collectors listen for gRPC, by convention; for HTTP it is 4318."""

_NAMES: Final = frozenset({"opentelemetry", "otel", "otlp"})
_SHORT: Final = {
    "service_name": "OTEL_SERVICE_NAME",
    "resource_attributes": "OTEL_RESOURCE_ATTRIBUTES",
    "protocol": "OTEL_EXPORTER_OTLP_PROTOCOL",
    "headers": "OTEL_EXPORTER_OTLP_HEADERS",
    "compression": "OTEL_EXPORTER_OTLP_COMPRESSION",
    "timeout": "OTEL_EXPORTER_OTLP_TIMEOUT",
    "certificate": "OTEL_EXPORTER_OTLP_CERTIFICATE",
}
"""Settings with a name of their own; any other is the variable itself, with or without OTEL_."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_VARIABLE = re.compile(r"OTEL_[A-Z0-9_]+")


def expand(providers: Sequence[Provider], environment: Environment, findings: Findings) -> None:
    """Adds the variables of a telemetry section.

    Args:
        providers: of the section.
        environment: receives the variables.
        findings: receives what cannot become one.
    """
    for provider in providers:
        if provider.provider.split("::")[-1].lower() not in _NAMES:
            findings.error(
                f"{provider.path}.provider",
                f'unknown provider "{provider.provider}" for telemetry',
                "the server knows OpenTelemetry only: use opentelemetry",
            )
        _endpoint(provider, environment, findings)
        for key in sorted(provider.settings):
            _setting(key, provider.settings[key], provider.path, environment, findings)
        _secrets(provider, environment, findings)


def _endpoint(provider: Provider, environment: Environment, findings: Findings) -> None:
    """The endpoint, and the protocol that fits it if the user names none."""
    endpoint, path = provider.endpoint, f"{provider.path}.endpoint"
    if not endpoint:
        return
    try:
        url = urlsplit(endpoint)
        port, usable = url.port, url.scheme in {"http", "https"} and bool(url.hostname)
    except ValueError:
        port, usable = None, False
    if not usable or references.MARK in endpoint:
        text = "is not the http:// or https:// URL of a collector"
        findings.error(path, text, "for example http://collector:4318")
        return
    environment.value(ENDPOINT, endpoint.rstrip("/"), path)
    named = {variable(name) for name in (*provider.settings, *provider.secret_refs)}
    if named & {PROTOCOL, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"}:
        return
    if port == _GRPC_PORT:
        text = "is a port for gRPC by convention, but the server sends its metrics by HTTP"
        findings.warn(path, text, "use the collector's HTTP port, for example 4318")
    environment.value(PROTOCOL, "grpc" if port == _GRPC_PORT else "http/protobuf", path)


def _setting(key: str, value: Any, path: str, environment: Environment, findings: Findings) -> None:
    where = f"{path}.settings.{key}"
    name = variable(key)
    if name is None:
        findings.error(where, "has no OTEL_* variable", "name the variable itself")
    elif isinstance(value, bool):
        environment.value(name, "true" if value else "false", where)
    elif isinstance(value, str | int | float):
        environment.value(name, str(value), where)
    else:
        findings.error(where, "must be a string, a number or a boolean to become a variable")


def _secrets(provider: Provider, environment: Environment, findings: Findings) -> None:
    if provider.api_key:
        findings.error(
            f"{provider.path}.apiKey",
            "is not taken by telemetry",
            "keep the whole header in a Secret: secretRefs.headers",
        )
    for item in provider_variables(provider):
        if name := variable(item.field):
            environment.secret(name, item.secret, item.path, is_text=False)
        else:
            findings.error(item.path, "has no OTEL_* variable", "name the variable itself")


def variable(setting: str) -> str | None:
    """The variable of a setting: serviceName, service_name and OTEL_SERVICE_NAME are the same."""
    snake = _HUMP.sub("_", setting).replace("-", "_").replace(".", "_")
    if named := _SHORT.get(snake.lower().removeprefix("otel_")):
        return named
    name = snake.upper()
    name = name if name.startswith("OTEL_") else f"OTEL_{name}"
    return name if _VARIABLE.fullmatch(name) else None
