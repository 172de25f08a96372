# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Provider expansion: ten words of a user become an entry of ``providers``.

For each provider, from weak to strong: structural keys (``configs.defaults``), ``settings`` as they
are (FR-033), then the explicit fields (``endpoint``, ``apiKey``, ``secretRefs``) under the keys
that the catalogue names (FR-030, FR-031, FR-032, R-D5). What a provider cannot take is an error
here, because the server would ignore it in silence; what it does not get but requires is an error
here, because the server would die of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.spelling import closest
from api.v1alpha2 import Provider, Spec
from api.v1alpha2.references import SecretVariable, provider_variables
from configs import defaults, endpoints, eras, telemetry
from configs.catalogue import Catalogue, ProviderType, UnknownProvider
from configs.eras import Era
from configs.errors import Findings
from configs.secrets import Environment


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider of the user, as the config has it.

    Attributes:
        provider_id: its id.
        kind: its type.
        config: its config; owned by whoever holds the entry.
        path: where the user wrote it.
        models: models that its settings name (Azure's deployment).
    """

    provider_id: str
    kind: ProviderType
    config: dict[str, Any]
    path: str
    models: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """The entry of config.yaml."""
        return {
            "provider_id": self.provider_id,
            "provider_type": self.kind.name,
            "config": self.config,
        }


_OTHER_NAMES: Final[Mapping[tuple[str, str], str]] = {
    ("remote::bedrock", "region"): "region_name",
}
"""(type, field) → key. The fields that requirements ask for, in the server's spelling."""

_DEPLOYMENT: Final = ("deploymentName", "deployment_name")
"""Azure's deployment: no key of the server, but the name of a model that the provider serves."""

_OWN_HOST: Final = "without one, the server looks for it on its own host"
_NOWHERE: Final = "without one, every request must bring its own"
_NOT_AT_ALL: Final = "without one, no request can be sent"
_WITHOUT_ENDPOINT: Final[Mapping[tuple[str, str], str]] = {
    ("inference", "remote::azure"): _NOWHERE,
    ("inference", "remote::passthrough"): _NOWHERE,
    ("inference", "remote::databricks"): _NOT_AT_ALL,
    ("inference", "remote::runpod"): _NOT_AT_ALL,
    ("inference", "remote::ollama"): _OWN_HOST,
    ("inference", "remote::llama-cpp-server"): _OWN_HOST,
    ("vector_io", "remote::elasticsearch"): _OWN_HOST,
    ("vector_io", "remote::infinispan"): _OWN_HOST,
    ("vector_io", "remote::weaviate"): _OWN_HOST,
    ("safety", "remote::nvidia"): _OWN_HOST,
    ("eval", "remote::nvidia"): _OWN_HOST,
}
"""(API, type) → what the server does that starts without an endpoint."""

_REFRESHED: Final = frozenset({"remote::vllm", "remote::ollama", "remote::tgi"})
"""Servers of one's own, which may start after ours: models are listed at boot, and never again
unless refresh_models says so."""

_VLLM: Final = "remote::vllm"
_VLLM_CHECKED: Final[tuple[Era, ...]] = ("0.4", "0.5-0.6")
_UNASKED: Final = "fake"
"""Without a token, these servers ask vLLM for each registered model when they start, and end if it
is away (vllm.py, check_model_availability). With one they do not, and vLLM does not mind a token
that it did not ask for; it is the one that the servers' own distributions have."""

_NOT_TEXT: Final = frozenset(
    {
        "port", "grpc_port", "https", "use_https", "prefer_grpc", "verify_tls", "timeout",
        "connect_timeout", "read_timeout", "max_tokens", "max_results", "top_k",
    }
)  # fmt: skip
"""Keys whose values are numbers or booleans in every type that has them. Databases' operators keep
the port in the same Secret as the password; that the server converts it is as it should be."""

_AWS_PAIR: Final = ("aws_access_key_id", "aws_secret_access_key")
"""Keys that are of use only together."""

_GEMINI: Final = "remote::gemini"
_GEMINI_PAIR: Final = ("project", "access_token")
"""Likewise, from ogx on: there the provider does not start with one of them, nor with a token and a
key (gemini/config.py). A type that knows both, such as vertexai, may take them for itself."""


def expand(
    spec: Spec,
    *,
    era: Era,
    distribution: str,
    catalogue: Catalogue,
    environment: Environment,
    findings: Findings,
) -> dict[str, list[ProviderEntry]]:
    """The user's providers by the server's name of their API, in the order of the spec.

    Args:
        spec: of the resource.
        era: of the base config.
        distribution: its name, for messages and the folder of the data.
        catalogue: what the server knows.
        environment: receives the variables for secrets and telemetry.
        findings: receives mistakes and warnings.
    """
    found: dict[str, list[ProviderEntry]] = {}
    for section, providers in spec.providers.items():
        if section == "telemetry":
            telemetry.expand(providers, environment, findings)
            continue
        api = eras.api_of(section, era)
        if api is None:
            findings.error(
                f"spec.providers.{section}",
                f"server {era} of distribution {distribution} has no such API",
                f"it has {', '.join(eras.sections_of(era))}",
            )
            continue
        for provider in providers:
            expansion = _Expansion(provider, era, api, distribution, environment, findings)
            if entry := expansion.entry(catalogue):
                found.setdefault(api, []).append(entry)
    return found


@dataclass(frozen=True, slots=True)
class _Expansion:
    """One provider on its way into the config."""

    provider: Provider
    era: Era
    api: str
    distribution: str
    environment: Environment
    findings: Findings

    def entry(self, catalogue: Catalogue) -> ProviderEntry | None:
        """The entry; None if the type is not known."""
        kind = self._kind(catalogue)
        if kind is None:
            return None
        config = defaults.structural(
            era=self.era,
            api=self.api,
            kind=kind,
            provider_id=self.provider.id,
            distribution=self.distribution,
        )
        models = self._settings(kind, config)
        explicit = dict.fromkeys(self._endpoint(kind, config), f"{self.provider.path}.endpoint")
        self._secrets(kind, config, explicit)
        _habits(kind, config, self.era)
        self._required(kind, config)
        self._unknown_keys(kind)
        return ProviderEntry(self.provider.id, kind, config, self.provider.path, models)

    def _error(self, field: str, message: str, hint: str = "") -> None:
        self.findings.error(f"{self.provider.path}.{field}", message, hint)

    def _kind(self, catalogue: Catalogue) -> ProviderType | None:
        provider = self.provider
        name = provider.provider
        if "::" in name and not name.startswith(("remote::", "inline::")):
            self._error("provider", "a full type starts with remote:: or inline::")
            return None
        connected = bool(provider.endpoint or provider.api_key or provider.secret_refs)
        try:
            kind = catalogue.find(self.era, self.api, name, connected=connected)
        except UnknownProvider as error:
            self._error("provider", error.message, error.hint)
            return None
        if not kind.known:
            known = sorted(catalogue.types(self.era, self.api))
            near = closest(name, known, cutoff=0.85)
            self.findings.warn(
                f"{provider.path}.provider",
                f"server {self.era} has no type {name} for the API {self.api}",
                "the server starts only if the image brings it"
                + (f"; did you mean {near}?" if near else ""),
            )
        if kind.deprecated:
            self.findings.warn(f"{provider.path}.provider", "is deprecated", kind.deprecated)
        if kind.releases:
            self.findings.warn(
                f"{provider.path}.provider",
                f"only {', '.join(kind.releases)} of servers {self.era} has {kind.name}",
            )
        return kind

    def _settings(self, kind: ProviderType, config: dict[str, Any]) -> tuple[str, ...]:
        """Puts settings over the structural keys; returns models they name."""
        models: list[str] = []
        for name, value in sorted(self.provider.settings.items()):  # of two spellings, one wins
            if kind.name == "remote::azure" and name in _DEPLOYMENT:
                if isinstance(value, str) and value:
                    models.append(value)
                else:
                    self._error(f"settings.{name}", "must be the name of a deployment")
                continue
            config[_OTHER_NAMES.get((kind.name, name), name)] = _copy(value)
        return tuple(models)

    def _endpoint(self, kind: ProviderType, config: dict[str, Any]) -> tuple[str, ...]:
        """Puts the endpoint over the settings; returns the keys it became."""
        endpoint = self.provider.endpoint
        if not endpoint:
            text = _WITHOUT_ENDPOINT.get((self.api, kind.name))
            if text and not self.provider.configures(str(kind.endpoint)):
                self.findings.warn(f"{self.provider.path}.endpoint", "is missing", text)
            return ()
        try:
            found = endpoints.expand(kind, endpoint, api=self.api)
        except endpoints.EndpointError as error:
            self._error("endpoint", error.message, error.hint)
            return ()
        config.update(found)
        text = endpoints.doubt(kind, endpoint)
        if endpoints.has_password(endpoint):
            text = "contains a password, which everybody sees who may read the resource"
        if text:
            self.findings.warn(f"{self.provider.path}.endpoint", text)
        return tuple(found)

    def _secrets(
        self, kind: ProviderType, config: dict[str, Any], explicit: dict[str, str]
    ) -> None:
        """Puts references to secrets over the settings.

        Args:
            kind: of the provider.
            config: of the provider; changed.
            explicit: key → the explicit field that it comes from, so far.
        """
        for item in provider_variables(self.provider):
            key = self._key_of(kind, item)
            if key is None:
                continue
            first = explicit.setdefault(key, item.path)
            if first != item.path:
                text = f"and {first} both say what {key} is"
                self.findings.error(item.path, text, "leave one of them out")
            is_text = key.rsplit(".", 1)[-1] not in _NOT_TEXT
            reference = self.environment.secret(item.name, item.secret, item.path, is_text=is_text)
            self._set(config, key, reference, item.path)

    def _key_of(self, kind: ProviderType, item: SecretVariable) -> str | None:
        """The config key for a secret; None if the provider cannot take it."""
        if item.path == f"{self.provider.path}.apiKey.secretKeyRef":
            if kind.secret is None:
                message = f'is not taken by provider type "{kind.name}"'
                self._error("apiKey", message, _other_secrets(kind))
            return kind.secret
        if kind.name == "remote::azure" and item.field in _DEPLOYMENT:
            self._error(f"secretRefs.{item.field}", "names a model: put it into settings")
            return None
        return _OTHER_NAMES.get((kind.name, item.field), item.field)

    def _set(self, config: dict[str, Any], key: str, value: str, path: str) -> None:
        """Sets a key; dots lead into nested mappings."""
        *parents, last = key.split(".")
        if not all((*parents, last)):
            self.findings.error(path, "must have a name on each side of a dot")
            return
        node = config
        for parent in parents:
            inner = node.setdefault(parent, {})
            if not isinstance(inner, dict):
                self.findings.error(path, f"{parent} is set, and is not an object")
                return
            node = inner
        node[last] = value

    def _required(self, kind: ProviderType, config: dict[str, Any]) -> None:
        """Says what is missing, at the field where it would go."""
        for key in kind.required:
            if config.get(key) is not None:
                continue
            if key == kind.endpoint and self.provider.endpoint:
                continue  # a wrong endpoint has its error already
            if key in kind.nullable:
                config[key] = None
                continue
            field = {kind.endpoint: "endpoint", kind.secret: "apiKey"}.get(key, f"settings.{key}")
            self._error(field, f'is required for provider type "{kind.name}"')
        self._pairs(kind, config)

    def _pairs(self, kind: ProviderType, config: dict[str, Any]) -> None:
        """Says what is missing for what is there, or must not be there with it."""
        pairs = (_AWS_PAIR, _GEMINI_PAIR) if kind.name == _GEMINI else (_AWS_PAIR,)
        for key, other in (*pairs, *(pair[::-1] for pair in pairs)):
            if {key, other} <= kind.keys and config.get(key) and not config.get(other):
                self._error(f"secretRefs.{other}", f"is required together with {key}")
        both = config.get("api_key") and config.get("access_token")
        if kind.name == _GEMINI and "access_token" in kind.keys and both:
            self._error("apiKey", "cannot be given together with access_token")

    def _unknown_keys(self, kind: ProviderType) -> None:
        """Tells of settings that the server would ignore without a word, or not start on."""
        if not kind.known or kind.unknown_keys == "kept":
            return
        provider = self.provider
        fields = {
            **({str(kind.secret): "apiKey"} if provider.api_key and kind.secret else {}),
            **({str(kind.endpoint): "endpoint"} if provider.endpoint and kind.endpoint else {}),
            **{name: f"settings.{name}" for name in provider.settings},
            **{name.split(".")[0]: f"secretRefs.{name}" for name in provider.secret_refs},
        }
        for name, field in sorted(fields.items()):
            key = _OTHER_NAMES.get((kind.name, name), name)
            if some := dict(kind.only).get(key):
                text = f"only {', '.join(some)} of servers {self.era} knows this; others ignore it"
                self.findings.warn(f"{provider.path}.{field}", text)
            if key in kind.keys or (kind.name == "remote::azure" and name in _DEPLOYMENT):
                continue
            near = closest(name, sorted(kind.keys))
            hint = f"did you mean {near}?" if near else ""
            message = f'is not known to provider type "{kind.name}", which'
            if kind.unknown_keys == "refused":
                self._error(field, f"{message} does not start with it", hint)
            else:
                self.findings.warn(f"{provider.path}.{field}", f"{message} ignores it", hint)


def _habits(kind: ProviderType, config: dict[str, Any], era: Era) -> None:
    """Defaults of ours for keys that the user left alone."""
    if kind.name == _VLLM and era in _VLLM_CHECKED:
        config.setdefault("api_token", _UNASKED)
    if kind.name in _REFRESHED and "refresh_models" in kind.keys:
        config.setdefault("refresh_models", True)
    if _AWS_PAIR[0] in config and "session_ttl" in kind.keys:
        # With static keys the server hands a time to live to a call that takes none, and dies.
        config.setdefault("session_ttl", None)


def _other_secrets(kind: ProviderType) -> str:
    """Where the credentials of a provider go that takes no single key."""
    if _AWS_PAIR[0] in kind.keys:
        return "it takes " + " and ".join(f"secretRefs.{key}" for key in _AWS_PAIR)
    return "" if kind.known else "the operator does not know its keys: use secretRefs"


def _copy(value: Any) -> Any:
    """A copy of JSON data: the resource is cached, the config is changed."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value
