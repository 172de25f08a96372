# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which Secrets and ConfigMaps a spec refers to, and where.

One list for everybody who needs it: the index behind the watches (an object that appears wakes the
resources that wait for it), the messages of SecretsResolved (FR-073, FR-074), the hash that rolls
the Deployment when a Secret rotates (R-D16), and the environment of the server (R-D4). Only names
are handled; values never come near this package.

Not listed: ``imagePullSecrets``. The kubelet starts pods without them, and a rotated registry
password is no reason to restart a server.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.v1alpha2.networking import Networking
from api.v1alpha2.providers import Provider
from api.v1alpha2.secrets import SecretKeySelector
from api.v1alpha2.storage import Storage
from api.v1alpha2.types import Spec
from api.v1alpha2.workload import Overrides

API_KEY_FIELD: Final = "api_key"
"""What ``apiKey`` is called in names of environment variables."""

CONFIG_KEY: Final = "config.yaml"
"""The key of a server's configuration in a ConfigMap."""

OLD_CONFIG_KEY: Final = "run.yaml"
"""What it was called once; looked for where there is no ``config.yaml`` (R-D20)."""


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A Secret in the namespace of the resource that the spec names.

    Attributes:
        name: of the Secret.
        key: that must be in it; empty for the Secret as a whole.
        path: of the field, e.g. ``spec.providers.inference.apiKey.secretKeyRef``.
        optional: whether the server starts without it.
        in_pod: whether the server's pod uses it, so that a new content must roll the Deployment.
        may_be_empty: whether an empty value may be meant, as in a variable of the user's own; a
            credential or a certificate that is empty cannot be used.
    """

    name: str
    key: str
    path: str
    optional: bool = False
    in_pod: bool = True
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class ConfigMapReference:
    """A ConfigMap that the spec names.

    Attributes:
        name: of the ConfigMap.
        key: that must be in it; empty for the ConfigMap as a whole.
        path: of the field.
        namespace: empty for that of the resource; any other needs consent (R-D12).
        optional: whether the server starts without it.
        in_pod: whether the server's pod uses it as it is, so that a new content must roll the
            Deployment; a CA bundle is merged into an object of ours.
        or_key: that may be in it instead of the key; empty if no other may.
        whole: whether the pod gets every key of it.
    """

    name: str
    key: str
    path: str
    namespace: str = ""
    optional: bool = False
    in_pod: bool = True
    or_key: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class SecretVariable:
    """An environment variable that takes a provider's secret to the server.

    Attributes:
        name: of the variable.
        field: configuration field of the provider: :data:`API_KEY_FIELD`, or a key of secretRefs.
        secret: where the value is.
        path: of the reference.
    """

    name: str
    field: str
    secret: SecretKeySelector
    path: str


def environment_name(provider_id: str, field: str) -> str:
    """``LLSD_<PROVIDER_ID>_<FIELD>`` (R-D4). The server substitutes ``[A-Z0-9_]+`` only."""
    return re.sub("[^A-Z0-9]", "_", f"LLSD_{provider_id}_{field}".upper())


def provider_variables(provider: Provider) -> Iterator[SecretVariable]:
    """The variables of one provider, ``apiKey`` first, then ``secretRefs`` by name."""
    if key := provider.api_key:
        name = environment_name(provider.id, API_KEY_FIELD)
        yield SecretVariable(name, API_KEY_FIELD, key, f"{provider.path}.apiKey.secretKeyRef")
    for field, selector in sorted(provider.secret_refs.items()):
        path = f"{provider.path}.secretRefs.{field}.secretKeyRef"
        yield SecretVariable(environment_name(provider.id, field), field, selector, path)


def config_key_in(keys: Container[str]) -> str:
    """Which of the keys of a ConfigMap holds the server's configuration."""
    old = CONFIG_KEY not in keys and OLD_CONFIG_KEY in keys
    return OLD_CONFIG_KEY if old else CONFIG_KEY


def secret_refs(spec: Spec) -> tuple[SecretReference, ...]:
    """Every Secret that the spec names, in the order of the fields."""
    return tuple(_secrets(spec))


def config_map_refs(spec: Spec) -> tuple[ConfigMapReference, ...]:
    """Every ConfigMap that the spec names, in the order of the fields."""
    return tuple(_config_maps(spec))


