# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The spec of an OGXServer in v1alpha2.

:data:`MOVES` has the fields that keep their meaning, :data:`WITHOUT_COUNTERPART` those that have
none here. What stands in neither changes on the way, in a function of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from api.conversion.ogx import policy, providers
from api.conversion.ogx.part import Part
from api.conversion.ogx.providers import secret
from api.conversion.ogx.vendors import APIS
from api.conversion.places import ABSENT, get, put
from api.model import Json

MOVES: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("distribution", "name"): ("distribution", "name"),
    ("distribution", "image"): ("distribution", "image"),
    ("network", "port"): ("networking", "port"),
    ("workload", "replicas"): ("workload", "replicas"),
    ("workload", "workers"): ("workload", "workers"),
    ("workload", "resources"): ("workload", "resources"),
    ("workload", "autoscaling"): ("workload", "autoscaling"),
    ("workload", "storage", "size"): ("workload", "storage", "size"),
    ("workload", "storage", "mountPath"): ("workload", "storage", "mountPath"),
    ("workload", "podDisruptionBudget"): ("workload", "podDisruptionBudget"),
    ("workload", "topologySpreadConstraints"): ("workload", "topologySpreadConstraints"),
    ("workload", "overrides", "serviceAccountName"): (
        *("workload", "overrides", "serviceAccountName"),
    ),
    ("workload", "overrides", "env"): ("workload", "overrides", "env"),
    ("workload", "overrides", "command"): ("workload", "overrides", "command"),
    ("workload", "overrides", "args"): ("workload", "overrides", "args"),
    ("workload", "overrides", "volumes"): ("workload", "overrides", "volumes"),
    ("workload", "overrides", "volumeMounts"): ("workload", "overrides", "volumeMounts"),
}
"""Field of an OGXServer → field of v1alpha2, with the same value."""


class Lack(NamedTuple):
    """A field without a counterpart.

    Attributes:
        message: what that means.
        hint: what to do instead.
        harmless: a value that means what is so here anyhow.
    """

    message: str
    hint: str
    harmless: Any = ABSENT


WITHOUT_COUNTERPART: Final[Mapping[tuple[str, ...], Lack]] = {
    ("monitoring", "enabled"): Lack(
        "has no counterpart: no ServiceMonitor and no PrometheusRule is made",
        "let the server send its metrics to a collector, with spec.providers.telemetry",
        harmless=False,
    ),
    ("monitoring", "metricsPort"): Lack(
        "has no counterpart: the server's Service has no port for metrics",
        "let the server send its metrics to a collector, with spec.providers.telemetry",
    ),
    ("registryRefreshIntervalSeconds",): Lack(
        "has no counterpart: the server's own interval holds",
        "refreshModels of a provider asks it for its models again",
    ),
    ("providers", "fileProcessors"): Lack(
        "has no counterpart: the distribution's own file processors run",
        "for others, write a whole config.yaml and name its ConfigMap in spec.overrideConfig",
    ),
    ("tls", "identity"): Lack(
        "has no counterpart: the server shows providers no certificate of its own",
        "mount both files with spec.workload.overrides.volumes, and name them in the provider's"
        " settings.network.tls as client_cert and client_key",
    ),
}

OTHER_SERVER: Final = (
    "names an image of the OGX server there, and one of the Llama Stack server here; what is"
    " configured must fit that one"
)
KEEP_SERVER: Final = (
    "to keep the server that runs, write its image into spec.distribution.image instead"
)
CONFIG_KEY: Final = "config.yaml"
WRONG_KEY: Final = f"must be {CONFIG_KEY} here: no other key of a ConfigMap is read"
BASE_WITH_MORE: Final = (
    "has no counterpart beside fields that change it: they are merged into the configuration of"
    " the distribution"
)
WHOLE_CONFIG: Final = (
    "write the whole configuration into one config.yaml, name its ConfigMap in"
    " spec.overrideConfig, and leave those fields out"
)
TWO_CONFIGS: Final = "has no effect beside overrideConfig"
NOT_DISABLED: Final = "is no API that can be switched off here"
OTHER_BUNDLE: Final = "is in another ConfigMap than the first, and only one can be named"
ONE_BUNDLE: Final = "put all certificates into one ConfigMap"
NO_CLAIM: Final = "has no counterpart: the container names existing ResourceClaims alone"
MAKE_CLAIM: Final = (
    "make a ResourceClaim, and name it in spec.workload.resources.claims of the result"
)

DEFAULT_PORT: Final = 8321
"""Of both."""

GENERATED: Final = ("providers", "resources", "storage", "disabled")
"""Sections that change a base configuration."""


def convert(spec: Part) -> Json:
    """The spec in v1alpha2."""
    result: Json = {}
    _volume(spec, result)  # before its fields are taken: an empty one is a volume, too
    for old, new in MOVES.items():
        value = spec.part(*old[:-1]).take(old[-1])
        if value is not ABSENT:
            put(result, new, value)
    for names, lack in WITHOUT_COUNTERPART.items():
        part = spec.part(*names[:-1])
        value = part.take(names[-1])
        if value is not ABSENT and (lack.harmless is ABSENT or value is not lack.harmless):
            part.warn(names[-1], lack.message, lack.hint)
    _distribution(spec, result)
    _claims(spec, result)
    _networking(spec, result)
    _trust(spec, result)
    if found := providers.convert(spec.part("providers")):
        result["providers"] = found
    _models(spec, result)
    _stores(spec, result)
    _disabled(spec, result)
    _configuration(spec, result)
    return result


