# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Flags and environment: what they give, and what a mistake says."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.root import ROOT
from llamastack_operator import settings_values as values
from llamastack_operator.observability.bind import BindAddress
from llamastack_operator.settings import (
    FLAGS,
    Settings,
    SettingsError,
    add_arguments,
    from_args,
)
from llamastack_operator.settings_flag import setting

if TYPE_CHECKING:
    from llamastack_operator.observability.logging import Level

CA_FILE = certifi.where()
TABLE = str(ROOT / "configs" / "data" / "distributions.json")
NO_POD = Path("/nonexistent/namespace")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="operator")
    add_arguments(made)
    return made


def read(
    *words: str, env: Mapping[str, str] | None = None, namespace_file: Path = NO_POD
) -> Settings:
    return from_args(parser().parse_args(words), env or {}, namespace_file=namespace_file)


def test_defaults_are_those_of_the_documentation() -> None:
    assert read() == Settings(
        kubeconfig="",
        context="",
        namespaces=(),
        leader_elect=False,
        leader_elect_namespace="",
        workers=8,
        metrics_bind_address=BindAddress("", 8080),
        health_probe_bind_address=BindAddress("", 8081),
        webhook_port=9443,
        webhook_host="",
        webhook_cert_dir="",
        missing_references="refuse",
        log_level="info",
        log_format="console",
        reconcile_timeout_s=60.0,
        resync_s=36000.0,
        allow_cross_namespace_config=False,
        fixed_uids="auto",
        operator_image="",
        external_provider_delivery="init-container",
        external_provider_memory="512Mi",
        external_provider_volume="2Gi",
        preflight=True,
        distributions_file="",
        registry_ca_file="",
        registry_plain_http=(),
        registry_timeout_s=30.0,
        probe_servers="auto",
        probe_timeout_s=5.0,
    )


def test_settings_without_arguments_are_the_defaults() -> None:
    assert Settings() == read()


def test_flag_is_called_like_its_field_but_for_units_and_the_plural() -> None:
    for name, flag in FLAGS.items():
        assert flag.dest in {name, name.removesuffix("_s"), name.removesuffix("s")}


if TYPE_CHECKING:
    # A type checker compares what a parser returns with the type of its field: it fails here,
    # with an ignored error that is none, if it no longer does.
    _number_of_text: int = setting("--x", values.text, default="", text="")  # type: ignore[assignment]
    _unknown_word: Level = setting("--x", values.choice("loud"), default="", text="")  # type: ignore[arg-type]


def test_every_flag_is_honoured() -> None:
    settings = read(
        *("--kubeconfig", "k", "--context", "c", "--namespace", "a", "--namespace=b"),
        *("--leader-elect", "--leader-elect-namespace", "l", "--workers", "3"),
        *("--metrics-bind-address", "0", "--health-probe-bind-address=127.0.0.1:0"),
        *("--log-level", "debug", "--log-format", "json"),
        *("--reconcile-timeout", "90s", "--resync", "1h30m"),
        *("--allow-cross-namespace-config", "--distributions-file", TABLE),
        "--fixed-uids=false",
        *("--webhook-port", "0", "--webhook-host", "127.0.0.1"),
        *("--webhook-cert-dir", "/certs", "--missing-references=warn"),
        *("--registry-ca-file", CA_FILE, "--registry-timeout", "5s"),
        *("--registry-plain-http", "a:5000", "--registry-plain-http=[::1]"),
        *("--probe-servers", "off", "--probe-timeout", "2s"),
    )

    assert settings == Settings(
        kubeconfig="k",
        context="c",
        namespaces=("a", "b"),
        leader_elect=True,
        leader_elect_namespace="l",
        workers=3,
        metrics_bind_address=BindAddress(enabled=False),
        health_probe_bind_address=BindAddress("127.0.0.1", 0),
        webhook_port=0,
        webhook_host="127.0.0.1",
        webhook_cert_dir="/certs",
        missing_references="warn",
        log_level="debug",
        log_format="json",
        reconcile_timeout_s=90.0,
        resync_s=5400.0,
        allow_cross_namespace_config=True,
        fixed_uids="false",
        distributions_file=TABLE,
        registry_ca_file=CA_FILE,
        registry_plain_http=("a:5000", "[::1]"),
        registry_timeout_s=5.0,
        probe_servers="off",
        probe_timeout_s=2.0,
    )


