# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Cases of providers: every short name that an era knows, alone and beside another one.

The catalogue says which there are and where endpoint and credential go; what it cannot know is
written down here: settings that a provider requires, and what this machine lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from configs import eras
from configs.catalogue import ProviderType, embedded
from configs.eras import Era
from hack.servers.endpoint import DIMENSION
from hack.servers.releases import Release
from tests.support.matrix.case import Capabilities, Case, Json, Probe, value_of
from tests.support.matrix.probes import EMBEDDING, arrived, chat, uploaded, vector_store

EMBEDDER: Final = "embedder"
"""Id of the inference provider that is there because the one to be proven needs one."""

_SETTINGS: Final[Mapping[tuple[str, str], Json]] = {
    ("inference", "azure"): {"api_version": "2024-10-21"},
    ("inference", "bedrock"): {"region": "us-east-2"},
    ("inference", "oci"): {"oci_region": "us-ashburn-1", "oci_compartment_id": "ocid1.c"},
    ("inference", "vertexai"): {"project": "p", "location": "global"},
    ("inference", "watsonx"): {"project_id": "p"},
    ("files", "s3"): {"bucket_name": "b", "region": "us-east-1"},
    ("safety", "bedrock"): {"region": "us-east-1"},
    ("safety", "nvidia"): {"config_id": "self-check"},
    ("vector_io", "infinispan"): {"username": "admin", "auth_mechanism": "basic"},
    ("vector_io", "oci"): {
        "conn_str": "tcps://127.0.0.1:1",
        "user": "u",
        "tnsnames_loc": "/tns",
        "ewallet_pem_loc": "/pem",
        "ewallet_password": "p",
    },
    # Handed on to the client, some releases of which try for four minutes.
    ("vector_io", "milvus"): {"timeout": 2},
    ("vector_io", "neo4j"): {"user": "neo4j"},
    ("post_training", "huggingface-gpu"): {"dpo_output_dir": "dpo"},
}
"""(API, short name) → settings that it cannot be without."""

_PAIR: Final = ("aws_access_key_id", "aws_secret_access_key")
_PAIRS: Final = frozenset({("files", "s3"), ("safety", "bedrock")})
"""Providers whose credential is a pair."""

_FIRST: Final[Mapping[str, str]] = {
    "datasetio": "localfs",
    "inference": "vllm",
    "safety": "llama-guard",
    "scoring": "basic",
    "tool_runtime": "brave-search",
    "vector_io": "faiss",
}
"""API whose requests the server spreads over several providers → what stands before the others."""

_NO_MODULE: Final = "No module named"
_TORCH: Final = (_NO_MODULE, "needs torch")
_WANTING: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("inference", "meta-reference"): (_NO_MODULE, "needs torch and the weights of a model"),
    ("inference", "tgi"): ("", "ends by a defect of its own"),
    ("inference", "transformers"): _TORCH,
    ("safety", "prompt-guard"): _TORCH,
    ("vector_io", "chromadb"): ("", "needs a running Chroma"),
    ("vector_io", "milvus"): ("", "needs a running Milvus"),
    ("vector_io", "neo4j"): ("", "needs a running Neo4j"),
    ("vector_io", "oci"): ("", "needs an Oracle database"),
    ("vector_io", "pgvector"): ("", "needs PostgreSQL with the extension vector"),
}
"""(API, short name) → what the server's last words contain when it cannot boot here, and why."""

_INCOMPLETE: Final = ("does not implement", "lacks a method, so the server ends")
_PACKAGE_OCI: Final = (_NO_MODULE, "needs the package oci")
_WANTING_IN: Final[Mapping[tuple[str, str, str], tuple[str, str]]] = {
    ("0.4.7", "inference", "oci"): _PACKAGE_OCI,
    ("0.4.7", "inference", "sentence-transformers"): _TORCH,
    ("0.4.7", "safety", "bedrock"): _INCOMPLETE,
    ("0.4.7", "safety", "sambanova"): _INCOMPLETE,
    ("0.5.4", "inference", "oci"): _PACKAGE_OCI,
    ("0.5.4", "inference", "sentence-transformers"): _TORCH,
    ("0.6.1", "inference", "sentence-transformers"): _TORCH,
    ("1.5.0", "inference", "llama-cpp-server"): ("", "needs a running llama.cpp"),
    ("1.5.0", "inference", "oci"): ("", "needs the package oci"),
    ("1.5.0", "inference", "sentence-transformers"): ("", "needs torch"),
    ("1.5.0", "inference", "text-embeddings-inference"): ("", "needs a running server of it"),
}
"""Likewise, in one version."""


def cases(release: Release) -> Iterator[Case]:
    """All cases of one release."""
    era = _era(release)
    for section in eras.sections_of(era):
        api = eras.api_of(section, era)
        if api is None:
            continue
        names = tuple(
            name for name in embedded().short_names(era, api) if _is_in(release, api, name)
        )
        for name in names:
            yield _alone(release, api, name)
        if api in _FIRST:
            yield _beside(release, api, names)


