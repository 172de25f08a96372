# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Telling the era of a config by its shape, and refusing those of nobody's."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2 import ConfigSource, Reason
from configs import connection, detection, yaml_reader
from configs.base import read_base
from configs.eras import Era
from configs.errors import ConfigError
from tests.support.bases import HAND_MADE, base_of, generate_on, text_of

CONNECTORS = {"storage": {"stores": {"connectors": {"backend": "k", "namespace": "c"}}}}


def _provider(api: str, kind: str, **config: Any) -> dict[str, Any]:
    entry = {"provider_id": "p", "provider_type": kind, "config": config}
    return {"providers": {api: [entry]}}


@pytest.mark.parametrize(
    ("data", "era"),
    [
        ({"distro_name": "x", "apis": ["inference", "interactions"]}, "ogx"),
        ({"distro_name": "x", "storage": {"stores": {"prompts": {"table_name": "p"}}}}, "ogx"),
        (
            {"distro_name": "x", "storage": {"backends": {"s": {"connection_string": "c"}}}},
            "ogx",
        ),
        ({"distro_name": "x", "server": {"insecure": True}}, "ogx"),
        ({"distro_name": "x", **_provider("batches", "inline::reference", sqlstore={})}, "ogx"),
        (
            {
                "distro_name": "x",
                **_provider("responses", "inline::builtin", persistence={"responses": {}}),
            },
            "ogx",
        ),
        (
            {
                "distro_name": "x",
                **_provider(
                    "responses",
                    "inline::builtin",
                    persistence={"agent_state": {}, "responses": {}},
                ),
            },
            "0.7",
        ),
        ({"distro_name": "x", "apis": ["responses", "safety"]}, "0.7"),
        ({"distro_name": "x", "providers": {"responses": [], "shields": []}}, "0.7"),
        ({"apis": ["agents"], "distro_name": "x"}, "0.5-0.6"),
        ({"distro_name": "x", **_provider("tool_runtime", "inline::rag-runtime")}, "0.5-0.6"),
        (
            {"distro_name": "x", "registered_resources": {"tool_groups": [{"toolgroup_id": "t"}]}},
            "0.5-0.6",
        ),
        ({"apis": ["agents"], "image_name": "x", **CONNECTORS}, "0.5-0.6"),
        ({"providers": {"agents": []}, "image_name": "x"}, "0.4"),
        ({"image_name": "x", **_provider("inference", "inline::meta-reference")}, "0.4"),
        ({"providers": {"inference": []}, "image_name": "x"}, "0.4"),
        ({"providers": {"inference": []}, "distro_name": "x"}, "0.7"),
        ({"distro_name": "x", **_provider("inference", "remote::of-my-own", url="u")}, "0.7"),
        ({"apis": None, "providers": 3, "storage": []}, "0.4"),
    ],
)
def test_the_era_shows_in_the_shape(data: dict[str, Any], era: Era) -> None:
    assert detection.detect(data) == era


def test_a_config_that_fits_several_eras_is_of_the_current_one() -> None:
    data = {"distro_name": "x", **_provider("inference", "remote::vllm", base_url="u")}

    assert detection.candidates(data) == ("0.7", "0.5-0.6", "ogx")


@pytest.mark.parametrize("era", HAND_MADE)
def test_a_base_out_of_a_label_is_of_the_era_that_it_was_written_for(era: Era) -> None:
    assert base_of(era).era == era
    assert detection.candidates(base_of(era).data) == (era,)


@pytest.mark.parametrize("era", HAND_MADE)
def test_the_era_still_shows_when_an_image_brings_one_provider_of_its_own(era: Era) -> None:
    data = yaml_reader.load(text_of(era))
    data["providers"]["inference"].append(
        {"provider_id": "own", "provider_type": "remote::own", "config": {"url": "u"}}
    )

    assert detection.candidates(data) == (era,)


OLD: list[tuple[str, str]] = [
    (
        "version: 2\nimage_name: x\nproviders: {inference: []}\n"
        "metadata_store: {type: sqlite, db_path: /a}\nmodels: [{model_id: m}]\n",
        "metadata_store at the top; models at the top",
    ),
    (
        "version: 2\nimage_name: x\nproviders: {telemetry: []}\n",
        "the API telemetry",
    ),
    (
        "version: 2\nimage_name: x\napis: [inference, memory]\nproviders: {}\n",
        "the API memory",
    ),
    (
        "version: 2\nimage_name: x\nproviders: {inference: [{provider_id: v, "
        "provider_type: remote::vllm, config: {url: http://v}}]}\n",
        "providers.inference v with url instead of base_url",
    ),
    (
        "version: 2\nimage_name: x\nproviders: {inference: [{provider_id: a, "
        "provider_type: remote::azure, config: {api_base: http://v}}]}\n",
        "providers.inference a with api_base instead of base_url",
    ),
    (
        "version: 2\nimage_name: x\nproviders: {vector_io: [{provider_id: f, provider_type: "
        "inline::faiss, config: {kvstore: {type: sqlite, db_path: /f}}}]}\n",
        "providers.vector_io f with a database of its own in kvstore",
    ),
    (
        "version: 2\nimage_name: x\nproviders: {}\ntelemetry: {enabled: true}\n"
        "storage: {backends: {}, stores: {metadata: {backend: k, namespace: r}}}\n",
        "the section telemetry, and no store for prompts",
    ),
]


