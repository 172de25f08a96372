# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The config engine: a spec becomes a config.yaml, purely (FR-021, NFR-001).

The steps, in order, each in a module of its own:

==================  ==============================================================================
``distributions``   name or image → image, era, base
``base``            the base config, its version checked
``providers``       the user's providers, expanded by the catalogue; secrets become variables
``merge``           over the base; disabled APIs out; what dangled pruned
``required_apis``   every provider has the APIs that it needs
``resources``       models, shields, tools
``storage``         backends and stores
``registrations``   what the server will write into its registry; ``registry_key``: which one
``server``          port, workers, TLS files
``checks``          would the server start on this?
``yaml_writer``     text, the same bytes for the same data; its hash; ``yaml_reader``: reading
==================  ==============================================================================

The same spec gives the same bytes: nothing here reads a clock, a random number, the environment or
a dict in an order that the user's data does not fix. No step raises on a user's mistake; all of
them come out at once at the end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from api.errors import FieldError, FieldWarning
from api.v1alpha2 import ConfigSource, Reason, Spec
from configs import (
    catalogue,
    checks,
    defaults,
    merge,
    providers,
    references,
    registrations,
    registry_key,
    required_apis,
    resources,
    secrets,
    server,
    storage,
    yaml_reader,
)
from configs.base import BaseConfig, BaseConfigSource, EmbeddedBaseConfigs
from configs.connection import StorageSecret
from configs.distributions import Distributions, Resolved
from configs.draft import Draft
from configs.eras import Era
from configs.errors import ConfigError, Findings
from configs.registry_key import RegistryState
from configs.secrets import EnvFromSecret, Environment, EnvValue
from configs.spelling import Spelling

Source: TypeAlias = Literal["generated", "override", "default"]
"""Who wrote the config that runs: the operator, the user, the makers of the image."""

BASE_REQUIRED: Final = (
    "Direct image references require either overrideConfig.configMapName or OCI config labels on "
    "the image. See docs/configuration.md for details."
)

_EMBEDDED: Final = EmbeddedBaseConfigs()


