# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The settings of the process: flags and environment, read once into one frozen value.

The class :class:`Settings` says everything about a setting, once: how it is spelled, what it means,
what it may be. Flags, variables, help, error messages and the table in docs/operations.md are made
from it, so they cannot disagree. A flag beats its variable (``LLAMASTACK_OPERATOR_<FLAG>``), which
beats the default. argparse only collects texts: values are read here, whichever way they came, so
that a wrong flag and a wrong variable fail alike, in one line that names what was set, to what, and
what would be right.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from controller.runtime.controller import DEFAULT_TIMEOUT_S, DEFAULT_WORKERS
from llamastack_operator import settings_values as values
from llamastack_operator.kube.config import NAMESPACE_FILE, in_cluster_namespace
from llamastack_operator.settings_flag import Flag, flag_of, setting

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from llamastack_operator.observability.bind import BindAddress
    from llamastack_operator.observability.logging import Format, Level
    from llamastack_operator.probing.routes import Mode

OPERATOR_NAMESPACE: Final = "OPERATOR_NAMESPACE"  # set by our manifests, from the downward API

OPERATOR_IMAGE: Final = "OPERATOR_IMAGE"  # may be set by whoever deploys the operator

MOST_WORKERS: Final = 256  # more than connections to the API server is waiting, not working

FixedUids: TypeAlias = Literal["auto", "true", "false"]
Delivery: TypeAlias = Literal["init-container", "image-volume", "auto"]
MissingReferences: TypeAlias = Literal["refuse", "warn"]


class SettingsError(Exception):
    """A flag or variable makes no sense. The message names it, its value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator was told. A setting that may be left out is an empty text or tuple then."""

    kubeconfig: str = setting(
        "--kubeconfig",
        values.text,
        default="",
        metavar="FILE",
        text="cluster to use",
        shown_default="$KUBECONFIG, else in-cluster, else ~/.kube/config",
    )
    context: str = setting(
        "--context",
        values.text,
        default="",
        metavar="NAME",
        text="context of the kubeconfig to use",
        shown_default="its current one",
    )
    namespaces: tuple[str, ...] = setting(
        "--namespace",
        values.namespaces,
        default="",
        metavar="NS",
        text="work in this namespace only, for which Roles suffice; may be repeated",
        shown_default="the whole cluster",
        repeatable=True,
    )
    leader_elect: bool = setting(
        "--leader-elect",
        values.switch,
        default="false",
        text="work only while holding the lease; needed for more than one replica",
    )
    leader_elect_namespace: str = setting(
        "--leader-elect-namespace",
        values.namespace,
        default="",
        metavar="NS",
        text="the operator's own namespace, of its lease and its ConfigMap",
        shown_default=f"${OPERATOR_NAMESPACE}, else the pod's own",
    )
    workers: int = setting(
        "--workers",
        values.number(1, MOST_WORKERS),
        default=str(DEFAULT_WORKERS),
        metavar="N",
        text="how many resources are reconciled at a time",
    )
    metrics_bind_address: BindAddress = setting(
        "--metrics-bind-address",
        values.address,
        default=":8080",
        metavar="ADDR",
        text="where /metrics is served; port 0 is any free one, 0 switches it off",
    )
    health_probe_bind_address: BindAddress = setting(
        "--health-probe-bind-address",
        values.address,
        default=":8081",
        metavar="ADDR",
        text="where /healthz and /readyz are served; port 0 is any free one, 0 switches it off",
    )
    webhook_port: int | None = setting(
        "--webhook-port",
        values.port_or_off,
        default="9443",
        metavar="PORT",
        text="where conversion and admission are served; 0 is any free port, off switches it off",
    )
    webhook_host: str = setting(
        "--webhook-host",
        values.host,
        default="",
        metavar="HOST",
        text="name or address that the API server calls the webhooks by, where that is no Service "
        "of the cluster; at a loopback address they listen there only",
        shown_default="the Service",
    )
    webhook_cert_dir: str = setting(
        "--webhook-cert-dir",
        values.text,
        default="",
        metavar="DIR",
        text="folder with tls.crt and tls.key to serve the webhooks with; read again when they "
        "change, and whom the API server trusts is then not the operator's business",
        shown_default="the operator makes its own",
    )
    missing_references: MissingReferences = setting(
        "--missing-references",
        values.choice("refuse", "warn"),
        default="refuse",
        metavar="HOW",
        text="what becomes of a resource that names a Secret or ConfigMap that is not there: "
        "refuse it, or warn, for tools that apply in any order",
    )
    log_level: Level = setting(
        "--log-level",
        values.choice("debug", "info", "warning", "error"),
        default="info",
        metavar="LEVEL",
        text="lowest level that is logged: debug, info, warning or error",
    )
    log_format: Format = setting(
        "--log-format",
        values.choice("console", "json"),
        default="console",
        metavar="FORMAT",
        text="console for people, json for machines",
    )
    reconcile_timeout_s: float = setting(
        "--reconcile-timeout",
        values.duration,
        default=f"{DEFAULT_TIMEOUT_S:g}s",
        metavar="DURATION",
        text="how long one reconcile may take, such as 90s or 2m",
    )
    resync_s: float = setting(
        "--resync",
        values.duration,
        default="10h",
        metavar="DURATION",
        text="how often everything is looked at without an event, such as 1h30m",
    )
    allow_cross_namespace_config: bool = setting(
        "--allow-cross-namespace-config",
        values.switch,
        default="false",
        text="let resources name ConfigMaps of other namespaces, which the operator then reads "
        "for whoever may edit a resource",
    )
    fixed_uids: FixedUids = setting(
        "--fixed-uids",
        values.choice("auto", "true", "false"),
        default="auto",
        metavar="WHEN",
        text="whether pods name user and group ids: true, false or auto, which is not on OpenShift",
    )
    operator_image: str = setting(
        "--operator-image",
        values.text,
        default="",
        metavar="IMAGE",
        text="image of the operator, in which pods merge external providers into a configuration",
        shown_default=f"${OPERATOR_IMAGE}, else that of the operator's own pod",
    )
    external_provider_delivery: Delivery = setting(
        "--external-provider-delivery",
        values.choice("init-container", "image-volume", "auto"),
        default="init-container",
        metavar="HOW",
        text="how packages get out of the images of external providers: init-container runs Python "
        "and pip of the image; image-volume mounts it and runs those of the server, for which "
        "Kubernetes 1.35 is needed; auto takes the second where the cluster has it",
    )
    external_provider_memory: str = setting(
        "--external-provider-memory",
        values.quantity,
        default="512Mi",
        metavar="QUANTITY",
        text="memory limit of each init container that installs an external provider, where the "
        "resource does not say",
    )
    external_provider_volume: str = setting(
        "--external-provider-volume",
        values.quantity,
        default="2Gi",
        metavar="QUANTITY",
        text="most that the packages of external providers may take on the disk of a node, where "
        "the resource does not say",
    )
    preflight: bool = setting(
        "--preflight",
        values.switch,
        default="true",
        text="load external providers once before the server does, so that a mistake is told in "
        "one message",
    )
    distributions_file: str = setting(
        "--distributions-file",
        values.distributions_file,
        default="",
        metavar="FILE",
        text="table of distributions to use instead of the built-in one, of the form of "
        "configs/data/distributions.json; read once, at the start",
        shown_default="the built-in one",
    )
    registry_ca_file: str = setting(
        "--registry-ca-file",
        values.ca_file,
        default="",
        metavar="FILE",
        text="CAs to trust when image labels are read, besides the system's",
        shown_default="none",
    )
    registry_plain_http: tuple[str, ...] = setting(
        "--registry-plain-http",
        values.hosts,
        default="",
        metavar="HOST",
        text="registry to speak to without TLS, as in image references; may be repeated",
        shown_default="none",
        repeatable=True,
    )
    registry_timeout_s: float = setting(
        "--registry-timeout",
        values.duration,
        default="30s",
        metavar="DURATION",
        text="how long reading the labels of one image may take",
    )
    probe_servers: Mode = setting(
        "--probe-servers",
        values.choice("auto", "direct", "proxy", "off"),
        default="auto",
        metavar="HOW",
        text="how running servers are asked for their version and providers: direct, by their "
        "Services; proxy, through the API server; auto, the first in a cluster and the second "
        "outside; or off",
    )
    probe_timeout_s: float = setting(
        "--probe-timeout",
        values.duration,
        default="5s",
        metavar="DURATION",
        text="how long asking one server may take",
    )