def test_every_flag_has_a_variable() -> None:
    settings = read(
        env={
            "LLAMASTACK_OPERATOR_KUBECONFIG": "k",
            "LLAMASTACK_OPERATOR_CONTEXT": "c",
            "LLAMASTACK_OPERATOR_NAMESPACE": "a, b,a",
            "LLAMASTACK_OPERATOR_LEADER_ELECT": "True",
            "LLAMASTACK_OPERATOR_LEADER_ELECT_NAMESPACE": "l",
            "LLAMASTACK_OPERATOR_WORKERS": "3",
            "LLAMASTACK_OPERATOR_METRICS_BIND_ADDRESS": "0",
            "LLAMASTACK_OPERATOR_HEALTH_PROBE_BIND_ADDRESS": "[::1]:0",
            "LLAMASTACK_OPERATOR_WEBHOOK_PORT": "off",
            "LLAMASTACK_OPERATOR_WEBHOOK_HOST": "[::1]",
            "LLAMASTACK_OPERATOR_WEBHOOK_CERT_DIR": "d",
            "LLAMASTACK_OPERATOR_MISSING_REFERENCES": "warn",
            "LLAMASTACK_OPERATOR_LOG_LEVEL": "error",
            "LLAMASTACK_OPERATOR_LOG_FORMAT": "json",
            "LLAMASTACK_OPERATOR_RECONCILE_TIMEOUT": "2m",
            "LLAMASTACK_OPERATOR_RESYNC": "0.5s",
            "LLAMASTACK_OPERATOR_ALLOW_CROSS_NAMESPACE_CONFIG": "yes",
            "LLAMASTACK_OPERATOR_FIXED_UIDS": "true",
            "LLAMASTACK_OPERATOR_DISTRIBUTIONS_FILE": TABLE,
            "LLAMASTACK_OPERATOR_REGISTRY_CA_FILE": CA_FILE,
            "LLAMASTACK_OPERATOR_REGISTRY_PLAIN_HTTP": "a, b:5000",
            "LLAMASTACK_OPERATOR_REGISTRY_TIMEOUT": "1m",
            "LLAMASTACK_OPERATOR_PROBE_SERVERS": "proxy",
            "LLAMASTACK_OPERATOR_PROBE_TIMEOUT": "3s",
        }
    )

    assert settings == Settings(
        kubeconfig="k",
        context="c",
        namespaces=("a", "b"),
        leader_elect=True,
        leader_elect_namespace="l",
        workers=3,
        metrics_bind_address=BindAddress(enabled=False),
        health_probe_bind_address=BindAddress("::1", 0),
        webhook_port=None,
        webhook_host="::1",
        webhook_cert_dir="d",
        missing_references="warn",
        log_level="error",
        log_format="json",
        reconcile_timeout_s=120.0,
        resync_s=0.5,
        allow_cross_namespace_config=True,
        fixed_uids="true",
        distributions_file=TABLE,
        registry_ca_file=CA_FILE,
        registry_plain_http=("a", "b:5000"),
        registry_timeout_s=60.0,
        probe_servers="proxy",
        probe_timeout_s=3.0,
    )


def test_flag_beats_variable_and_empty_variable_counts_for_nothing() -> None:
    env = {"LLAMASTACK_OPERATOR_WORKERS": "3", "LLAMASTACK_OPERATOR_LOG_LEVEL": ""}
    settings = read("--workers", "5", env=env)

    assert (settings.workers, settings.log_level) == (5, "info")


def test_empty_flag_beats_its_variable() -> None:
    assert read("--context", "", env={"LLAMASTACK_OPERATOR_CONTEXT": "c"}).context == ""


@pytest.mark.parametrize("word", ["--leader-elect=false", "--leader-elect=0"])
def test_switch_can_be_turned_off_over_its_variable(word: str) -> None:
    assert not read(word, env={"LLAMASTACK_OPERATOR_LEADER_ELECT": "true"}).leader_elect


def test_lease_namespace_is_the_flag_else_the_variable_else_the_pods_own(tmp_path: Path) -> None:
    pod = tmp_path / "namespace"
    pod.write_text("from-pod\n", encoding="utf-8")
    env = {"OPERATOR_NAMESPACE": "from-env"}

    def namespace(*words: str, env: Mapping[str, str]) -> str:
        return read("--leader-elect", *words, env=env, namespace_file=pod).leader_elect_namespace

    assert namespace("--leader-elect-namespace=from-flag", env=env) == "from-flag"
    assert namespace(env=env) == "from-env"
    assert namespace(env={}) == "from-pod"


