# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The rules that need no catalogue and no cluster, one function each.

Several are said by the CRD (CEL) or the policy, too. They are repeated here because neither of
those is there for a file on the command line, for an object that was stored before the rule, or for
a v1alpha1 object; ``api.v1alpha2.messages`` keeps the words the same.

Rules that need to know the distribution (is there such a provider, which APIs, which models) are
the config engine's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from api import GROUP, KIND, VERSION
from api.errors import FieldError, FieldWarning
from api.v1alpha2 import messages
from api.v1alpha2.providers import SECTIONS
from api.v1alpha2.references import SecretVariable, config_map_refs, provider_variables
from api.v1alpha2.storage import KeyValueStorage
from api.v1alpha2.types import GENERATED_SECTIONS, MAX_NAME, LlamaStackDistribution

Finding: TypeAlias = FieldError | FieldWarning
Findings: TypeAlias = Iterator[Finding]

GENERATED_SUFFIX: Final = 5
"""Characters that the API server adds to ``generateName``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule and the sections it looks at.

    Attributes:
        check: gives the findings.
        reads: ``metadata`` or sections of the spec. A rule is skipped while one of them has errors
            of shape: what it would say about a half-read section could be wrong.
    """

    check: Callable[[LlamaStackDistribution], Findings]
    reads: frozenset[str]


# --- metadata and distribution -------------------------------------------------------------------


def kind(resource: LlamaStackDistribution) -> Findings:
    """It is what it says it is."""
    if resource.api_version != f"{GROUP}/{VERSION}":
        yield FieldError("apiVersion", f"must be {GROUP}/{VERSION}")
    if resource.kind != KIND:
        yield FieldError("kind", f"must be {KIND}")


def name(resource: LlamaStackDistribution) -> Findings:
    """Children's names are made from the name: a DNS label with room for a suffix (P-C2m)."""
    given, prefix = resource.metadata.name, resource.metadata.generate_name
    path, text, longest = "metadata.name", given, MAX_NAME
    if not given and prefix:
        path, text, longest = "metadata.generateName", prefix + "x", MAX_NAME - GENERATED_SUFFIX + 1
    if not text:
        yield FieldError(path, messages.REQUIRED)
        return
    if len(text) > longest:
        yield FieldError(path, messages.NAME_TOO_LONG)
    if "." in text:
        yield FieldError(path, messages.NAME_WITH_DOTS)
    elif re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", text) is None:
        yield FieldError(path, messages.NAME_NOT_A_LABEL)


def distribution(resource: LlamaStackDistribution) -> Findings:
    """Exactly one source."""
    source = resource.spec.distribution
    if (source.name is None) == (source.image is None):
        yield FieldError("spec.distribution", messages.ONE_SOURCE)


def override(resource: LlamaStackDistribution) -> Findings:
    """A whole configuration leaves nothing to generate (FR-013)."""
    if resource.spec.override_config is None:
        return
    for section in GENERATED_SECTIONS:
        if section in resource.spec.model_fields_set:
            yield FieldError(f"spec.{section}", messages.WITH_OVERRIDE)


# --- providers -----------------------------------------------------------------------------------


def provider_ids(resource: LlamaStackDistribution) -> Findings:
    """Ids are given where there is a choice, and unique over all APIs."""
    paths = defaultdict(list)
    for section in SECTIONS:
        providers = resource.spec.providers.section(section)
        for provider in providers:
            paths[provider.id].append(provider.path)
            if len(providers) > 1 and provider.given_id is None:
                yield FieldError(f"{provider.path}.id", messages.ID_REQUIRED)
    for identity, found in paths.items():
        if len(found) > 1:
            text = messages.ID_TWICE.format(id=identity, paths=", ".join(found))
            yield FieldError(f"{found[-1]}.id", text)


def provider_settings(resource: LlamaStackDistribution) -> Findings:
    """What two cloud providers cannot do without."""
    for provider in resource.spec.providers.all():
        if provider.provider == "bedrock" and not provider.configures("region", "region_name"):
            yield FieldError(f"{provider.path}.settings.region", messages.BEDROCK_REGION)
        if provider.provider == "azure" and not provider.configures(
            "deploymentName", "deployment_name"
        ):
            path = f"{provider.path}.settings.deploymentName"
            yield FieldError(path, messages.AZURE_DEPLOYMENT)