def _secrets(spec: Spec) -> Iterator[SecretReference]:
    for provider in spec.providers.all():
        for variable in provider_variables(provider):
            yield SecretReference(variable.secret.name, variable.secret.key, variable.path)
    if spec.storage:
        yield from _storage_secrets(spec.storage)
    yield from _networking_secrets(spec.networking)
    yield from _env_secrets(spec.workload.overrides)
    yield from _volume_secrets(spec.workload.overrides)


def _storage_secrets(storage: Storage) -> Iterator[SecretReference]:
    kv, sql = storage.kv, storage.sql
    selectors = (
        (kv and kv.password, "kv.password"),
        (kv and kv.connection_string, "kv.connectionString"),
        (sql and sql.connection_string, "sql.connectionString"),
    )
    for selector, field in selectors:
        if selector:
            path = f"spec.storage.{field}.secretKeyRef"
            yield SecretReference(selector.name, selector.key, path)


def _networking_secrets(networking: Networking) -> Iterator[SecretReference]:
    tls, expose = networking.tls, networking.expose
    if tls and tls.enabled and tls.secret_name:
        for key in ("tls.crt", "tls.key"):
            yield SecretReference(tls.secret_name, key, "spec.networking.tls.secretName")
    if expose and expose.enabled and expose.tls_secret_name:
        path = "spec.networking.expose.tlsSecretName"
        yield SecretReference(expose.tls_secret_name, "", path, in_pod=False)


def _env_secrets(overrides: Overrides) -> Iterator[SecretReference]:
    for index, variable in enumerate(overrides.env):
        source = variable.value_from.secret_key_ref if variable.value_from else None
        if source:
            path = f"spec.workload.overrides.env[{index}].valueFrom.secretKeyRef"
            optional = source.optional
            yield SecretReference(
                source.name, source.key, path, optional=optional, may_be_empty=True
            )


def _volume_secrets(overrides: Overrides) -> Iterator[SecretReference]:
    for source, name, key, path in _volume_sources(overrides, "secret", "secretName"):
        optional = source.get("optional") is True
        yield SecretReference(name, key, path, optional=optional, may_be_empty=True)


def _config_maps(spec: Spec) -> Iterator[ConfigMapReference]:
    if override := spec.override_config:
        yield ConfigMapReference(
            override.config_map_name,
            CONFIG_KEY,
            "spec.overrideConfig.configMapName",
            override.config_map_namespace or "",
            or_key=OLD_CONFIG_KEY,
            whole=True,
        )
    bundle = spec.networking.tls.ca_bundle if spec.networking.tls else None
    if bundle:
        for key in bundle.config_map_keys:
            yield ConfigMapReference(
                bundle.config_map_name,
                key,
                "spec.networking.tls.caBundle.configMapName",
                bundle.config_map_namespace or "",
                in_pod=False,
            )
    overrides = spec.workload.overrides
    for index, variable in enumerate(overrides.env):
        source = variable.value_from.config_map_key_ref if variable.value_from else None
        if source:
            path = f"spec.workload.overrides.env[{index}].valueFrom.configMapKeyRef"
            yield ConfigMapReference(source.name, source.key, path, optional=source.optional)
    for raw, name, key, path in _volume_sources(overrides, "configMap", "name"):
        yield ConfigMapReference(name, key, path, optional=raw.get("optional") is True)


def _volume_sources(
    overrides: Overrides, kind: str, name_field: str
) -> Iterator[tuple[Mapping[str, Any], str, str, str]]:
    """Sources of one kind in volumes: the source, the object's name, a key or "", the path.

    Volumes are open objects (see ``api.k8s``), so nothing in them is certain: what is no source of
    that kind is left to the API server to refuse.
    """
    for index, volume in enumerate(overrides.volumes):
        at = f"spec.workload.overrides.volumes[{index}]"
        candidates = [(volume.get(kind), name_field, f"{at}.{kind}")]
        projected = volume.get("projected")
        parts = projected.get("sources") if isinstance(projected, Mapping) else None
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            if isinstance(part, Mapping):
                where = f"{at}.projected.sources[{number}].{kind}"
                candidates.append((part.get(kind), "name", where))
        for source, field, path in candidates:
            if isinstance(source, Mapping) and isinstance(name := source.get(field), str) and name:
                for key in _item_keys(source):
                    yield source, name, key, f"{path}.{field}"


def _item_keys(source: Mapping[str, Any]) -> list[str]:
    """The keys that a volume source picks, or the one empty key for all of them."""
    items = source.get("items")
    picked = [
        item["key"]
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, Mapping) and isinstance(item.get("key"), str)
    ]
    return picked or [""]