@pytest.mark.parametrize(("text", "seen"), OLD)
def test_a_config_of_a_server_before_0_4_is_refused_with_what_shows_it(
    text: str, seen: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_base(text, source=ConfigSource.OCI_LABEL)

    assert caught.value.reason is Reason.UNSUPPORTED_CONFIG_VERSION
    error = caught.value.errors[0]
    assert error.path == "spec.distribution"
    assert error.message == f"the base config is of a server before 0.4: it has {seen}"
    assert error.hint == "supported are configs of the servers 0.4, 0.5-0.6, 0.7 and ogx 1.x"


def test_many_marks_of_an_old_config_are_not_all_listed() -> None:
    tops = "".join(f"{key}: [1]\n" for key in ("models", "shields", "datasets", "benchmarks"))

    with pytest.raises(ConfigError) as caught:
        read_base(f"version: 2\nproviders: {{}}\n{tops}", source=ConfigSource.OCI_LABEL)

    assert caught.value.errors[0].message.endswith(
        "it has models at the top; shields at the top; datasets at the top; …"
    )


@pytest.mark.parametrize(
    "data",
    [
        # Both spellings: boots from 0.3 to ogx.
        _provider("inference", "remote::vllm", url="u", base_url="u"),
        # Some distributions of 0.4 to 0.6 have the old key still, beside stores that came later.
        {
            **_provider("inference", "remote::tgi", url="u"),
            "storage": {"stores": {"prompts": {"backend": "k", "namespace": "p"}}},
        },
        {**_provider("inference", "remote::tgi", url="u"), "distro_name": "x"},
        {"telemetry": {"enabled": True}, "distro_name": "x", **CONNECTORS},
        _provider("vector_io", "remote::chromadb", url="u"),
        {"storage": {"backends": {}}, "models": [{"model_id": "m"}]},
    ],
)
def test_a_leftover_in_a_config_of_today_is_not_refused(data: dict[str, Any]) -> None:
    assert detection.outdated(data) == ()


def test_an_era_that_is_told_is_not_judged_by_the_shape() -> None:
    base = read_base(text_of("0.4"), source=ConfigSource.OCI_LABEL, era="0.5-0.6")

    assert base.era == "0.5-0.6"


def test_an_ogx_server_is_told_that_plain_http_is_meant_and_only_then() -> None:
    providers = {"inference": {"provider": "vllm", "endpoint": "http://v:8000"}}
    tls = {"enabled": True, "secretName": "cert"}

    plain = yaml_reader.load(str(generate_on("ogx", providers=providers).config_yaml))
    secured = yaml_reader.load(
        str(generate_on("ogx", providers=providers, networking={"tls": tls}).config_yaml)
    )
    older = yaml_reader.load(str(generate_on("0.7", providers=providers).config_yaml))

    assert plain["server"] == {"port": 8321, "insecure": True}
    assert "insecure" not in secured["server"]
    assert older["server"] == {"port": 8321}


def test_the_sql_store_of_ogx_gets_the_password_as_it_is_and_may_encrypt() -> None:
    secret = {"secretKeyRef": {"name": "pg", "key": "url"}}
    url = "postgresql://us%40er:p%40ss%2Fw:rd@[::1]:5433/db?sslmode=require"

    found = generate_on("ogx", storage={"sql": {"type": "postgres", "connectionString": secret}})

    backends = yaml_reader.load(str(found.config_yaml))["storage"]["backends"]
    assert backends["sql_default"]["password"] == "${env.LLSD_STORAGE_SQL_PASSWORD:=}"
    assert backends["sql_default"]["ssl_mode"] == "${env.LLSD_STORAGE_SQL_SSL_MODE:=}"
    assert found.storage_secret is not None
    assert connection.derive(found.storage_secret, {("pg", "url"): url}) == {
        "LLSD_STORAGE_SQL_HOST": "::1",
        "LLSD_STORAGE_SQL_PORT": "5433",
        "LLSD_STORAGE_SQL_DB": "db",
        "LLSD_STORAGE_SQL_USER": "us@er",
        "LLSD_STORAGE_SQL_PASSWORD": "p@ss/w:rd",
        "LLSD_STORAGE_SQL_SSL_MODE": "require",
    }
