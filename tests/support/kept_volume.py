# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One resource through its edits, on data that stays: a real server runs what is generated.

The base is small, so that a server is up in seconds, and has what the server registers by itself:
an inference provider that lists its models and, where there are any, a scoring provider.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.v1alpha2 import ConfigSource
from configs import connection, engine, yaml_reader
from configs.base import BaseConfig, read_base
from configs.distributions import Resolved
from configs.engine import Generated
from configs.eras import Era
from configs.secrets import EnvFromSecret
from hack.servers.bed import Bed
from hack.servers.releases import Release
from hack.servers.server import LlamaServer
from tests.support.config_specs import DISTRIBUTIONS, NAME, NAMESPACE, spec_of

Json = dict[str, Any]

_APIS: dict[Era, tuple[str, ...]] = {
    "0.4": ("inference", "safety", "datasetio", "scoring"),
    "0.5-0.6": ("inference", "safety", "datasetio", "scoring"),
    "0.7": ("inference", "safety", "datasetio", "scoring"),
    "ogx": ("inference",),
}
_TYPES = {
    "inference": "remote::vllm",
    "safety": "inline::llama-guard",
    "datasetio": "inline::localfs",
    "scoring": "inline::basic",
}


@dataclass(frozen=True, slots=True)
class SmallBase:
    """A resolver with one base config.

    Attributes:
        era: of the base.
    """

    era: Era

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        """The base, whatever the image."""
        apis = _APIS[self.era]
        providers: dict[str, list[Json]] = {
            api: [{"provider_id": api, "provider_type": _TYPES[api], "config": {}}] for api in apis
        }
        if "datasetio" in providers:
            kvstore = {"backend": "kv_default", "namespace": "datasetio"}
            providers["datasetio"][0]["config"] = {"kvstore": kvstore}
        folder = "${env.SQLITE_STORE_DIR:=/none}"
        data: dict[str, Any] = {
            "version": 2,
            "image_name" if self.era == "0.4" else "distro_name": "small",
            "apis": list(apis),
            "providers": providers,
            "storage": {
                "backends": {"kv_default": {"type": "kv_sqlite", "db_path": f"{folder}/kv.db"}},
                "stores": {"metadata": {"backend": "kv_default", "namespace": "registry"}},
            },
        }
        return read_base(yaml_reader.dump(data), source=ConfigSource.OCI_LABEL, era=self.era)


@dataclass
class KeptVolume:
    """A volume, and the resource whose server has it.

    Attributes:
        bed: of servers.
        folder: the volume.
        endpoint: base URL of the inference endpoint.
        env: more variables of the server.
        current: what was generated last.
    """

    bed: Bed
    folder: Path
    endpoint: str
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    current: Generated | None = None

    def edit(
        self, release: Release, *models: Any, inference: str = "vllm", **sections: Any
    ) -> Generated:
        """The config after an edit of the resource.

        Args:
            release: that the image holds.
            models: ``spec.resources.models``.
            inference: id of the inference provider.
            sections: of the spec; ``shields`` is the list in ``spec.resources``.
        """
        provider = {"id": inference, "provider": "vllm", "endpoint": self.endpoint}
        resources = {"models": list(models), "shields": sections.pop("shields", [])}
        sections = {
            **sections,
            "providers": {**sections.get("providers", {}), "inference": provider},
            "resources": resources,
        }
        self.current = engine.generate(
            NAME,
            NAMESPACE,
            spec_of(sections),
            distributions=DISTRIBUTIONS,
            bases=SmallBase(era_of(release)),
            previous=self.current.registry if self.current else None,
        )
        return self.current

    def server(self, release: Release, config: str | None = None) -> LlamaServer:
        """The server with the current config, or with another one."""
        if self.current is None:
            raise RuntimeError("nothing was generated")
        text = config or str(self.current.config_yaml)
        env = {"SQLITE_STORE_DIR": self.bed.inside(self.folder), **self._variables(), **self.env}
        return LlamaServer(self.bed, release, text, env)

    def _variables(self) -> dict[str, str]:
        found = self.current
        derived = (
            connection.derive(found.storage_secret, self.secrets)
            if found and found.storage_secret
            else {}
        )
        return {
            item.name: derived[item.key] if isinstance(item, EnvFromSecret) else item.value
            for item in (found.env if found else ())
        }


def era_of(release: Release) -> Era:
    """The era of a release, as the engine calls it."""
    eras: dict[str, Era] = {"0.4": "0.4", "0.5-0.6": "0.5-0.6", "0.7": "0.7", "ogx": "ogx"}
    return eras[release.era]


def on_first_registry(config: str) -> str:
    """The same config, but on the registry that a server without numbers would use."""
    data = yaml_reader.load(config)
    storage = data["storage"]
    metadata = storage["stores"]["metadata"]
    number = metadata["namespace"].partition("registry")[2]
    metadata["namespace"] = metadata["namespace"].removesuffix(number)
    if backend := storage["backends"].get("kv_registry"):
        backend["db_path"] = backend["db_path"].removesuffix(f"{number}.db") + ".db"
    return yaml_reader.dump(data)
