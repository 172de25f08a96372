# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The offline commands, as a user runs them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from api import VERSIONS
from configs.yaml_reader import load_all
from hack.root import ROOT
from llamastack_operator.__main__ import build_parser, main

SAMPLE = ROOT / "deploy" / "samples" / "v1alpha2-simple.yaml"

WRONG = """
apiVersion: llamastack.io/v1alpha2
kind: LlamaStackDistribution
metadata: {name: demo}
spec:
  distribution: {name: nope}
  networking: {port: 99999}
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "resource.yaml"
    path.write_text(text)
    return str(path)


def test_valid_file_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", str(SAMPLE)]) == 0

    assert capsys.readouterr().out == ""


def test_each_error_is_one_line_that_starts_with_the_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "-f", write(tmp_path, WRONG)]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["spec.networking.port"]


def test_unknown_distribution_lists_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = WRONG.replace("  networking: {port: 99999}\n", "")

    assert main(["validate", "-f", write(tmp_path, text)]) == 1

    out = capsys.readouterr().out
    assert out.startswith('spec.distribution.name: Unknown distribution "nope". Available')
    assert "starter" in out


def test_errors_of_several_resources_say_whose_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = WRONG.replace("demo", "other")

    assert main(["validate", "-f", write(tmp_path, f"{WRONG}---{other}")]) == 1

    starts = [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert starts == ["default/demo", "default/other"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "line"),
        ("kind: Secret", "no LlamaStackDistribution in this file; it holds Secret"),
        ("", "no LlamaStackDistribution"),
        ("- 1\n- 2", "document 1 is no Kubernetes object"),
        ("a: &a [*a]", "resource.yaml"),
        ("a: 1\na: 2", "resource.yaml"),
        ("x: " + "a" * (4 << 20), "larger than 1 MiB"),
        (WRONG.replace("v1alpha2", "v1alpha9"), "v1alpha9"),
    ],
    ids=["syntax", "foreign", "empty", "list", "cycle", "duplicate", "huge", "version"],
)
def test_file_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    path = write(tmp_path, text)

    assert main(["validate", "-f", path]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert path in captured.err
    assert expected in captured.err
    assert len(captured.err.splitlines()) == 1


def test_absent_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-f", "/nonexistent.yaml"]) == 2

    assert capsys.readouterr().err == "error: /nonexistent.yaml: No such file or directory\n"


def test_render_prints_every_child_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-f", str(SAMPLE)]) == 0

    documents = load_all(capsys.readouterr().out)
    assert [d["kind"] for d in documents if isinstance(d, dict)] == [
        "ConfigMap",
        "ServiceAccount",
        "Deployment",
        "Service",
    ]


def test_render_writes_one_file_an_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "dir"

    assert main(["render", "-f", str(SAMPLE), "-o", str(out)]) == 0

    listed = capsys.readouterr().out.splitlines()
    assert sorted(listed) == sorted(str(p) for p in out.iterdir())
    assert len(listed) == 4


def test_render_of_a_wrong_resource_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    assert main(["render", "-f", write(tmp_path, WRONG), "-o", str(out)]) == 1

    assert capsys.readouterr().err.startswith("spec.networking.port: ")
    assert not out.exists()


def test_crd_is_what_deploy_holds(capsys: pytest.CaptureFixture[str]) -> None:
    stored = SAMPLE.parents[1] / "crd" / "llamastackdistributions.llamastack.io.yaml"

    assert main(["crd"]) == 0

    assert capsys.readouterr().out == stored.read_text()


def test_install_dry_run_asks_no_cluster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")

    assert main(["install", "--dry-run"]) == 0

    kinds = [d["kind"] for d in load_all(capsys.readouterr().out) if isinstance(d, dict)]
    assert kinds == [
        "CustomResourceDefinition",
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding") * len(VERSIONS),
    ]


@pytest.mark.parametrize(
    "command",
    ["run", "render", "validate", "diff", "convert", "provider", "crd", "install", "uninstall"],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "\nexamples:\n" in text
    assert "\nexit status: 0" in text


def test_examples_in_the_help_are_commands_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    commands = ["run", "render", "validate", "diff", "provider", "crd", "install", "uninstall"]
    examples = []
    for words in ([], *([command] for command in commands)):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        _, _, text = capsys.readouterr().out.partition("examples:\n")
        found = re.findall(r"python -m llamastack_operator (.*?)(?:  .*| [|>] .*)?$", text, re.M)
        examples += [shlex.split(line) for line in found if not line.startswith(("COMMAND", "-"))]

    assert len(examples) > 10
    for words in examples:
        assert callable(build_parser(words[0]).parse_args(words).action)


def test_wrong_flag_of_the_operator_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workers", "0"]) == 2

    assert capsys.readouterr().err.startswith("error: --workers: ")