def secret_variables(resource: LlamaStackDistribution) -> Findings:
    """Different references must not end up in one environment variable (R-D4)."""
    seen: dict[str, SecretVariable] = {}
    for provider in resource.spec.providers.all():
        for variable in provider_variables(provider):
            first = seen.setdefault(variable.name, variable)
            if first.secret != variable.secret:
                text = messages.SAME_VARIABLE.format(name=variable.name, path=first.path)
                yield FieldError(variable.path, text, "rename the provider or the field")


def disabled(resource: LlamaStackDistribution) -> Findings:
    """An API is wanted or not (R-D6)."""
    spec = resource.spec
    for index, api in enumerate(spec.disabled):
        paths = []
        if spec.providers.section(api):
            paths.append(f"spec.providers.{api}")
        if spec.external_providers and spec.external_providers.section(api):
            paths.append(f"spec.externalProviders.{api}")
        if paths:
            text = messages.CONFIGURED_AND_DISABLED.format(api=api, paths=", ".join(paths))
            yield FieldError(f"spec.disabled[{index}]", text)


def external_ids(resource: LlamaStackDistribution) -> Findings:
    """External ids are unique over all sections; they name init containers (FR-X020)."""
    spec = resource.spec
    seen: dict[str, tuple[str, str]] = {}
    for section, providers in spec.external_providers.items() if spec.external_providers else ():
        inline = {provider.id: provider.path for provider in spec.providers.section(section)}
        for index, provider in enumerate(providers):
            here, identity = f"{section}[{index}]", provider.provider_id
            first, image = seen.setdefault(identity, (here, provider.image))
            path = f"spec.externalProviders.{here}.providerId"
            if first != here:
                text = messages.EXTERNAL_ID_TWICE.format(
                    id=identity, first=first, image=image, here=here, other=provider.image
                )
                yield FieldError(path, text, "give each external provider a unique providerId")
            if identity in inline:
                yield FieldWarning(path, messages.EXTERNAL_WINS.format(path=inline[identity]))


# --- storage, networking, workload ---------------------------------------------------------------


def storage(resource: LlamaStackDistribution) -> Findings:
    """Each kind of store needs its address, and takes no other's."""
    if resource.spec.storage is None:
        return
    kv, sql = resource.spec.storage.kv, resource.spec.storage.sql
    if kv:
        yield from _key_value(kv)
    if sql:
        path = "spec.storage.sql.connectionString"
        if sql.type == "postgres" and sql.connection_string is None:
            yield FieldError(path, messages.POSTGRES_CONNECTION)
        if sql.type == "sqlite" and sql.connection_string:
            yield FieldWarning(path, messages.IGNORED_FOR.format(type=sql.type))


def _key_value(kv: KeyValueStorage) -> Findings:
    if kv.type == "redis" and kv.endpoint is None:
        yield FieldError("spec.storage.kv.endpoint", messages.REDIS_ENDPOINT)
    if kv.type == "postgres" and kv.connection_string is None:
        yield FieldError("spec.storage.kv.connectionString", messages.POSTGRES_CONNECTION)
    fields = {
        "endpoint": (kv.endpoint, "redis"),
        "password": (kv.password, "redis"),
        "connectionString": (kv.connection_string, "postgres"),
    }
    for field, (value, owner) in fields.items():
        if value and kv.type != owner:
            path = f"spec.storage.kv.{field}"
            yield FieldWarning(path, messages.IGNORED_FOR.format(type=kv.type))
    if kv.password and kv.type == "redis":
        yield FieldWarning("spec.storage.kv.password", messages.PRINTED_AT_START)


def scaled_on_sqlite(resource: LlamaStackDistribution) -> Findings:
    """Replicas and workers share nothing through sqlite, and lock each other out.

    What an absent store is depends on the distribution, so the words are careful then. A user's
    own configuration is not judged.
    """
    spec = resource.spec
    if spec.override_config:
        return
    stores = (spec.storage.kv, spec.storage.sql) if spec.storage else (None, None)
    types = [store.type if store else None for store in stores]
    if "sqlite" not in types and None not in types:
        return
    certain = "sqlite" in types
    text = messages.SCALED_ON_SQLITE if certain else messages.SCALED_ON_DEFAULT_STORAGE
    workload = spec.workload
    if workload.autoscaling:
        if workload.autoscaling.max_replicas > 1:
            yield FieldWarning("spec.workload.autoscaling.maxReplicas", text)
    elif workload.replicas > 1:
        yield FieldWarning("spec.workload.replicas", text)
    if (workload.workers or 1) > 1:
        yield FieldWarning("spec.workload.workers", text)


