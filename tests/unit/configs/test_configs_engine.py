# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The engine as a whole: which source, which reason, what comes with the text, the last checks."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from api.v1alpha2 import ConfigSource, Reason
from configs import engine, references, yaml_reader
from configs.base import BaseConfig, read_base
from configs.distributions import Distributions, Resolved
from configs.eras import Era
from configs.errors import ConfigError
from configs.secrets import EnvValue
from configs.server import TLS_FOLDER
from tests.support import bases
from tests.support.config_specs import (
    DISTRIBUTIONS,
    config,
    errors,
    generate,
    refused,
    secret,
    spec_of,
    warnings,
)

VLLM = {"provider": "vllm", "endpoint": "http://vllm:8000/v1"}
STARTER = DISTRIBUTIONS.images["starter"]


class _Fixed:
    """A resolver with one base."""

    def __init__(self, text: str) -> None:
        self._text = text

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        """The base."""
        return read_base(self._text, source=ConfigSource.OCI_LABEL)


def on(text: str, **sections: Any) -> engine.Generated:
    """What a base out of an image label and a spec come to."""
    spec = spec_of({"distribution": {"image": "example.com/i:1"}, **sections})
    return engine.generate("n", "ns", spec, distributions=DISTRIBUTIONS, bases=_Fixed(text))


def values(found: engine.Generated) -> dict[str, str]:
    """The variables that are no secrets."""
    return {item.name: item.value for item in found.env if isinstance(item, EnvValue)}


def test_nothing_to_generate_leaves_the_images_own_config() -> None:
    specs: list[dict[str, Any]] = [
        {},
        {"distribution": {"image": "example.com/i:1"}},
        {"providers": {}},
        {"workload": {"replicas": 3}},
        {"networking": {"port": 9000}},
    ]
    for sections in specs:
        found = generate(**sections)

        assert (found.source, found.config_yaml, found.config_hash) == ("default", None, "")
        assert found.base_source is ConfigSource.DEFAULT


@pytest.mark.parametrize(
    ("sections", "folder"),
    [
        ({}, "/.llama/distributions/starter"),
        ({"workload": {"storage": {}}}, "/.llama/distributions/starter"),
        ({"workload": {"storage": {"mountPath": "/data/"}}}, "/data/distributions/starter"),
    ],
)
def test_the_images_own_config_keeps_its_data_where_a_generated_one_finds_it(
    sections: dict[str, Any], folder: str
) -> None:
    own = values(generate(**sections))
    generated = generate(**sections, disabled=["memory"])

    assert own == {"SQLITE_STORE_DIR": folder, "FILES_STORAGE_DIR": f"{folder}/files"}
    # What a variable does not say is the default in the config.
    defaults = dict(re.findall(r"\{env\.(\w+_DIR):=([^}]*)\}", str(generated.config_yaml)))
    assert {**defaults, **values(generated)} == own


def test_nothing_is_known_of_the_folders_of_a_strange_image() -> None:
    assert not generate(distribution={"image": "example.com/i:1"}).env


def test_an_override_is_the_users_own_business() -> None:
    found = generate(overrideConfig={"configMapName": "mine"})

    assert (found.source, found.config_yaml, found.image) == ("override", None, STARTER)
    assert found.base_source is ConfigSource.OVERRIDE


@pytest.mark.parametrize(
    "sections",
    [
        {"providers": {"inference": VLLM}},
        {"resources": {"models": ["m"]}},
        {"storage": {"kv": {"type": "sqlite"}}},
        {"disabled": ["eval"]},
        {"workload": {"workers": 2}},
        {"networking": {"tls": {"enabled": True, "secretName": "tls"}}},
    ],
)
def test_what_lives_in_the_config_makes_one(sections: dict[str, Any]) -> None:
    found = generate(**sections)

    assert found.source == "generated"
    assert found.config_yaml is not None
    assert found.config_hash == hashlib.sha256(found.config_yaml.encode()).hexdigest()
    assert (found.era, found.config_version, found.image) == ("0.7", 2, STARTER)
    assert found.base_source is ConfigSource.EMBEDDED
    assert len(found.base_hash) == 64