def test_leader_election_outside_a_cluster_needs_to_be_told_where() -> None:
    with pytest.raises(SettingsError, match=r"^--leader-elect: .* --leader-elect-namespace"):
        read("--leader-elect")


@pytest.mark.parametrize(
    ("flag", "bad", "allowed"),
    [
        ("--workers", "0", "a whole number from 1 to 256"),
        ("--workers", "many", "a whole number from 1 to 256"),
        ("--workers", "٣", "a whole number from 1 to 256"),
        ("--metrics-bind-address", "8080", "[HOST]:PORT, such as :8080"),
        ("--health-probe-bind-address", "::1:80", "[HOST]:PORT, such as :8080"),
        ("--webhook-port", "-1", "a port from 0 to 65535"),
        ("--webhook-port", "65536", "a port from 0 to 65535"),
        ("--webhook-port", ":9443", "a port from 0 to 65535"),
        ("--webhook-host", "a.example:9443", "the name of a host without its port"),
        ("--webhook-host", "https://a", "the name of a host without its port"),
        ("--webhook-host", "a_b", "the name of a host without its port"),
        ("--missing-references", "ignore", "one of refuse, warn"),
        ("--log-level", "loud", "one of debug, info, warning, error"),
        ("--log-format", "xml", "one of console, json"),
        ("--reconcile-timeout", "0s", "a duration above zero, such as 90s"),
        ("--registry-ca-file", "/nonexistent", "a file with certificates in PEM form"),
        ("--registry-ca-file", __file__, "a file with certificates in PEM form"),
        ("--registry-plain-http", "http://a", "HOST or HOST:PORT"),
        ("--distributions-file", "/nonexistent", "a file that can be read"),
        ("--distributions-file", __file__, "a table of distributions: it is not JSON"),
        ("--resync", "10", "a duration above zero, such as 90s"),
        ("--resync", "-1h", "a duration above zero, such as 90s"),
        ("--leader-elect", "maybe", "true or false"),
        ("--namespace", "Not_A_Name", "a namespace: at most 63 of a-z"),
        ("--leader-elect-namespace", "x" * 64, "a namespace: at most 63 of a-z"),
    ],
)
def test_mistake_names_where_it_was_made_the_value_and_what_is_allowed(
    flag: str, bad: str, allowed: str
) -> None:
    variable = "LLAMASTACK_OPERATOR_" + flag[2:].replace("-", "_").upper()
    for source, settings in ((flag, ([f"{flag}={bad}"], {})), (variable, ([], {variable: bad}))):
        words, env = settings
        with pytest.raises(SettingsError) as caught:
            read(*words, env=env)

        message = str(caught.value)
        assert message.startswith(f"{source}: {bad!r} is not {allowed}")
        assert "\n" not in message


@pytest.mark.parametrize("address", [":8080", "127.0.0.1:99"])
def test_two_servers_cannot_share_an_address(address: str) -> None:
    with pytest.raises(SettingsError, match=f"both are {address}"):
        read("--metrics-bind-address", address, "--health-probe-bind-address", address)


@pytest.mark.parametrize("address", [":0", "0"])
def test_two_servers_may_both_be_off_or_on_any_free_port(address: str) -> None:
    settings = read("--metrics-bind-address", address, "--health-probe-bind-address", address)

    assert settings.metrics_bind_address == settings.health_probe_bind_address


def test_help_names_the_variable_and_the_default_of_each_flag() -> None:
    text = " ".join(parser().format_help().split())

    for flag in FLAGS.values():
        assert f"env: LLAMASTACK_OPERATOR_{flag.dest.upper()}" in text
    assert "(default: :8080; env: LLAMASTACK_OPERATOR_METRICS_BIND_ADDRESS)" in text
    assert "(default: $KUBECONFIG, else in-cluster, else ~/.kube/config;" in text


def test_settings_cannot_be_changed() -> None:
    settings = read()
    with pytest.raises(FrozenInstanceError):
        settings.__setattr__("workers", 3)


@given(hours=st.integers(0, 99), minutes=st.integers(0, 99), seconds=st.integers(1, 99))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    settings = read("--resync", f"{hours}h{minutes}m{seconds}s")

    assert settings.resync_s == hours * 3600 + minutes * 60 + seconds