def tls(resource: LlamaStackDistribution) -> Findings:
    """HTTPS needs a certificate; a certificate alone changes nothing."""
    settings = resource.spec.networking.tls
    if settings is None:
        return
    if settings.enabled and settings.secret_name is None:
        yield FieldError("spec.networking.tls.secretName", messages.TLS_CERTIFICATE)
    if settings.secret_name and not settings.enabled:
        yield FieldWarning("spec.networking.tls.secretName", messages.TLS_NOT_ENABLED)


def other_namespaces(resource: LlamaStackDistribution) -> Findings:
    """A ConfigMap of another namespace needs the administrator's consent (R-D12)."""
    own = resource.metadata.namespace
    paths = {
        reference.path: reference.namespace
        for reference in config_map_refs(resource.spec)
        if own and reference.namespace not in ("", own)
    }
    for path, namespace in paths.items():
        text = messages.OTHER_NAMESPACE.format(namespace=namespace)
        yield FieldWarning(f"{path.removesuffix('Name')}Namespace", text)


def scaling(resource: LlamaStackDistribution) -> Findings:
    """Numbers of pods that fit together."""
    workload = resource.spec.workload
    limits, budget = workload.autoscaling, workload.pod_disruption_budget
    if limits and (limits.min_replicas or 1) > limits.max_replicas:
        yield FieldError("spec.workload.autoscaling.minReplicas", messages.MIN_ABOVE_MAX)
    if budget and (budget.min_available is None) == (budget.max_unavailable is None):
        yield FieldError("spec.workload.podDisruptionBudget", messages.ONE_BUDGET)


def volume(resource: LlamaStackDistribution) -> Findings:
    """A volume that can be made, and that the pods can use."""
    workload = resource.spec.workload
    if workload.storage is None:
        return
    path, modes = "spec.workload.storage", workload.storage.access_modes
    size = workload.storage.size
    if size is not None and not re.search("[1-9]", re.split("[eE]", str(size))[0]):
        yield FieldError(f"{path}.size", messages.NO_SIZE)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield FieldError(f"{path}.accessModes", messages.ONE_POD_ONLY)
        return
    if modes == ("ReadOnlyMany",):
        yield FieldWarning(f"{path}.accessModes", messages.READ_ONLY)
    if workload.autoscaling:
        scaled, field = workload.autoscaling.max_replicas, "autoscaling.maxReplicas"
    else:
        scaled, field = workload.replicas, "replicas"
    if scaled <= 1 or "ReadWriteMany" in modes or modes == ("ReadOnlyMany",):
        return
    alone = "ReadWriteOncePod" in modes
    text = messages.SCALED_ON_ONE_POD if alone else messages.SCALED_ON_ONE_NODE
    yield FieldWarning(f"spec.workload.{field}", text)


def environment(resource: LlamaStackDistribution) -> Findings:
    """A variable has one source."""
    for index, variable in enumerate(resource.spec.workload.overrides.env):
        if variable.value is not None and variable.value_from is not None:
            path = f"spec.workload.overrides.env[{index}]"
            yield FieldError(path, messages.ENV_VALUE)


def _rule(check: Callable[[LlamaStackDistribution], Findings], *reads: str) -> Rule:
    return Rule(check, frozenset(reads))


RULES: Final = (
    _rule(kind),
    _rule(name, "metadata"),
    _rule(distribution, "distribution"),
    _rule(override, "overrideConfig", *GENERATED_SECTIONS),
    _rule(provider_ids, "providers"),
    _rule(provider_settings, "providers"),
    _rule(secret_variables, "providers"),
    _rule(disabled, "disabled", "providers", "externalProviders"),
    _rule(external_ids, "externalProviders", "providers"),
    _rule(storage, "storage"),
    _rule(tls, "networking"),
    _rule(scaling, "workload"),
    _rule(volume, "workload"),
    _rule(environment, "workload"),
    _rule(scaled_on_sqlite, "workload", "storage", "overrideConfig"),
    _rule(other_namespaces, "metadata", "networking", "overrideConfig", "workload"),
)
"""All rules, in the order of the fields they are about."""
