# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``convert --from ogx``, and what the other commands say of an OGXServer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.yaml_reader import load, load_all
from llamastack_operator.__main__ import main

SERVER = """\
apiVersion: ogx.io/v1beta1
kind: OGXServer
metadata: {name: demo}
spec:
  distribution: {image: "registry.example/ogx:1"}
  network: {port: 9000}
"""
RESOURCE = """\
apiVersion: llamastack.io/v1alpha2
kind: LlamaStackDistribution
metadata: {name: demo}
spec:
  distribution: {image: "registry.example/ogx:1"}
  networking: {port: 9000}
"""
EVERY_VENDOR = """\
apiVersion: ogx.io/v1beta1
kind: OGXServer
metadata: {name: demo, namespace: team}
spec:
  distribution: {name: starter}
  providers:
    inference:
      remote:
        vllm: [{id: b, endpoint: "http://vllm:8000/v1", apiToken: {name: s, key: a}, maxTokens: 9}]
        openai: [{id: a, apiKey: {name: s, key: a}}]
        azure: [{apiKey: {name: s, key: a}, endpoint: "https://x.openai.azure.com/openai/v1"}]
        bedrock: [{region: us-east-1, allowedModels: [m]}]
        vertexai: [{project: p, location: global}]
        watsonx: [{projectId: p, apiKey: {name: s, key: a}, network: {proxy: {noProxy: [b]}}}]
        custom: [{type: "remote::gemini", secretRefs: {api_key: {name: s, key: a}}}]
    vectorIo:
      remote:
        pgvector: [{host: db, password: {name: s, key: a}, vectorIndex: {hnsw: {m: 4}}}]
        milvus: [{uri: "http://milvus:19530", token: {name: s, key: a}}]
        qdrant: [{url: "http://qdrant:6333"}, {id: other, host: qdrant, grpcPort: 6334}]
    toolRuntime:
      remote:
        braveSearch: [{apiKey: {name: s, key: a}, maxResults: 3}]
        tavilySearch: [{apiKey: {name: s, key: a}}]
        modelContextProtocol: [{}]
      inline: {fileSearch: [{}]}
    files:
      remote:
        s3:
          bucketName: b
          endpointUrl: "http://minio:9000"
          awsAccessKeyId: {name: s, key: a}
          awsSecretAccessKey: {name: s, key: b}
    batches: {inline: {reference: {maxConcurrentBatches: 2}}}
    responses: {inline: {builtin: {vectorStoresConfig: {defaultProviderId: other}}}}
  resources: {models: [{name: m, contextLength: 4096}]}
"""


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_the_resource_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.yaml", SERVER)

    assert main(["convert", "--from", "ogx", "-f", file, "--to", "v1alpha2"]) == 0

    out, err = capsys.readouterr()
    assert load_all(out) == load_all(RESOURCE)
    assert err == ""


def test_it_can_be_of_the_old_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.yaml", SERVER)

    assert main(["convert", "--from", "ogx", "-f", file, "--to", "v1alpha1"]) == 0

    assert load(capsys.readouterr().out)["spec"]["server"]["containerSpec"] == {"port": 9000}


def test_what_has_no_counterpart_and_what_the_result_is_refused_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"{SERVER}  tls: {{identity: {{}}}}\n  workload: {{replicas: many}}\n"
    file = write(tmp_path / "a.yaml", text)

    assert main(["convert", "--from", "ogx", "-f", file, "--to", "v1alpha2"]) == 0

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: spec.tls.identity: has no counterpart")
    assert second.startswith("warning: in the result: spec.workload.replicas: must be an integer")


def test_every_vendor_becomes_something_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a.yaml", EVERY_VENDOR)
    assert main(["convert", "--from", "ogx", "-f", file, "--to", "v1alpha2"]) == 0
    out, err = capsys.readouterr()
    assert "is not known to provider type" not in err
    assert load(out)["spec"]["resources"]["models"][0]["provider"] == "a"

    assert main(["validate", "-f", write(tmp_path / "b.yaml", out)]) == 0


def test_lists_are_unpacked_and_other_objects_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = [{**load(SERVER), "metadata": {"name": name}} for name in ("a", "b")]
    listed = {"apiVersion": "v1", "kind": "List", "items": [*servers, load(RESOURCE)]}
    file = write(tmp_path / "a.json", json.dumps(listed))

    assert main(["convert", "--from", "ogx", "-f", file, "--to", "v1alpha2"]) == 0

    found = load_all(capsys.readouterr().out)
    assert [document["metadata"]["name"] for document in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RESOURCE, "no OGXServer in this file; it holds LlamaStackDistribution"),
        (SERVER.replace("v1beta1", "v2"), "'ogx.io/v2' is not supported; use ogx.io/v1beta1"),
        (SERVER.replace("OGXServer", "Other"), "kind: 'Other' is not known; ogx.io has OGXServer"),
    ],
)
def test_what_is_no_such_resource_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    file = write(tmp_path / "a.yaml", text)

    assert main(["convert", "--from", "ogx", "-f", file, "--to", "v1alpha2"]) == 2

    assert message in capsys.readouterr().err


COMMANDS = (
    ["validate"],
    ["render"],
    ["convert", "--to", "v1alpha1"],
    ["convert", "--to", "v1alpha2"],
)


def how(path: str) -> str:
    words = f"python -m llamastack_operator convert --from ogx -f {path} --to v1alpha2"
    return f"to convert OGXServer: {words}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_finds_nothing_else_says_how_to_convert_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    file = write(tmp_path / "a.yaml", SERVER)

    for path in (file, str(tmp_path)):
        assert main([*command, "-f", path]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"error: {path}: no LlamaStackDistribution in ")
        assert err.endswith(how(path))
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS[2:], ids=" ".join)
def test_a_command_that_finds_others_says_that_it_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    file = write(tmp_path / "a.yaml", f"{SERVER}---\n{RESOURCE}")

    assert main([*command, "-f", file]) == 0

    out, err = capsys.readouterr()
    assert len(load_all(out)) == 1
    assert err == f"warning: {file}: OGXServer is passed over; {how(file)}"
