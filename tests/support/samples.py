# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The samples in ``deploy/samples``, read for tests.

A sample makes promises in its comments, and tests hold it to them: ``Expect a warning about PATH``
announces a warning, ``clients call it NAME`` names a model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from api import VERSION
from api.conversion import convert
from api.conversion.paths import WrittenPaths
from api.v1alpha2 import LlamaStackDistribution, parse
from api.v1alpha2.references import CONFIG_KEY
from configs.distributions import Distributions
from configs.engine import Generated, generate
from configs.yaml_reader import load_all
from hack.root import ROOT

FOLDER: Final = ROOT / "deploy" / "samples"
PLACEHOLDER: Final = "replace-me"
"""What stands in a sample for everything that nobody else can use."""

_ANNOUNCED: Final = re.compile(r"Expect a warning about (spec\.[\w.\[\]]+)(?=[:, ])")
_CALLED: Final = re.compile(r"clients call it (\S+)")
_COMMENT: Final = re.compile(r"(?:^|\s)#(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One file.

    Attributes:
        version: of its resource.
        name: of the file, without the version and ``.yaml``.
        comments: all of them, in one line.
        documents: what is in it.
    """

    version: str
    name: str
    comments: str
    documents: tuple[dict[str, Any], ...]

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.version}-{self.name}.yaml"

    @property
    def resource(self) -> dict[str, Any]:
        """The one LlamaStackDistribution in it."""
        (found,) = (d for d in self.documents if d["kind"] == "LlamaStackDistribution")
        return found

    @property
    def converted(self) -> dict[str, Any]:
        """The resource in the version that is stored."""
        return convert(self.resource, VERSION)

    @property
    def secrets(self) -> dict[tuple[str, str], str]:
        """The values of its Secrets by name and key."""
        return {
            (document["metadata"]["name"], key): value
            for document in self.documents
            if document["kind"] == "Secret"
            for key, value in document["stringData"].items()
        }

    @property
    def config_maps(self) -> dict[tuple[str, str], str]:
        """The texts of its ConfigMaps by name and key."""
        return {
            (document["metadata"]["name"], key): text
            for document in self.documents
            if document["kind"] == "ConfigMap"
            for key, text in document["data"].items()
        }

    @property
    def config(self) -> str:
        """The config.yaml that its server runs with: generated, or its own."""
        override = self.read().spec.override_config
        if override is None:
            return self.generated().config_yaml or ""
        return self.config_maps[override.config_map_name, CONFIG_KEY]

    @property
    def announced_warnings(self) -> set[str]:
        """Paths of the warnings that its comments tell of."""
        return set(_ANNOUNCED.findall(self.comments))

    @property
    def announced_models(self) -> set[str]:
        """Names of models that its comments tell of."""
        return {name.rstrip(".,;") for name in _CALLED.findall(self.comments)}

    def read(self) -> LlamaStackDistribution:
        """The resource as the operator reads it."""
        return parse(self.converted)

    def path(self, path: str) -> str:
        """A path of the version that is stored, as the sample's author reads it."""
        return path if self.version == VERSION else WrittenPaths(self.resource).path(path)

    def generated(self) -> Generated:
        """What the engine makes of it."""
        return from_resource(self.resource)


def from_resource(resource: dict[str, Any]) -> Generated:
    """What the engine makes of a resource, in the namespace ``default`` unless it names one."""
    read = parse(convert(resource, VERSION))
    namespace = read.metadata.namespace or "default"
    return generate(read.metadata.name, namespace, read.spec, distributions=Distributions.load())


def _read(file: str) -> Sample:
    text = (FOLDER / file).read_text("utf-8")
    comments = " ".join(line.strip() for line in _COMMENT.findall(text))
    documents = tuple(d for d in load_all(text) if d is not None)
    version, _, name = file.removesuffix(".yaml").partition("-")
    return Sample(version, name, comments, documents)


SAMPLES: Final = tuple(_read(path.name) for path in sorted(FOLDER.glob("*.yaml")))
"""All of them, by name."""

BY_NAME: Final = {sample.name: sample for sample in SAMPLES}