FLAGS: Final = {field.name: flag_of(field) for field in fields(Settings)}
"""By the names of the fields."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All flags, with help that names the variable and the default of each."""
    for flag in FLAGS.values():
        if flag.repeatable:
            parser.add_argument(flag.flag, action="append", metavar=flag.metavar, help=flag.help)
        elif not flag.metavar:
            parser.add_argument(
                flag.flag, nargs="?", const="true", metavar="true|false", help=flag.help
            )
        else:
            parser.add_argument(flag.flag, metavar=flag.metavar, help=flag.help)


def from_args(
    arguments: argparse.Namespace,
    env: Mapping[str, str],
    *,
    namespace_file: Path = NAMESPACE_FILE,
) -> Settings:
    """Read the settings.

    Args:
        arguments: of a parser that went through :func:`add_arguments`.
        env: the environment.
        namespace_file: where Kubernetes tells a pod its namespace.

    Raises:
        SettingsError: one of them makes no sense, or they do not go together.
    """
    given = {name: _read(flag, arguments, env) for name, flag in FLAGS.items()}
    if not given["leader_elect_namespace"]:
        given["leader_elect_namespace"] = env.get(OPERATOR_NAMESPACE) or in_cluster_namespace(
            namespace_file
        )
    given["operator_image"] = given["operator_image"] or env.get(OPERATOR_IMAGE, "")
    settings = Settings(**given)
    _check_together(settings)
    return settings


def _read(flag: Flag, arguments: argparse.Namespace, env: Mapping[str, str]) -> Any:
    given = getattr(arguments, flag.dest)
    if given is not None:
        source, text = flag.flag, ",".join(given) if flag.repeatable else given
    elif env.get(flag.env):
        source, text = flag.env, env[flag.env]
    else:
        source, text = flag.flag, flag.default
    try:
        return flag.parse(text)
    except ValueError as error:
        raise SettingsError(f"{source}: {text!r} is not {error}") from None


def _check_together(settings: Settings) -> None:
    if settings.leader_elect and not settings.leader_elect_namespace:
        raise SettingsError(
            f"--leader-elect: not in a cluster and {OPERATOR_NAMESPACE} is not set, "
            "so say where the lease is with --leader-elect-namespace"
        )
    metrics, health = settings.metrics_bind_address, settings.health_probe_bind_address
    if metrics == health and metrics.enabled and metrics.port:
        raise SettingsError(
            f"--metrics-bind-address and --health-probe-bind-address: both are {metrics}; "
            "choose two"
        )