def test_an_image_without_a_base_is_refused_in_the_words_of_the_requirements() -> None:
    error = refused(distribution={"image": "example.com/i:1"}, providers={"inference": VLLM})

    assert error.reason is Reason.BASE_CONFIG_REQUIRED
    assert [(item.path, item.message) for item in error.errors] == [
        (
            "spec.distribution.image",
            "Direct image references require either overrideConfig.configMapName or OCI config "
            "labels on the image. See docs/configuration.md for details.",
        )
    ]


def test_an_image_with_a_base_of_its_own_is_generated_for() -> None:
    found = on(
        "version: 2\ndistro_name: mine\napis: [inference]\nproviders: {}\nextra: {kept: [1, yes]}",
        providers={"inference": VLLM},
    )

    assert found.base_source is ConfigSource.OCI_LABEL
    assert "extra:\n  kept:\n  - 1\n  - true\n" in str(found.config_yaml)
    assert "kv_default" in str(found.config_yaml)


def test_workers_of_an_image_without_a_base_do_not_ask_for_one() -> None:
    found = generate(distribution={"image": "example.com/i:1"}, workload={"workers": 2})

    assert found.source == "default"


def test_tls_of_an_image_without_a_base_asks_for_one() -> None:
    # The image's own config would serve plain HTTP, and no probe would ever succeed.
    tls = {"enabled": True, "secretName": "certificate"}
    found = errors(distribution={"image": "example.com/i:1"}, networking={"tls": tls})
    assert found["spec.distribution.image"].startswith(engine.BASE_REQUIRED)


def test_port_workers_and_tls_files_are_in_the_server_section() -> None:
    found = config(
        networking={"port": 9443, "tls": {"enabled": True, "secretName": "tls"}},
        workload={"workers": 2},
    )

    assert found["server"] == {
        "port": 9443,
        "workers": 2,
        "tls_certfile": f"{TLS_FOLDER}/tls.crt",
        "tls_keyfile": f"{TLS_FOLDER}/tls.key",
    }


def test_a_port_that_the_server_refuses_is_refused() -> None:
    assert "1024" in errors(networking={"port": 443}, disabled=["eval"])["spec.networking.port"]


def test_reasons_agree_or_fall_back_to_the_general_one() -> None:
    missing = {"models": [{"name": "m", "provider": "x"}]}

    one = refused(resources=missing)
    two = refused(resources=missing, networking={"port": 80})

    assert one.reason is Reason.MISSING_PROVIDER_FOR_RESOURCE
    assert two.reason is Reason.CONFIG_GENERATION_FAILED
    assert len(two.errors) == 2


def test_counts_are_of_what_is_on() -> None:
    plain = generate(disabled=["eval"])
    switched = generate(
        disabled=["eval"],
        workload={"overrides": {"env": [{"name": "OLLAMA_URL", "value": "http://o/v1"}]}},
    )

    assert switched.provider_count == plain.provider_count + 1
    assert plain.resource_count == 0


