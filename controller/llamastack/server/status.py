# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the status says of the running server: version, providers, and a sentence. Pure.

The status is also the memory: what was heard is written down with the name of the pod template
that it belongs to (``distributionConfig.podTemplate``). A pass that knows nothing itself, such as
the first one of a new leader, keeps what is written there, as long as that template is the live
one. With another template the old server's words are dropped at once, in the write that reports
the change.

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

from controller.llamastack.server.probe_port import Provider, ServerReport, runs_none, template_of
from informers.ports import Object

NOT_TOLD: Final = frozenset({"", "Not Implemented"})
"""Words that say nothing; all releases since 0.3 say the second of every provider."""
NAMES_SHOWN: Final = 3

_ASKED: Final = "The server answers its readiness probe"
SILENT: Final = "Servers do not tell whether their providers work"
PASSED: Final = f"{_ASKED}: the process serves requests. {SILENT}"


@dataclass(frozen=True, slots=True)
class About:
    """What the operator knows by itself.

    Attributes:
        operator_version: of this program.
        distributions: name and image of those that it knows.
    """

    operator_version: str = ""
    distributions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Account:
    """What is to be said of the server that runs.

    Attributes:
        template: whose words they are; empty if nothing was heard.
        heard: the words.
        kept: whether they are those of the old status.
    """

    template: str = ""
    heard: ServerReport = field(default_factory=ServerReport)
    kept: bool = False


def account(
    old: Mapping[str, Any], deployment: Object | None, heard: ServerReport | None
) -> Account:
    """What is heard now, else what is written and still holds, else nothing.

    Args:
        old: the status so far.
        deployment: live, or None.
        heard: in this pass.
    """
    if deployment is None or runs_none(deployment):
        return Account()
    template = template_of(deployment)
    if heard is not None:
        return Account(template, heard)
    if (old.get("distributionConfig") or {}).get("podTemplate") != template:
        return Account()
    return Account(template, _written(old), kept=True)


def is_known(old: Mapping[str, Any], deployment: Object) -> bool:
    """Whether the status has all that the server could say."""
    found = account(old, deployment, None)
    return bool(found.heard.version) and found.heard.providers is not None


def described(found: Account, about: About, cr: Object, *, now: str) -> dict[str, Any]:
    """``version`` and ``distributionConfig`` of the status.

    Args:
        found: what is to be said of the server.
        about: what we know by ourselves.
        cr: with its status so far.
        now: RFC 3339; when a version changed, if one did.
    """
    old: Mapping[str, Any] = cr.get("status") or {}
    result: dict[str, Any] = {}
    version = _versions(found, about, old.get("version") or {}, now)
    if version:
        result["version"] = version
    config: dict[str, Any] = {}
    distribution = (cr.get("spec") or {}).get("distribution") or {}
    if about.distributions:
        config["activeDistribution"] = str(distribution.get("name") or "custom")
        config["availableDistributions"] = dict(about.distributions)
    if found.template:
        config["podTemplate"] = found.template
        if found.heard.providers is not None:
            config["providers"] = [_provider(p) for p in found.heard.providers]
    if config:
        result["distributionConfig"] = config
    return result


def sentence(found: Account) -> str | None:
    """What ``HealthCheck`` says of a server whose probe passes; None to leave it as it is."""
    heard = found.heard
    if heard.problem:
        return f"{_ASKED}, but {heard.problem}. {SILENT}"
    if not found.template:
        return PASSED
    if heard.providers is None or not heard.version:
        return None  # it was not to be heard, and the old status says why
    number = len(heard.providers)
    listed = f"{_ASKED} and lists {number} provider{'' if number == 1 else 's'}"
    return f"{listed}. {_health(heard.providers)}"


def _health(providers: tuple[Provider, ...]) -> str:
    told = [p for p in providers if p.health not in NOT_TOLD]
    if not told:
        return SILENT
    counts = Counter(p.health for p in told)
    words = ", ".join(f"{word} of {number}" for word, number in sorted(counts.items()))
    bad = [f"{p.api}/{p.id}" for p in told if p.health != "OK"]
    names = ", ".join(bad[:NAMES_SHOWN]) + (", ..." if len(bad) > NAMES_SHOWN else "")
    return f"When it was asked it reported {words}" + (f" ({names})" if bad else "")


def _versions(found: Account, about: About, before: Mapping[str, Any], now: str) -> dict[str, Any]:
    versions = {
        "operatorVersion": about.operator_version,
        "llamaStackServerVersion": found.heard.version,
    }
    result: dict[str, Any] = {name: text for name, text in versions.items() if text}
    if not result:
        return {}
    same = all(before.get(name, "") == text for name, text in versions.items())
    result["lastUpdated"] = before.get("lastUpdated", now) if same else now
    return result


def _provider(provider: Provider) -> dict[str, Any]:
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
    """The words in a status, as they were heard."""
    listed = old["distributionConfig"].get("providers")
    return ServerReport(
        version=str((old.get("version") or {}).get("llamaStackServerVersion", "")),
        providers=None if listed is None else tuple(_read(item) for item in listed),
    )


def _read(item: Mapping[str, Any]) -> Provider:
    health = item.get("health") or {}
    return Provider(
        str(item.get("api", "")),
        str(item.get("provider_id", "")),
        str(item.get("provider_type", "")),
        str(health.get("status", "")),
        str(health.get("message", "")),
    )
