# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the status says of the running server: version, providers, and a sentence. Pure.

The status is also the memory: a report is written down with the name of the pod template
that it belongs to (``distributionConfig.podTemplate``). A reconcile that knows nothing itself, such
as the first one of a new leader, keeps what is written there, as long as that template is the live
one. With another template the old server's words are dropped at once, in the write that reports the
change.

Nothing of it decides whether a resource is ready: a server that cannot be asked may serve its
clients all the same (it may want credentials that the operator does not have), and it is asked
only now and then, so that an answer may be older than the trouble.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from controller.llamastack.server.probe_port import (
    ReportedProvider,
    ServerReport,
    runs_none,
    template_of,
)
from informers.ports import Object

UNREPORTED_HEALTH: Final = frozenset({"", "Not Implemented"})
"""Words that say nothing; all releases since 0.3 say the second of every provider."""
NAMES_SHOWN: Final = 3

_ASKED: Final = "The server answers its readiness probe"
SILENT: Final = "Servers do not tell whether their providers work"
PASSED: Final = f"{_ASKED}: the process serves requests. {SILENT}"


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """What the operator knows by itself.

    Attributes:
        operator_version: of this program.
        distributions: name and image of those that it knows.
    """

    operator_version: str = ""
    distributions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class CurrentReport:
    """What is to be said of the server that runs.

    Attributes:
        template: pod template of the server that it is of; empty if there is no report.
        report: its report.
        kept: whether it is the report in the old status.
    """

    template: str = ""
    report: ServerReport = field(default_factory=ServerReport)
    kept: bool = False


def current_report(
    old: Mapping[str, Any], deployment: Object | None, report: ServerReport | None
) -> CurrentReport:
    """The report of now, else the one in the status if it still holds, else none.

    Args:
        old: the status so far.
        deployment: live, or None.
        report: that this reconcile got.
    """
    if deployment is None or runs_none(deployment):
        return CurrentReport()
    template = template_of(deployment)
    if report is not None:
        return CurrentReport(template, report)
    if (old.get("distributionConfig") or {}).get("podTemplate") != template:
        return CurrentReport()
    return CurrentReport(template, _written(old), kept=True)


def is_known(old: Mapping[str, Any], deployment: Object) -> bool:
    """Whether the status has all that the server could say."""
    found = current_report(old, deployment, None)
    return bool(found.report.version) and found.report.providers is not None


def described(
    found: CurrentReport, operator_facts: OperatorFacts, cr: Object, *, now: str
) -> dict[str, Any]:
    """``version`` and ``distributionConfig`` of the status.

    Args:
        found: what is to be said of the server.
        operator_facts: what we know by ourselves.
        cr: with its status so far.
        now: RFC 3339; when a version changed, if one did.
    """
    old: Mapping[str, Any] = cr.get("status") or {}
    result: dict[str, Any] = {}
    version = _versions(found, operator_facts, old.get("version") or {}, now)
    if version:
        result["version"] = version
    config: dict[str, Any] = {}
    if operator_facts.distributions:
        config["activeDistribution"] = _distribution_name(cr)
        config["availableDistributions"] = dict(operator_facts.distributions)
    if found.template:
        config["podTemplate"] = found.template
        if found.report.providers is not None:
            config["providers"] = [_provider(p) for p in found.report.providers]
    if config:
        result["distributionConfig"] = config
    return result


def _distribution_name(cr: Object) -> str:
    """As the spec says it, which need not be valid: then the status has to tell why."""
    found: Any = cr.get("spec")
    for name in ("distribution", "name"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return str(found or "custom")


def sentence(found: CurrentReport) -> str | None:
    """What ``HealthCheck`` says of a server whose probe passes; None to leave it as it is."""
    report = found.report
    if report.problem:
        return f"{_ASKED}, but {report.problem}. {SILENT}"
    if not found.template:
        return PASSED
    if report.providers is None or not report.version:
        return None  # it did not answer, and the old status says why
    number = len(report.providers)
    listed = f"{_ASKED} and lists {number} provider{'' if number == 1 else 's'}"
    return f"{listed}. {_health(report.providers)}"


def _health(providers: tuple[ReportedProvider, ...]) -> str:
    reported = [p for p in providers if p.health not in UNREPORTED_HEALTH]
    if not reported:
        return SILENT
    counts = Counter(p.health for p in reported)
    words = ", ".join(f"{word} of {number}" for word, number in sorted(counts.items()))
    bad = [f"{p.api}/{p.id}" for p in reported if p.health != "OK"]
    names = ", ".join(bad[:NAMES_SHOWN]) + (", ..." if len(bad) > NAMES_SHOWN else "")
    return f"When it was asked it reported {words}" + (f" ({names})" if bad else "")


def _versions(
    found: CurrentReport, operator_facts: OperatorFacts, before: Mapping[str, Any], now: str
) -> dict[str, Any]:
    versions = {
        "operatorVersion": operator_facts.operator_version,
        "llamaStackServerVersion": found.report.version,
    }
    result: dict[str, Any] = {name: text for name, text in versions.items() if text}
    if not result:
        return {}
    same = all(before.get(name, "") == text for name, text in versions.items())
    result["lastUpdated"] = before.get("lastUpdated", now) if same else now
    return result


def _provider(provider: ReportedProvider) -> dict[str, Any]:
    """Never with its configuration."""
    result: dict[str, Any] = {
        "api": provider.api,
        "provider_id": provider.id,
        "provider_type": provider.type,
    }
    health = {"status": provider.health, "message": provider.message}
    if any(health.values()):
        result["health"] = {name: text for name, text in health.items() if text}
    return result


def _written(old: Mapping[str, Any]) -> ServerReport:
    """The report that a status holds."""
    listed = old["distributionConfig"].get("providers")
    return ServerReport(
        version=str((old.get("version") or {}).get("llamaStackServerVersion", "")),
        providers=None if listed is None else tuple(_read(item) for item in listed),
    )


def _read(item: Mapping[str, Any]) -> ReportedProvider:
    health = item.get("health") or {}
    return ReportedProvider(
        str(item.get("api", "")),
        str(item.get("provider_id", "")),
        str(item.get("provider_type", "")),
        str(health.get("status", "")),
        str(health.get("message", "")),
    )