def _volume(spec: Part, result: Json) -> None:
    if isinstance(spec.part("workload").peek("storage"), Mapping):
        put(result, ("workload", "storage"), {})


def _distribution(spec: Part, result: Json) -> None:
    if get(result, ("distribution", "name")) is not ABSENT:
        spec.part("distribution").warn("name", OTHER_SERVER, KEEP_SERVER)


def _claims(spec: Part, result: Json) -> None:
    """Claims of the pod: there the container's names lead to them, here they are their names."""
    workload = spec.part("workload")
    resources = get(result, ("workload", "resources"))
    claims = get(resources, ("claims",))
    claims = claims if isinstance(claims, list | tuple) else ()
    used = [name for claim in claims if isinstance(name := get(claim, ("name",)), str)]
    targets: dict[str, str] = {}
    for item, path in workload.items("resourceClaims"):
        claim = workload.inner(item, path)
        name, target = claim.peek("name"), claim.peek("resourceClaimName")
        is_new = name in used and name not in targets
        if is_new and isinstance(target, str) and "resourceClaimTemplateName" not in claim.names():
            targets[name] = target
            claim.taken(("name", "resourceClaimName"))
            claim.finish()
        else:
            workload.say(path, NO_CLAIM, MAKE_CLAIM)
    if targets:
        renamed = [
            {**claim, "name": targets.get(claim["name"], claim["name"])}
            if isinstance(get(claim, ("name",)), str)
            else claim
            for claim in claims
        ]
        put(result, ("workload", "resources"), {**resources, "claims": renamed})


def _networking(spec: Part, result: Json) -> None:
    network = spec.part("network")
    certificate = network.part("tls").take("secretName")
    if certificate is not ABSENT:
        put(result, ("networking", "tls"), {"enabled": True, "secretName": certificate})
    access = network.part("externalAccess").taken(("enabled", "hostname"))
    if access:  # an empty one is off there, and on here
        put(result, ("networking", "expose"), {"enabled": False, **access})
    port = get(result, ("networking", "port"))
    allowed = policy.convert(network.part("policy"), DEFAULT_PORT if port is ABSENT else port)
    if allowed:
        put(result, ("networking", "allowedFrom"), allowed)


def _trust(spec: Part, result: Json) -> None:
    """Certificates of one ConfigMap: the first one's."""
    trust = spec.part("tls", "trust")
    bundle: Json = {}
    for item, path in trust.items("caCertificates"):
        reference = trust.inner(item, path)
        name, key = reference.take("name"), reference.take("key")
        if name != bundle.setdefault("configMapName", name):
            trust.say(path, OTHER_BUNDLE, ONE_BUNDLE)
        elif key is not ABSENT:
            bundle.setdefault("configMapKeys", []).append(key)
        reference.finish()
    bundle = {field: value for field, value in bundle.items() if value is not ABSENT}
    if bundle:
        put(result, ("networking", "tls", "caBundle"), bundle)


def _models(spec: Part, result: Json) -> None:
    """Models without a provider go to the one whose id is the first by the alphabet."""
    models = spec.part("resources").take("models")
    if models is ABSENT:
        return
    inference = get(result, ("providers", "inference"))
    entries = () if inference is ABSENT else inference
    ids = [entry["id"] for entry in entries if isinstance(entry.get("id"), str)]
    if len(ids) > 1 and isinstance(models, list | tuple):
        models = [
            {**model, "provider": min(ids)}
            if isinstance(model, Mapping) and get(model, ("provider",)) in (ABSENT, "")
            else model
            for model in models
        ]
    put(result, ("resources", "models"), models)


def _stores(spec: Part, result: Json) -> None:
    stores = spec.part("storage")
    for name, field in (("kv", "password"), ("sql", "connectionString")):
        store = stores.take(name)
        if isinstance(store, Mapping) and get(store, (field,)) is not ABSENT:
            store = {**store, field: secret(store[field])}
        if store is not ABSENT:
            put(result, ("storage", name), store)


def _disabled(spec: Part, result: Json) -> None:
    disabled = []
    for item, path in spec.items("disabledAPIs"):
        if isinstance(item, str) and item in APIS:
            disabled.append(APIS[item])
        else:
            spec.say(path, NOT_DISABLED, f"those are {', '.join(APIS)}")
    if disabled:
        result["disabled"] = disabled


def _configuration(spec: Part, result: Json) -> None:
    """A whole configuration; a base that nothing changes is one."""
    has_override = spec.peek("overrideConfig") is not ABSENT
    if has_override:
        result["overrideConfig"] = _config_map(spec.part("overrideConfig"))
    if spec.peek("baseConfig") is ABSENT:
        return
    if has_override or any(section in result for section in GENERATED):
        spec.take("baseConfig")
        message = TWO_CONFIGS if has_override else BASE_WITH_MORE
        spec.warn("baseConfig", message, "" if has_override else WHOLE_CONFIG)
    else:
        result["overrideConfig"] = _config_map(spec.part("baseConfig"))


def _config_map(reference: Part) -> Json:
    name, key = reference.take("name"), reference.take("key")
    if key not in (ABSENT, CONFIG_KEY):
        reference.warn("key", WRONG_KEY, "rename the key in the ConfigMap")
    return {} if name is ABSENT else {"configMapName": name}
