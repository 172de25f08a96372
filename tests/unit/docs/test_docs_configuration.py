# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``docs/configuration.md`` is true: its examples are rendered, its tables are held to the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from api.v1alpha2 import parse
from api.v1alpha2.distribution import Distribution, OverrideConfig
from api.v1alpha2.networking import AllowedFrom, CaBundle, Expose, Tls
from api.v1alpha2.providers import SECTIONS, Provider
from api.v1alpha2.resources import Model, Resources
from api.v1alpha2.storage import KeyValueStorage, SqlStorage
from api.v1alpha2.types import Spec
from api.v1alpha2.workload import (
    Autoscaling,
    Overrides,
    PodDisruptionBudget,
    VolumeStorage,
    Workload,
)
from api.validation import validate
from configs import yaml_reader
from configs.distributions import Distributions
from configs.secrets import is_unusable
from hack.root import ROOT
from tests.support.doc_examples import (
    PAGE,
    Example,
    differences,
    examples,
    matches,
    outcome,
    unmatched,
    variable,
)
from tests.support.samples import SAMPLES

EXAMPLES = examples()

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=[e.name for e in EXAMPLES])

DESCRIBED: dict[str, type[BaseModel]] = {
    "spec.distribution": Distribution,
    "spec.providers.<section>": Provider,
    "spec.resources": Resources,
    "spec.resources.models[]": Model,
    "spec.storage.kv": KeyValueStorage,
    "spec.storage.sql": SqlStorage,
    "spec.networking.tls": Tls,
    "spec.networking.expose": Expose,
    "spec.networking.allowedFrom": AllowedFrom,
    "spec.workload": Workload,
    "spec.workload.autoscaling": Autoscaling,
    "spec.workload.podDisruptionBudget": PodDisruptionBudget,
    "spec.workload.overrides": Overrides,
    "spec.networking.tls.caBundle": CaBundle,
    "spec.workload.storage": VolumeStorage,
    "spec.overrideConfig": OverrideConfig,
}
"""Parts of the spec whose every field has a row."""

_SOURCES = [
    *(ROOT / "configs").glob("*.py"),
    ROOT / "api" / "unknown.py",
    ROOT / "api" / "v1alpha2" / "messages.py",
]
"""Where the texts of warnings are."""


def page() -> str:
    return PAGE.read_text("utf-8")