def test_a_variable_that_nothing_sets_is_refused_and_one_that_the_user_sets_is_not() -> None:
    spec = {"providers": {"inference": {**VLLM, "settings": {"max_tokens": "${env.MAX}"}}}}
    env = {"overrides": {"env": [{"name": "MAX", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}}

    found = errors(**spec)

    assert "MAX, which nothing sets" in found["spec.providers.inference.settings.max_tokens"]
    assert generate(**spec, workload=env).source == "generated"


@pytest.mark.parametrize(
    "text", ["${env.lower}", "${env.A-B}", "x${env.}", "${env.A:?x}", "${env.A"]
)
def test_a_reference_that_the_server_does_not_expand_is_refused(text: str) -> None:
    found = errors(providers={"inference": {**VLLM, "settings": {"network": {"proxy": text}}}})

    path = "spec.providers.inference.settings.network.proxy"
    assert "does not expand" in found[path]


def test_a_backend_that_does_not_exist_is_refused() -> None:
    found = errors(
        providers={
            "vectorIo": {
                "provider": "faiss",
                "settings": {"persistence": {"backend": "redis", "namespace": "n"}},
            }
        }
    )

    assert 'no storage backend "redis"' in found["spec.providers.vectorIo.settings"]


def test_settings_that_no_yaml_can_carry_are_refused_at_their_provider() -> None:
    found = errors(
        providers={
            "inference": {**VLLM, "settings": {"a": "\ud800"}},
            "files": {"provider": "localfs"},
        }
    )

    assert list(found) == ["spec.providers.inference.settings"]
    assert "surrogate" in found["spec.providers.inference.settings"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("apis: [x]\nproviders: {nonsense: [{provider_id: a, provider_type: b}]}",
         "no API nonsense"),
        ("providers: {files: [{provider_id: a, provider_type: 'remote::x'}, "
         "{provider_id: a, provider_type: 'remote::y'}]}", "two files providers"),
        ("storage: {stores: {metadata: {backend: gone}}}", "backend that does not exist"),
        ("logging: {level: '${env.LEVEL}'}", "LEVEL, which nothing sets"),
    ],
)  # fmt: skip
def test_a_base_on_which_no_server_starts_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        on(f"version: 2\ndistro_name: x\n{text}", providers={"inference": VLLM})

    assert {error.path for error in caught.value.errors} == {"spec.distribution"}


def test_the_base_that_all_specs_share_is_never_changed() -> None:
    before = config(disabled=["memory"])

    generate(
        providers={"inference": VLLM, "files": {"provider": "localfs"}},
        resources={"models": ["m"], "shields": ["x"]},
        storage={"kv": {"type": "redis", "endpoint": "r"},
                 "sql": {"type": "postgres", "connectionString": secret()}},
        disabled=["vectorIo", "scoring"],
    )  # fmt: skip

    assert config(disabled=["memory"]) == before


def test_a_warning_is_no_error() -> None:
    assert list(warnings(disabled=["memory"])) == ["spec.disabled[0]"]


@pytest.mark.parametrize(
    ("text", "names", "expanded", "active"),
    [
        ("${env.A:+x}", {"A"}, "x", "x"),
        ("${env.A:+x}", set(), "", None),
        ("${env.A:=x}", set(), "x", "x"),
        ("${env.A:=x}", {"A"}, "${env.A:=x}", "${env.A:=x}"),
        ("__disabled__", set(), "__disabled__", None),
        ("plain", set(), "plain", "plain"),
        ("a-${env.A:=b}-${env.C:+d}", {"C"}, "a-b-d", "a-b-d"),
    ],
)
def test_references_are_read_as_the_server_reads_them(
    text: str, names: set[str], expanded: str, active: str | None
) -> None:
    assert references.expand(text, names) == expanded
    assert references.active(text, names) == active


def test_remote_vllm_runs_on_another_image_and_so_always_has_its_config() -> None:
    found = generate(distribution={"name": "remote-vllm"})

    assert (found.source, found.image) == ("generated", STARTER)
    assert "distro_name: remote-vllm" in str(found.config_yaml)
    assert not found.env
    assert found.models == ()


def test_a_model_that_the_base_registers_by_a_variable_is_counted_when_it_is_set() -> None:
    env = [{"name": "INFERENCE_MODEL", "value": "llama"}]

    found = generate(distribution={"name": "remote-vllm"}, workload={"overrides": {"env": env}})

    assert found.resource_count == 1


def test_a_name_without_a_base_says_what_to_do() -> None:
    bare = Resolved("example.com/i:1", "0.7", None, "starter")
    spec = spec_of({"providers": {"inference": VLLM}})

    with pytest.raises(ConfigError) as caught:
        engine.generate("n", "ns", spec, distributions=Distributions({"starter": bare}))

    assert caught.value.reason is Reason.BASE_CONFIG_REQUIRED
    assert caught.value.errors[0].path == "spec.distribution.name"
    assert "overrideConfig" in caught.value.errors[0].hint


@pytest.mark.parametrize("era", ["0.4", "0.5-0.6"])
def test_several_workers_of_an_older_server_get_one_host(era: Era) -> None:
    # Its own default is a list of two, of which it dies when it has several workers.
    generated = bases.generate_on(era, workload={"workers": 2}, providers={"inference": VLLM})
    assert yaml_reader.load(generated.config_yaml or "")["server"]["host"] == "::"


@pytest.mark.parametrize(("era", "workers"), [("0.7", 2), ("0.5-0.6", 1)])
def test_the_host_is_the_servers_business_otherwise(era: Era, workers: int) -> None:
    generated = bases.generate_on(era, workload={"workers": workers}, providers={"inference": VLLM})
    assert "host" not in yaml_reader.load(generated.config_yaml or "")["server"]