def _era(release: Release) -> Era:
    return next(era for era in eras.ERAS if era == release.era)


def _alone(release: Release, api: str, name: str) -> Case:
    kind = _kind(release, api, name)
    refused, why = _wanting(release, api, name)
    subject = _Subject(release, api, name, kind)

    def spec(around: Capabilities) -> Json:
        return _spec(release, api, [subject.provider(around)], around)

    return Case(
        group=f"{api}, alone",
        name=name,
        release=release,
        spec=spec,
        probes=() if why else subject.probes(),
        refused=refused,
        why=why,
    )


def _beside(release: Release, api: str, names: tuple[str, ...]) -> Case:
    """All of them in one server, behind the first."""
    first = _FIRST[api]
    others = [name for name in names if name != first and not any(_wanting(release, api, name))]
    subjects = [
        _Subject(release, api, name, _kind(release, api, name)) for name in (first, *others)
    ]

    def spec(around: Capabilities) -> Json:
        providers = [subject.provider(around) for subject in subjects]
        return _spec(release, api, providers, around)

    return Case(
        group=f"{api}, together",
        name=f"{first}, then {', '.join(others)}",
        release=release,
        spec=spec,
        probes=tuple(probe for subject in subjects for probe in subject.probes()),
    )


def _is_in(release: Release, api: str, name: str) -> bool:
    """Whether this release of its era has it already."""
    releases = _kind(release, api, name).releases
    return not releases or release.version in releases


def _wanting(release: Release, api: str, name: str) -> tuple[str, str]:
    in_all = _WANTING.get((api, name), ("", ""))
    return _WANTING_IN.get((release.version, api, name), in_all)


def _kind(release: Release, api: str, name: str) -> ProviderType:
    return embedded().find(_era(release), api, name, connected=True)


class _Subject:
    """A provider to be proven."""

    def __init__(self, release: Release, api: str, name: str, kind: ProviderType) -> None:
        self._api, self._name, self._kind = api, name, kind
        self._id = f"my-{name}"
        since = dict(kind.only).get(kind.secret or "", ())
        self._takes_key = kind.secret is not None and (not since or release.version in since)

    def provider(self, around: Capabilities) -> Json:
        """Its part of the spec."""
        spec: Json = {"id": self._id, "provider": self._name}
        if self._kind.endpoint is not None and "conn_str" not in self._kind.required:
            spec["endpoint"] = self._endpoint(around)
        if self._takes_key:
            spec["apiKey"] = {"secretKeyRef": {"name": self._id, "key": "token"}}
        if (self._api, self._name) in _PAIRS:
            spec["secretRefs"] = {
                field: {"secretKeyRef": {"name": self._id, "key": field}} for field in _PAIR
            }
        if settings := _SETTINGS.get((self._api, self._name)):
            spec["settings"] = settings
        return spec

    def _endpoint(self, around: Capabilities) -> str:
        if self._name == "pgvector":
            return f"postgresql://vectors@{around.services.postgres.host}/vectors"
        if self._name == "neo4j":
            return around.endpoint.at("").replace("http://", "bolt://")
        if self._api == "vector_io":
            return around.endpoint.at("").replace("127.0.0.1", "localhost")
        return around.endpoint.at("/v1" if self._name != "watsonx" else "")

    def probes(self) -> tuple[Probe, ...]:
        """What can be seen of it besides being listed."""
        reachable = self._kind.endpoint is not None and self._name not in _UNREACHABLE
        key = value_of(self._id, "token") if self._takes_key else ""
        if self._api == "inference" and reachable:
            return (chat(self._id, key=key),)
        if self._api == "vector_io" and self._name in _INSIDE:
            return (vector_store(self._id),)
        if (self._api, self._name) in _PAIRS and reachable:
            return (arrived([value_of(self._id, _PAIR[0])], uploaded),)
        if self._api == "vector_io" and reachable and key:
            return (arrived([key], vector_store(self._id)),)
        return ()


_UNREACHABLE: Final = frozenset({"passthrough", "watsonx", "weaviate"})
"""passthrough makes a client without a key, which that client refuses in the version of the day of
the server's release; watsonx first gets a token from an address that cannot be set; to a Weaviate
on localhost the server sends no key."""

_INSIDE: Final = frozenset({"faiss"})
"""Vector databases inside the server. sqlite-vec needs an interpreter that loads extensions of
SQLite, which many are built without: there it boots and fails at its first use."""


def _spec(release: Release, api: str, providers: list[Json], around: Capabilities) -> Json:
    """Sections with the providers in question, and what they cannot be without."""
    section = eras.section_of(api, _era(release))
    spec: Json = {"providers": {str(section): providers}}
    if api != "inference":
        spec["providers"]["inference"] = {
            "id": EMBEDDER,
            "provider": "vllm",
            "endpoint": around.endpoint.url,
        }
        spec["resources"] = {
            "models": [{"name": EMBEDDING, "provider": EMBEDDER, "embeddingDimension": DIMENSION}]
        }
    return spec
