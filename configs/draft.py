# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A config in the making: what the steps of the engine hand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from configs import references
from configs.catalogue import Catalogue
from configs.eras import Era
from configs.errors import Findings
from configs.providers import ProviderEntry
from configs.secrets import Environment

Config: TypeAlias = dict[str, Any]
"""A config.yaml as data."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider that a resource can go to.

    Attributes:
        provider_id: its id, as the server has it.
        provider_type: its full type.
    """

    provider_id: str
    provider_type: str


@dataclass(frozen=True, slots=True)
class Draft:
    """The config and what the steps know about it.

    Attributes:
        data: the config. The steps change it; it shares nothing with the base or the resource.
        era: of the base.
        distribution: its name.
        entries: the user's providers by the server's name of their API.
        environment: the variables that the config brings; grows.
        given: variables that the user sets in ``workload.overrides.env``.
        catalogue: what servers know.
        findings: receives mistakes and warnings.
    """

    data: Config
    era: Era
    distribution: str
    entries: Mapping[str, Sequence[ProviderEntry]]
    environment: Environment
    given: frozenset[str]
    catalogue: Catalogue
    findings: Findings

    @property
    def variables(self) -> frozenset[str]:
        """Every variable that is set."""
        return self.given | self.environment.names

    @property
    def providers(self) -> dict[str, list[dict[str, Any]]]:
        """The ``providers`` of the config, by API."""
        found: dict[str, list[dict[str, Any]]] = self.data["providers"]
        return found

    @property
    def resources(self) -> dict[str, list[dict[str, Any]]]:
        """The ``registered_resources`` of the config, by kind."""
        found: dict[str, list[dict[str, Any]]] = self.data["registered_resources"]
        return found

    def candidates(self, api: str) -> list[Candidate]:
        """The providers of an API that are on, in order."""
        variables = self.variables
        return [
            Candidate(provider_id, entry["provider_type"])
            for entry in self.providers.get(api, ())
            if (provider_id := references.active(entry["provider_id"], variables))
        ]
