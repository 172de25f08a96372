# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The settings of the process: flags and environment, read once into one frozen value.

One table says everything about a setting: how it is spelled, what it means, what it may be. Help,
variables and error messages are made from it, so they cannot disagree. A flag beats its variable
(``LLAMASTACK_OPERATOR_<FLAG>``), which beats the default. argparse only collects texts: values
are read here, whichever way they came, so that a wrong flag and a wrong variable fail alike, in
one line that names what was set, to what, and what would be right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from controller.runtime.controller import DEFAULT_TIMEOUT_S, DEFAULT_WORKERS
from llamastack_operator import settings_values as values
from llamastack_operator.kube.config import NAMESPACE_FILE, in_cluster_namespace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from llamastack_operator.observability.bind import BindAddress
    from llamastack_operator.observability.logging import Format, Level
    from llamastack_operator.probing.routes import Mode

ENV_PREFIX: Final = "LLAMASTACK_OPERATOR_"
OPERATOR_NAMESPACE: Final = "OPERATOR_NAMESPACE"  # set by our manifests, from the downward API

MOST_WORKERS: Final = 256  # more than connections to the API server is waiting, not working

FixedUids: TypeAlias = Literal["auto", "true", "false"]


class SettingsError(Exception):
    """A flag or variable makes no sense. The message names it, its value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator was told.

    Attributes:
        kubeconfig: file, or several separated by ``:``; empty: ``KUBECONFIG``, else in-cluster.
        context: of the kubeconfig; empty for its current one.
        namespaces: to work in, without duplicates; empty for the whole cluster.
        leader_elect: work only while holding the lease.
        leader_elect_namespace: the operator's own: of the lease, and of its ConfigMap; empty if it
            is not known, and only without ``leader_elect``.
        workers: reconciles at a time.
        metrics_bind_address: of ``/metrics``.
        health_probe_bind_address: of ``/healthz`` and ``/readyz``.
        log_level: lowest level of our own records.
        log_format: for people or for machines.
        reconcile_timeout_s: seconds that one reconcile may take.
        resync_s: seconds between two looks at everything without an event.
        allow_cross_namespace_config: whether resources may name ConfigMaps of other namespaces.
        fixed_uids: whether pods name user and group ids: ``true``, ``false``, or ``auto``, which is
            not where the cluster assigns them.
        distributions_file: a table of distributions to use instead of the built-in one.
        registry_ca_file: PEM file with CAs to trust besides the system's; empty for none.
        registry_plain_http: registries, host and perhaps port, that are spoken to without TLS.
        registry_timeout_s: seconds for reading the labels of one image.
        probe_servers: how running servers are reached.
        probe_timeout_s: seconds for asking one server.
    """

    kubeconfig: str
    context: str
    namespaces: tuple[str, ...]
    leader_elect: bool
    leader_elect_namespace: str
    workers: int
    metrics_bind_address: BindAddress
    health_probe_bind_address: BindAddress
    log_level: Level
    log_format: Format
    reconcile_timeout_s: float
    resync_s: float
    allow_cross_namespace_config: bool
    fixed_uids: FixedUids
    distributions_file: str
    registry_ca_file: str
    registry_plain_http: tuple[str, ...]
    registry_timeout_s: float
    probe_servers: Mode
    probe_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flag:
    """One row of the table.

    Attributes:
        flag: with dashes.
        field: of :class:`Settings`.
        parse: reads a text; a ``ValueError`` says what is allowed.
        default: as a text.
        metavar: stands for the value in the help; empty for a switch.
        text: what it is for.
        shown_default: in the help, if the default is no text that one could give.
        repeatable: may be given several times; a variable separates values by commas.
    """

    flag: str
    field: str
    parse: Callable[[str], Any]
    default: str
    metavar: str
    text: str
    shown_default: str = ""
    repeatable: bool = False

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.dest.upper()

    @property
    def dest(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def help(self) -> str:
        default = self.shown_default or self.default
        several = ", separated by commas" if self.repeatable else ""
        return f"{self.text} (default: {default}; env: {self.env}{several})".replace("%", "%%")


FLAGS: Final = (
    _Flag(
        flag="--kubeconfig",
        field="kubeconfig",
        parse=values.text,
        default="",
        metavar="FILE",
        text="cluster to use",
        shown_default="$KUBECONFIG, else in-cluster, else ~/.kube/config",
    ),
    _Flag(
        flag="--context",
        field="context",
        parse=values.text,
        default="",
        metavar="NAME",
        text="context of the kubeconfig to use",
        shown_default="its current one",
    ),
    _Flag(
        flag="--namespace",
        field="namespaces",
        parse=values.namespaces,
        default="",
        metavar="NS",
        text="work in this namespace only, for which Roles suffice; may be repeated",
        shown_default="the whole cluster",
        repeatable=True,
    ),
    _Flag(
        flag="--leader-elect",
        field="leader_elect",
        parse=values.switch,
        default="false",
        metavar="",
        text="work only while holding the lease; needed for more than one replica",
    ),
    _Flag(
        flag="--leader-elect-namespace",
        field="leader_elect_namespace",
        parse=values.namespace,
        default="",
        metavar="NS",
        text="the operator's own namespace, of its lease and its ConfigMap",
        shown_default=f"${OPERATOR_NAMESPACE}, else the pod's own",
    ),
    _Flag(
        flag="--workers",
        field="workers",
        parse=values.number(1, MOST_WORKERS),
        default=str(DEFAULT_WORKERS),
        metavar="N",
        text="how many resources are reconciled at a time",
    ),
    _Flag(
        flag="--metrics-bind-address",
        field="metrics_bind_address",
        parse=values.address,
        default=":8080",
        metavar="ADDR",
        text="where /metrics is served; port 0 is any free one, 0 switches it off",
    ),
    _Flag(
        flag="--health-probe-bind-address",
        field="health_probe_bind_address",
        parse=values.address,
        default=":8081",
        metavar="ADDR",
        text="where /healthz and /readyz are served; port 0 is any free one, 0 switches it off",
    ),
    _Flag(
        flag="--log-level",
        field="log_level",
        parse=values.choice("debug", "info", "warning", "error"),
        default="info",
        metavar="LEVEL",
        text="lowest level that is logged: debug, info, warning or error",
    ),
    _Flag(
        flag="--log-format",
        field="log_format",
        parse=values.choice("console", "json"),
        default="console",
        metavar="FORMAT",
        text="console for people, json for machines",
    ),
    _Flag(
        flag="--reconcile-timeout",
        field="reconcile_timeout_s",
        parse=values.duration,
        default=f"{DEFAULT_TIMEOUT_S:g}s",
        metavar="DURATION",
        text="how long one reconcile may take, such as 90s or 2m",
    ),
    _Flag(
        flag="--resync",
        field="resync_s",
        parse=values.duration,
        default="10h",
        metavar="DURATION",
        text="how often everything is looked at without an event, such as 1h30m",
    ),
    _Flag(
        flag="--allow-cross-namespace-config",
        field="allow_cross_namespace_config",
        parse=values.switch,
        default="false",
        metavar="",
        text="let resources name ConfigMaps of other namespaces, which the operator then reads "
        "for whoever may edit a resource",
    ),
    _Flag(
        flag="--fixed-uids",
        field="fixed_uids",
        parse=values.choice("auto", "true", "false"),
        default="auto",
        metavar="WHEN",
        text="whether pods name user and group ids: true, false or auto, which is not on OpenShift",
    ),
    _Flag(
        flag="--distributions-file",
        field="distributions_file",
        parse=values.distributions_file,
        default="",
        metavar="FILE",
        text="table of distributions to use instead of the built-in one, of the form of "
        "configs/data/distributions.json; read once, at the start",
        shown_default="the built-in one",
    ),
    _Flag(
        flag="--registry-ca-file",
        field="registry_ca_file",
        parse=values.ca_file,
        default="",
        metavar="FILE",
        text="CAs to trust when image labels are read, besides the system's",
        shown_default="none",
    ),
    _Flag(
        flag="--registry-plain-http",
        field="registry_plain_http",
        parse=values.hosts,
        default="",
        metavar="HOST",
        text="registry to speak to without TLS, as in image references; may be repeated",
        shown_default="none",
        repeatable=True,
    ),
    _Flag(
        flag="--registry-timeout",
        field="registry_timeout_s",
        parse=values.duration,
        default="30s",
        metavar="DURATION",
        text="how long reading the labels of one image may take",
    ),
    _Flag(
        flag="--probe-servers",
        field="probe_servers",
        parse=values.choice("auto", "direct", "proxy", "off"),
        default="auto",
        metavar="HOW",
        text="how running servers are asked for their version and providers: direct, by their "
        "Services; proxy, through the API server; auto, the first in a cluster and the second "
        "outside; or off",
    ),
    _Flag(
        flag="--probe-timeout",
        field="probe_timeout_s",
        parse=values.duration,
        default="5s",
        metavar="DURATION",
        text="how long asking one server may take",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All flags, with help that names the variable and the default of each."""
    for flag in FLAGS:
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
    given = {flag.field: _read(flag, arguments, env) for flag in FLAGS}
    if not given["leader_elect_namespace"]:
        given["leader_elect_namespace"] = env.get(OPERATOR_NAMESPACE) or in_cluster_namespace(
            namespace_file
        )
    settings = Settings(**given)
    _check_together(settings)
    return settings


def _read(flag: _Flag, arguments: argparse.Namespace, env: Mapping[str, str]) -> Any:
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
