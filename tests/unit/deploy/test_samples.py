# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Samples do what their comments say, and together they show all that there is to show."""

from __future__ import annotations

import re

import pytest

from api import GROUP, OLD_VERSION, VERSION, VERSIONS
from api.conversion import convert
from api.v1alpha2.references import config_map_refs, secret_refs
from api.validation import validate
from configs import connection, eras
from configs.distributions import Distributions
from configs.secrets import EnvFromSecret, is_unusable
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview
from tests.support.samples import BY_NAME, FOLDER, PLACEHOLDER, SAMPLES, Sample

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=[s.name for s in SAMPLES])

_LONGEST_LINE = 120


@each_sample
def test_sample_is_valid_and_warns_of_what_its_comments_announce(sample: Sample) -> None:
    judged = validate(sample.resource)
    assert judged.errors == ()

    found = {warning.path for warning in judged.warnings}
    found |= {sample.path(warning.path) for warning in sample.generated().warnings}

    assert found == sample.announced_warnings


@each_sample
def test_models_are_called_as_the_comments_say(sample: Sample) -> None:
    assert sample.announced_models <= set(sample.generated().models)


@each_sample
def test_sample_is_named_after_its_resource_and_brings_what_it_refers_to_first(
    sample: Sample,
) -> None:
    spec = sample.read().spec

    kinds = [document["kind"] for document in sample.documents]

    assert sample.resource["metadata"]["name"] == sample.name
    assert sample.resource["apiVersion"] == f"{GROUP}/{sample.version}"
    assert kinds[-1] == "LlamaStackDistribution"
    assert set(kinds[:-1]) <= {"Secret", "ConfigMap"}
    assert {(ref.name, ref.key) for ref in secret_refs(spec)} == set(sample.secrets)
    assert {(ref.name, ref.key) for ref in config_map_refs(spec)} == set(sample.config_maps)


@each_sample
def test_every_secret_of_a_sample_is_a_placeholder_that_the_server_can_use(sample: Sample) -> None:
    unusable = [key for key, value in sample.secrets.items() if is_unusable(value)]

    assert unusable == []
    assert [v for v in sample.secrets.values() if PLACEHOLDER not in v] == []


@each_sample
def test_no_secret_of_a_sample_gets_into_its_config(sample: Sample) -> None:
    config = sample.config

    assert [value for value in sample.secrets.values() if value in config] == []


@each_sample
def test_storage_secrets_of_a_sample_can_be_derived(sample: Sample) -> None:
    wanted = sample.generated().storage_secret
    if wanted is None:
        return

    content = connection.derive(wanted, sample.secrets)

    assert set(content) == {item.key for item in wanted.values}


@each_sample
def test_every_variable_of_a_sample_has_a_source_in_its_file(sample: Sample) -> None:
    generated = sample.generated()
    own = generated.storage_secret.name if generated.storage_secret else None
    sources = {
        (item.secret_name, item.key)
        for item in generated.env
        if isinstance(item, EnvFromSecret) and item.secret_name != own
    }

    assert sources <= set(sample.secrets)


@each_sample
def test_controller_does_all_that_a_sample_asks_for(sample: Sample) -> None:
    plan = make_plan(sample.converted, Distributions.load())

    assert plan.errors == ()
    kinds = [manifest["kind"] for manifest in preview(sample.converted, plan)]
    spec = sample.read().spec
    workload, networking = spec.workload, spec.networking
    beside = {
        "PodDisruptionBudget": workload.replicas > 1 or workload.pod_disruption_budget,
        "HorizontalPodAutoscaler": workload.autoscaling,
        "Ingress": networking.expose,
    }
    own = [kind for kind, wanted in beside.items() if wanted]
    claims = ["PersistentVolumeClaim"] if workload.storage else []
    config_maps = [] if spec.override_config else ["ConfigMap"]
    config_maps += ["ConfigMap"] if networking.tls and networking.tls.ca_bundle else []
    assert kinds == [*config_maps, "ServiceAccount", *claims, "Deployment", "Service", *own]


@each_sample
def test_sample_begins_with_what_it_shows(sample: Sample) -> None:
    lines = (FOLDER / sample.file).read_text("utf-8").splitlines()

    assert re.match(r"# [A-Z]", lines[0])
    assert [line for line in lines if len(line) > _LONGEST_LINE] == []


def test_no_two_samples_have_the_same_name_so_that_all_can_be_applied_at_once() -> None:
    assert len(BY_NAME) == len(SAMPLES)
    assert {sample.version for sample in SAMPLES} == set(VERSIONS)


@each_sample
def test_either_version_of_a_sample_says_all_of_it(sample: Sample) -> None:
    (other,) = set(VERSIONS) - {sample.version}

    back = convert(convert(sample.resource, other), sample.version)

    assert back["spec"] == sample.resource["spec"]


def test_samples_of_v1alpha1_need_no_annotation() -> None:
    old = [sample.converted for sample in SAMPLES if sample.version == OLD_VERSION]

    assert [r["metadata"] for r in old if "annotations" in r["metadata"]] == []
    assert old


def test_samples_show_every_section_and_every_kind_of_storage() -> None:
    specs = [sample.read().spec for sample in SAMPLES if sample.version == VERSION]
    sections = {section for spec in specs for section, _ in spec.providers.items()}
    stores = [spec.storage for spec in specs if spec.storage]

    assert sections == {*eras.sections_of("0.7"), "telemetry"}
    assert {s.kv.type for s in stores if s.kv} == {"sqlite", "redis", "postgres"}
    assert {s.sql.type for s in stores if s.sql} == {"sqlite", "postgres"}
    assert any(spec.disabled for spec in specs)
    assert any(spec.resources.tools for spec in specs)
    assert any(spec.resources.shields for spec in specs)


def test_index_lists_every_sample_once() -> None:
    index = (FOLDER / "README.md").read_text("utf-8")

    listed = re.findall(r"^\| \[([\w.-]+)\]\(([\w.-]+)\) \|", index, re.MULTILINE)

    assert sorted(listed) == [(sample.file, sample.file) for sample in SAMPLES]