def rows(heading: str) -> Iterator[list[str]]:
    """The rows of the first table under a heading, without its head."""
    text = page().partition(f"\n{heading}\n")[2]
    table = re.search(r"^\|.*?(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert table, f"there is no table under {heading}"
    for line in table.group().splitlines()[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


# --- examples ------------------------------------------------------------------------------------


@each_example
def test_example_leads_to_the_config_beside_it(example: Example) -> None:
    found = outcome(example).generated
    if "config" not in example.shown:
        assert found is not None or "errors" in example.shown
        return
    assert found is not None
    shown = yaml_reader.load(example.shown["config"])

    assert list(differences(shown, yaml_reader.load(found.config_yaml or ""))) == []


@each_example
def test_example_is_refused_for_what_is_beside_it_and_nothing_else(example: Example) -> None:
    errors = [str(error) for error in validate(example.resource).errors]

    found = errors or outcome(example).errors

    assert unmatched(example.lines("errors"), found) == []


@each_example
def test_example_warns_of_what_is_beside_it(example: Example) -> None:
    if "warnings" not in example.shown:
        return

    assert unmatched(example.lines("warnings"), warnings_of(example.resource)) == []


@each_example
def test_example_has_the_variables_and_models_beside_it(example: Example) -> None:
    found = outcome(example).generated

    if "env" in example.shown:
        assert found is not None
        assert example.lines("env") == [variable(item) for item in found.env]
    if "models" in example.shown:
        assert found is not None
        assert example.lines("models") == list(found.models)


@each_example
def test_example_says_what_it_leads_to(example: Example) -> None:
    assert example.shown


def warnings_of(resource: dict[str, object]) -> list[str]:
    """Everything that one is warned of when it is applied."""
    found = outcome(Example("", dict(parse_spec(resource)))).generated
    engine = found.warnings if found else ()
    return [str(warning) for warning in (*validate(resource).warnings, *engine)]


def parse_spec(resource: dict[str, object]) -> dict[str, object]:
    spec = resource["spec"]
    assert isinstance(spec, dict)
    return spec


# --- tables --------------------------------------------------------------------------------------


def test_every_field_of_the_parts_that_are_described_has_a_row() -> None:
    documented = set(re.findall(r"^\| `(spec\.[^`]+)` \|", page(), re.MULTILINE))
    fields = {
        f"{path}.{field.alias or name}"
        for path, model in DESCRIBED.items()
        for name, field in model.model_fields.items()
        if name != "path"
    }

    missing = fields - documented - {"spec.resources.models"}  # models[] stands for it

    assert sorted(missing) == []


def test_no_row_is_about_a_field_that_is_not_there() -> None:
    documented = re.findall(r"^\| `(spec\.[^`]+)` \|", page(), re.MULTILINE)

    assert documented
    assert [path for path in documented if not _exists(path)] == []


def _exists(path: str) -> bool:
    """Whether the models have a field of this path."""
    node: Any = Spec
    for step in path.removeprefix("spec.").split("."):
        if step == "<section>":
            node = Provider
            continue
        name = step.removesuffix("[]")
        fields = {field.alias or key: field for key, field in node.model_fields.items()}
        if name not in fields:
            return False
        node = Model if step == "models[]" else _model(fields[name].annotation)
    return True


def _model(annotation: Any) -> Any:
    """The model in an annotation such as ``Tls | None``; the annotation if there is none."""
    found = [kind for kind in (annotation, *get_args(annotation)) if hasattr(kind, "model_fields")]
    return found[0] if found else annotation


def test_every_distribution_has_a_row_with_its_server() -> None:
    known = Distributions.load().known
    shown = re.findall(r"^\| `([\w-]+)` \| ([\d.-]+|ogx) \|", page(), re.MULTILINE)

    assert dict(shown) == {name: resolved.era for name, resolved in known.items()}


def test_every_section_has_a_row() -> None:
    named = {name for row in rows("## providers") for name in re.findall(r"`(\w+)`", row[0])}

    assert named == set(SECTIONS)


def test_every_warning_of_an_example_or_sample_is_explained() -> None:
    explained = [row[0].strip("`") for row in rows("## Warnings")]
    resources = [*(e.resource for e in EXAMPLES), *(s.resource for s in SAMPLES)]
    found = {line.partition(": ")[2] for r in resources for line in warnings_of(r)}

    assert [w for w in sorted(found) if not any(matches(text, w) for text in explained)] == []


def test_warnings_that_are_explained_are_in_the_code() -> None:
    """By their longest fixed part; what nobody can be warned of any more needs no advice."""
    source = " ".join(path.read_text("utf-8") for path in _SOURCES)
    plain = re.sub(r"\{[^}]*\}", "…", re.sub(r'"\s+f?"', "", source))
    messages = [row[0].strip("`").partition(" (")[0] for row in rows("## Warnings")]
    fixed = [max(message.split("…"), key=len).strip() for message in messages]

    assert [text for text in fixed if text not in plain] == []


def test_values_that_are_called_unusable_are_refused() -> None:
    (sentence,) = re.findall(r"^That is the case for values .*$", page(), re.MULTILINE)

    assert [v for v in re.findall(r"`([^`]+)`", sentence) if not is_unusable(v)] == []


def test_resources_of_the_examples_are_read_as_written() -> None:
    assert [e.name for e in EXAMPLES if parse(e.resource).metadata.name != "example"] == []