@dataclass(frozen=True, slots=True)
class Generated:
    """What a spec comes to.

    Attributes:
        config_yaml: the config; None where the operator writes none (the image's own, or the
            user's ConfigMap).
        config_hash: full sha256 of it, in hex; empty without a config.
        image: the image to run. Goes into the Deployment together with the config (FR-020c).
        source: who wrote the config that runs.
        env: variables for the server container, sorted by name. A variable of the same name in
            ``workload.overrides.env`` wins.
        provider_count: providers in the config that are on.
        resource_count: models, shields and tool groups in it that are on.
        config_version: its ``version``; None without a config.
        era: generation of the schema that the server reads; None for an image that nothing is known
            about.
        spelling: what the user's own config calls the API of agents; None for another source, or
            while nobody looked.
        models: registered models, as clients write them, sorted.
        warnings: what works, but perhaps not as its author thinks.
        storage_secret: a Secret that the operator must fill before the pods can start.
        base_source: where the base came from, for ``status.resolvedDistribution``.
        base_hash: full sha256 of the base, in hex; empty without one.
        registry: what the server's registry may know, to be given back the next time; without a
            generated config as it came in.
        registry_reset: what made a new registry necessary; empty while the old one will do.
    """

    config_yaml: str | None
    config_hash: str
    image: str
    source: Source
    env: tuple[EnvFromSecret | EnvValue, ...] = ()
    provider_count: int = 0
    resource_count: int = 0
    config_version: int | None = None
    era: Era | None = None
    spelling: Spelling | None = None
    models: tuple[str, ...] = ()
    warnings: tuple[FieldWarning, ...] = ()
    storage_secret: StorageSecret | None = None
    base_source: ConfigSource = field(default=ConfigSource.DEFAULT)
    base_hash: str = ""
    registry: RegistryState | None = None
    registry_reset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a spec names, before anything is generated for it.

    Attributes:
        resolved: the distribution: image, base config, era.
        source: who writes the config that runs.
    """

    resolved: Resolved
    source: Source


def target_of(spec: Spec, distributions: Distributions) -> Target:
    """What ``spec.distribution`` means, and whether a config has to be generated.

    Raises:
        ConfigError: there is no such distribution.
    """
    resolved = distributions.resolve(spec.distribution)
    if spec.override_config:
        return Target(resolved, "override")
    return Target(resolved, "generated" if _needs_config(spec, resolved) else "default")


def generate(
    cr_name: str,
    namespace: str,
    spec: Spec,
    *,
    distributions: Distributions,
    bases: BaseConfigSource = _EMBEDDED,
    previous: RegistryState | None = None,
) -> Generated:
    """``generate_for`` what a spec names.

    Raises:
        ConfigError: there is no such distribution, or no config can be generated.
    """
    target = target_of(spec, distributions)
    return generate_for(target, cr_name, namespace, spec, bases=bases, previous=previous)


def generate_for(
    target: Target,
    cr_name: str,
    namespace: str,
    spec: Spec,
    *,
    bases: BaseConfigSource = _EMBEDDED,
    previous: RegistryState | None = None,
) -> Generated:
    """Turns a spec into a config.

    Args:
        target: what the spec names.
        cr_name: name of the resource.
        namespace: of the resource; with the name it keeps shared databases apart.
        spec: of the resource; not changed.
        bases: finds base configs; the embedded ones by default.
        previous: ``Generated.registry`` of the config that ran before; None if none did.

    Raises:
        ConfigError: no config can be generated, with everything that is wrong.
    """
    resolved = target.resolved
    if target.source == "override":
        findings = Findings()
        checks.external_spec(spec, findings)
        findings.raise_errors()
        return Generated(
            None,
            "",
            resolved.image,
            "override",
            env=_own_config_data(spec, resolved),
            era=resolved.era,
            warnings=findings.warnings,
            base_source=ConfigSource.OVERRIDE,
            registry=previous,
        )
    if target.source == "default":
        return Generated(
            None,
            "",
            resolved.image,
            "default",
            env=_own_config_data(spec, resolved),
            era=resolved.era,
            registry=previous,
        )
    base = bases.base_of(resolved)
    if base is None:
        raise ConfigError(Reason.BASE_CONFIG_REQUIRED, (_base_required(spec),))
    return _Generation(cr_name, namespace, spec, resolved, base).run(previous)


def _own_config_data(spec: Spec, resolved: Resolved) -> tuple[EnvValue, ...]:
    """Where a config that is not generated keeps its data: where a generated one will.

    That is the one inside an image of ours, or a user's, which is made from it as a rule. Its own
    default is ``~/.llama/…``, and the home of the pod is the volume, /.llama: without this,
    the data would be in another folder as soon as the spec gets its first provider.
    """
    if resolved.base is None:
        return ()
    volume = spec.workload.storage
    mount = (volume.mount_path if volume else None) or defaults.MOUNT_PATH
    folder = defaults.data_folder(mount, resolved.name)
    path = "spec.distribution.name"
    return (
        EnvValue(defaults.FILES_VARIABLE, f"{folder}/files", path),
        EnvValue(defaults.DATA_VARIABLE, folder, path),
    )


def _base_required(spec: Spec) -> FieldError:
    """Why nothing can be generated without a base, and what there is instead."""
    if spec.distribution.image:
        return FieldError("spec.distribution.image", BASE_REQUIRED)
    return FieldError(
        "spec.distribution.name",
        f'this operator has no base config for distribution "{spec.distribution.name}"',
        "use overrideConfig.configMapName, or leave out providers, resources, storage, disabled "
        "and externalProviders",
    )


def _needs_config(spec: Spec, resolved: Resolved) -> bool:
    """Whether the image's own config will not do (R-D13).

    Besides the four sections: external providers, which are merged into it; TLS and workers, which
    the server reads from its config alone; and a distribution whose image is another's
    (remote-vllm) or does not start (meta-reference-gpu).
    Workers are a wish that an image without a base may fulfil by itself; but when it should serve
    HTTPS and does not, no probe ever succeeds.
    """
    tls = spec.networking.tls
    workers = (spec.workload.workers or 1) > 1 and resolved.base is not None
    asked = spec.generates_config or spec.installs_providers
    return asked or resolved.always or bool(tls and tls.enabled) or workers


class _Generation:
    """One run of the steps."""

    def __init__(
        self, cr_name: str, namespace: str, spec: Spec, resolved: Resolved, base: BaseConfig
    ) -> None:
        self._cr_name = cr_name
        self._namespace = namespace
        self._spec = spec
        self._resolved = resolved
        self._base = base
        self._findings = Findings()
        self._environment = Environment(self._findings)

    def run(self, previous: RegistryState | None) -> Generated:
        """All steps.

        Args:
            previous: what the registry in use may know.

        Raises:
            ConfigError: with everything that is wrong.
        """
        draft = self._draft()
        disabled = merge.disable(draft.data, self._spec.disabled, draft.era, self._findings)
        merge.add_providers(draft.data, draft.entries)
        required_apis.close(draft, disabled)
        lost_default = merge.prune(draft.data)
        models = resources.register(self._spec, draft)
        if lost_default:
            resources.default_embedding(draft, lost_default)
        secret = storage.apply(self._spec, draft, cr_name=self._cr_name, namespace=self._namespace)
        storage.add_stores(draft)
        env = self._spec.workload.overrides.env
        registry, reset = registry_key.next_state(previous, registrations.of(draft, env))
        storage.separate_registry(draft, registry.suffix)
        server.apply(self._spec, draft)
        checks.check(self._spec, draft)
        self._findings.raise_errors()
        text = self._text(draft)
        return Generated(
            config_yaml=text,
            config_hash=hashlib.sha256(text.encode()).hexdigest(),
            image=self._resolved.image,
            source="generated",
            env=self._environment.variables,
            provider_count=sum(len(draft.candidates(api)) for api in draft.providers),
            resource_count=_resource_count(self._spec, draft, models),
            config_version=self._base.version,
            era=self._base.era,
            models=models,
            warnings=self._findings.warnings,
            storage_secret=secret,
            base_source=self._base.source,
            base_hash=self._base.digest,
            registry=registry,
            registry_reset=reset,
        )

    def _draft(self) -> Draft:
        """The base, the user's providers beside it, and the variables known so far."""
        known = catalogue.embedded()
        entries = providers.expand(
            self._spec,
            era=self._base.era,
            distribution=self._resolved.name,
            catalogue=known,
            environment=self._environment,
            findings=self._findings,
        )
        self._data_folders()
        return Draft(
            data=merge.copy(self._base.data),
            era=self._base.era,
            distribution=self._resolved.name,
            entries=entries,
            environment=self._environment,
            given=secrets.given_by_user(self._spec.workload.overrides.env),
            catalogue=known,
            findings=self._findings,
        )

    def _data_folders(self) -> None:
        """Moves the data where the volume is, if that is not where the base expects it."""
        volume = self._spec.workload.storage
        if volume is None or volume.mount_path in {None, defaults.MOUNT_PATH}:
            return
        path = "spec.workload.storage.mountPath"
        folder = defaults.data_folder(str(volume.mount_path), self._resolved.name)
        self._environment.value(defaults.DATA_VARIABLE, folder, path)
        self._environment.value(defaults.FILES_VARIABLE, f"{folder}/files", path)

    def _text(self, draft: Draft) -> str:
        """The config as text, without sections that say nothing."""
        data = {
            key: value
            for key, value in draft.data.items()
            if key != "registered_resources" or any(value.values())
        }
        try:
            return yaml_reader.dump(data)
        except yaml_reader.YamlError:
            checks.unwritable(draft)
            self._findings.raise_errors()
            raise


def _resource_count(spec: Spec, draft: Draft, models: tuple[str, ...]) -> int:
    """Models, shields and tool groups that are on; from 0.7 on the groups are not written."""
    variables = draft.variables
    shields = sum(
        references.active(str(shield.get("provider_id", "")), variables) is not None
        for shield in draft.resources.get("shields", ())
    )
    groups = draft.resources.get("tool_groups") or spec.resources.tools
    return len(models) + shields + len(groups)
