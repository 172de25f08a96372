# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Providers of a spec that a test makes up: any type that an era has, in any way to write it.

What a type requires is always there; what it knows besides is there now and then, plain or in a
Secret, under the short name of the type or the full one, with an id or without where one will do.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from api.v1alpha2.providers import Section
from configs import eras
from configs.catalogue import ProviderType, UnknownProvider, embedded
from configs.eras import Era
from tests.support.config_specs import IDENTIFIERS, Json, secret
from tests.support.provider_values import ENDPOINTS, SECRETS, SETTINGS, URLS, WORDS

_AWS: Final = ("aws_access_key_id", "aws_secret_access_key")
_STRUCTURAL: Final = frozenset(
    {"kvstore", "sqlstore", "persistence", "metadata_store", "storage_dir", "db_path", "path"}
)
_NAMES = st.sampled_from(["creds", "other", "third.secret"])
_KEYS = st.sampled_from(["token", "KEY", "a.b-c_d"])


class ProviderMaker:
    """Draws the providers of one spec.

    Args:
        draw: of Hypothesis.
        era: of the base config.
        release: a server's version: no type is drawn that this one lacks; empty for all of the era.

    Attributes:
        kinds: ids and types of what was drawn, by the server's name of the API.
        env: variables that must be set for it.
    """

    def __init__(self, draw: st.DrawFn, era: Era, release: str) -> None:
        self.kinds: dict[str, list[tuple[str, ProviderType]]] = {}
        self.env: dict[str, str] = {}
        self._draw = draw
        self._era: Era = era
        self._release = release
        self._count = 0
        self._taken: set[str] = set()

    def _maybe(self) -> bool:
        return self._draw(st.booleans())

    def provider(self, section: Section, *, single: bool) -> Json:
        """One provider of a section; ``single`` if it will have no other."""
        api = eras.api_of(section, self._era)
        assert api is not None
        types = [kind for kind in embedded().types(self._era, api).values() if self._has(kind)]
        kind = self._draw(st.sampled_from(types))
        fields = self._fields(kind)
        name = self._name(api, kind, fields)
        if name == "azure":
            fields["settings"] = {**fields.get("settings", {}), "deploymentName": "gpt-5"}
        if name == "bedrock" and not {"region", "region_name"} & set(fields.get("settings", {})):
            fields["settings"] = {**fields.get("settings", {}), "region": "us-east-1"}
        if single and name not in self._taken and self._maybe():
            identity = name
        else:
            self._count += 1
            separator = self._draw(st.sampled_from(["", "-", ".", "_", ":"]))
            identity = fields["id"] = f"{self._draw(IDENTIFIERS)}{separator}{self._count}"
        self._taken.add(identity)
        self.kinds.setdefault(api, []).append((identity, kind))
        return {"provider": name, **fields}

    def _has(self, kind: ProviderType) -> bool:
        return not (self._release and kind.releases and self._release not in kind.releases)

    def _name(self, api: str, kind: ProviderType, fields: Json) -> str:
        """The short name, where it means this type; or the full one."""
        short = kind.name.split("::", 1)[1]
        connected = bool({"endpoint", "apiKey", "secretRefs"} & set(fields))
        try:
            same = embedded().find(self._era, api, short, connected=connected) == kind
        except UnknownProvider:
            same = False
        return short if "::" not in short and same and self._maybe() else kind.name

    def _fields(self, kind: ProviderType) -> Json:
        """Everything but name and id: what is required, and some of what is known."""
        fields: Json = {}
        secrets: Json = {}
        if kind.endpoint and (kind.endpoint in kind.required or self._maybe()):
            if kind.name == "remote::pgvector" and self._maybe():
                secrets = {"host": self._secret(), "port": self._secret()}
            else:
                fields["endpoint"] = self._endpoint(kind)
        credential = kind.secret
        needed = credential in kind.required and credential not in kind.nullable
        if credential and (needed or self._maybe()):
            fields["apiKey"] = self._secret()
        if _AWS[0] in kind.keys and self._maybe():
            secrets |= {key: self._secret() for key in _AWS}
        settings = self._settings(kind, secrets)
        if kind.unknown_keys != "refused" and self._draw(st.integers(0, 9)) == 0:
            settings[f"x_{self._draw(IDENTIFIERS)}"] = self._draw(WORDS)
        if kind.name == "remote::gemini" and "project" in {**settings, **secrets}:
            # Only for a token, and that not together with a key.
            settings.pop("project", None)
            fields.pop("apiKey", None)
            secrets |= {"project": self._secret(), "access_token": self._secret()}
        if settings or self._maybe():
            fields["settings"] = settings
        if secrets:
            fields["secretRefs"] = secrets
        return fields

    def _settings(self, kind: ProviderType, secrets: Json) -> Json:
        """What is required, and some of what is known; what is secret goes to the other map."""
        taken = {kind.endpoint, kind.secret, *_STRUCTURAL, *_AWS, *secrets}
        if "host" in kind.keys:
            taken |= {"host", "port", "db", "user"}  # which an endpoint may say as well
        required = [key for key in kind.required if key not in taken]
        more = sorted((set(SETTINGS) & kind.keys) - taken - set(required))
        chosen = (
            self._draw(st.lists(st.sampled_from(more), max_size=4, unique=True)) if more else []
        )
        settings: Json = {}
        for key in [*required, *chosen]:
            if key in SECRETS and (key not in SETTINGS or self._maybe()):
                secrets[key] = self._secret()
            else:
                settings[key] = self._draw(SETTINGS[key])
        return settings

    def _endpoint(self, kind: ProviderType) -> str:
        if kind.name in ENDPOINTS:
            return self._draw(st.sampled_from(ENDPOINTS[kind.name]))
        if self._draw(st.integers(0, 9)) == 0:
            self.env["OWN_URL"] = "http://own.example:9/v1"
            return "${env.OWN_URL}"
        return self._draw(st.sampled_from(URLS))

    def _secret(self) -> Json:
        return secret(self._draw(_NAMES), self._draw(_KEYS))

    def telemetry(self) -> Json:
        """One collector."""
        found: Json = {"provider": self._draw(st.sampled_from(["opentelemetry", "otel", "otlp"]))}
        if self._maybe():
            found["endpoint"] = self._draw(
                st.sampled_from(["http://c:4318", "https://c.example/x/", "http://c:4317"])
            )
        found["settings"] = self._draw(
            st.fixed_dictionaries(
                {},
                optional={"service_name": WORDS, "OTEL_TRACES_SAMPLER": WORDS,
                          "timeout": st.integers(1, 9999), "sdkDisabled": st.booleans()},
            )
        )  # fmt: skip
        if self._maybe():
            found["secretRefs"] = {"headers": self._secret()}
        return found
