# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What ``diff`` says about a changed resource."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.yaml_reader import dump
from llamastack_operator.__main__ import main
from llamastack_operator.cli.difference import compare

OLD = """\
apiVersion: llamastack.io/v1alpha2
kind: LlamaStackDistribution
metadata: {name: demo}
spec:
  distribution: {name: starter}
  resources: {models: [llama]}
  providers:
    inference:
      provider: vllm
      endpoint: http://old:8000/v1
      apiKey: {secretKeyRef: {name: creds, key: token}}
"""
SECRET = (
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: creds}\nstringData: {token: hunter2}\n"
)


def diff(tmp_path: Path, new: str, *words: str, old: str = OLD) -> int:
    paths = tmp_path / "new.yaml", tmp_path / "old.yaml"
    for path, text in zip(paths, (new, old), strict=True):
        path.write_text(text)
    return main(["diff", "-f", str(paths[0]), "--against", str(paths[1]), *words])


def changed(**fields: str) -> str:
    text = OLD
    for name, value in fields.items():
        text += f"  {name}: {value}\n"
    return text


def test_nothing_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(tmp_path, OLD) == 0

    assert capsys.readouterr().out == "default/demo: nothing changes\n"


def test_config_is_compared_as_its_own_text_and_pods_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(tmp_path, OLD.replace("old:8000", "new:8000")) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("--- old/v1.ConfigMap.default.demo-config-")
    assert lines[1].startswith("+++ new/v1.ConfigMap.default.demo-config-")
    assert lines[0].endswith("/config.yaml")
    assert "-      base_url: http://old:8000/v1" in lines
    assert "+      base_url: http://new:8000/v1" in lines
    assert "--- old/apps.v1.Deployment.default.demo" in lines
    assert not [line for line in lines if "Service" in line]
    name = lines[1].split("/")[1].rpartition(".")[2]
    assert lines[-1] == f"default/demo: pods restart: config.yaml; new ConfigMap {name}"


@pytest.mark.parametrize(
    ("fields", "summary"),
    [
        ({"workload": "{replicas: 0}"}, "no pod restarts; replicas 1 to 0"),
        ({"workload": "{resources: {limits: {cpu: 2}}}"}, "pods restart: resources"),
        ({"workload": "{overrides: {env: [{name: A, value: b}]}}"}, "pods restart: env"),
        ({"workload": "{overrides: {nodeSelector: {a: b}}}"}, "pods restart: nodeSelector"),
        ({"workload": "{overrides: {annotations: {a: b}}}"}, "pods restart: annotations"),
    ],
    ids=["replicas", "resources", "env", "pod", "annotations"],
)
def test_last_line_says_what_will_happen(
    tmp_path: Path, fields: dict[str, str], summary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(tmp_path, changed(**fields)) == 1

    assert capsys.readouterr().out.splitlines()[-1] == f"default/demo: {summary}"


@pytest.mark.parametrize(
    ("old", "new", "summary"),
    [
        ("{}", None, "pods restart: volumes; PersistentVolumeClaim demo-pvc stays"),
        ("{size: 1Gi}", "{size: 2Gi}", "no pod restarts; PersistentVolumeClaim demo-pvc changes"),
        ("{}", "{size: 1Gi}", "nothing changes; PersistentVolumeClaim demo-pvc keeps its size"),
        (
            "{}",
            "{storageClassName: a, accessModes: [ReadWriteOncePod]}",
            "nothing changes; PersistentVolumeClaim demo-pvc keeps its class, access modes",
        ),
        ("{storageClassName: a}", "{}", "nothing changes"),
    ],
)
def test_claim_is_shown_as_a_cluster_will_have_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str | None, summary: str
) -> None:
    before = changed(workload=f"{{storage: {old}}}")
    after = OLD if new is None else changed(workload=f"{{storage: {new}}}")

    diff(tmp_path, after, old=before)

    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"default/demo: {summary}"
    assert "+++ /dev/null" not in lines


def test_object_that_appears_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several replicas are guarded; scaling is no reason for any pod to restart."""
    assert diff(tmp_path, changed(workload="{replicas: 3}")) == 1

    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "default/demo: no pod restarts; replicas 1 to 3; PodDisruptionBudget demo-pdb appears"
    )


def test_changed_service_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(tmp_path, changed(networking="{port: 9000}")) == 1

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("default/demo: pods restart: config.yaml, env, livenessProbe, ports")
    assert last.endswith("; Service demo-service changes")


def test_config_that_is_not_generated_any_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(tmp_path, OLD.partition("  resources:")[0]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "+++ /dev/null"
    assert lines[-1].startswith("default/demo: pods restart: config.yaml, ")
    assert lines[-1].endswith("; the image's own configuration runs")


def test_changed_model_makes_a_new_registry_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = OLD.replace("[llama]", "[{name: llama, contextLength: 4096}]")

    assert diff(tmp_path, new) == 1

    out = capsys.readouterr().out
    assert out.splitlines()[-1].endswith(
        "; the server begins a new registry because of model vllm/llama"
    )
    assert "registry-state" not in out


def test_disabled_api_keeps_the_registry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = OLD.replace("  providers:", "  disabled: [eval]\n  providers:")

    assert diff(tmp_path, new) == 1

    assert "registry" not in capsys.readouterr().out.splitlines()[-1]


def test_invalid_new_resource_is_trouble_and_not_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(tmp_path, OLD.replace("starter", "nope")) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("spec.distribution.name: Unknown distribution")


def test_invalid_old_resource_is_no_base_to_compare_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(tmp_path, OLD, old=OLD.replace("starter", "nope")) == 1

    captured = capsys.readouterr()
    assert "warning: the resource that is there is not valid" in captured.err
    assert "warning: spec.distribution.name: Unknown distribution" in captured.err
    assert captured.out.startswith("--- /dev/null\n")
    assert captured.out.splitlines()[2].startswith("@@ -0,0 +1,")
    assert "default/demo: is new: creates ConfigMap demo-config-" in captured.out


@pytest.mark.parametrize(
    "old", [OLD.replace("demo", "other"), OLD.replace("demo}", "demo, namespace: x}")]
)
def test_another_name_or_namespace_cannot_be_compared(
    tmp_path: Path, old: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(tmp_path, OLD, old=old) == 2

    assert "there is no default/demo to compare with, only " in capsys.readouterr().err


def test_file_that_cannot_be_used_is_trouble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(tmp_path, OLD, old="a: [") == 2

    assert len(capsys.readouterr().err.splitlines()) == 2  # a warning about OLD, and the error


def test_cluster_that_cannot_be_asked_is_trouble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.yaml"
    path.write_text(OLD)

    assert main(["diff", "-f", str(path), "--kubeconfig", str(tmp_path / "absent")]) == 2

    assert "does not exist; give --kubeconfig FILE" in capsys.readouterr().err


def test_no_value_of_a_secret_in_any_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = OLD.replace("old:8000", "new:8000") + SECRET

    assert diff(tmp_path, new, old=OLD + SECRET.replace("hunter2", "hunter1")) == 1

    captured = capsys.readouterr()
    assert "hunter" not in captured.out + captured.err


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_on_a_terminal_only_and_unless_unwanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], coloured: bool
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    diff(tmp_path, changed(workload="{replicas: 3}"))

    assert ("\x1b[32m+  replicas: 3\x1b[0m\n" in terminal.getvalue()) is coloured
    assert ("\x1b" in terminal.getvalue()) is coloured


def test_no_colour_in_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diff(tmp_path, changed(workload="{replicas: 3}"))

    assert "\x1b" not in capsys.readouterr().out


def test_against_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.yaml"
    path.write_text(OLD)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(OLD.encode())))

    assert main(["diff", "-f", str(path), "--against", "-"]) == 0

    assert capsys.readouterr().out == "default/demo: nothing changes\n"


# --- the comparison itself -----------------------------------------------------------------


def service(ports: list[int]) -> dict[str, Any]:
    metadata = {"name": "s", "namespace": "n"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}


_PORTS = st.lists(st.integers(0, 3), max_size=30)


@given(_PORTS, _PORTS)
def test_patch_makes_the_new_text_out_of_the_old(old: list[int], new: list[int]) -> None:
    """By the rules of the unified format, applied here by hand."""
    before, after = (dump(service(ports)).splitlines() for ports in (old, new))

    lines = compare([service(old)], [service(new)]).lines

    assert _patched(before, lines) == after


def _patched(text: list[str], lines: tuple[str, ...]) -> list[str]:
    result, position = [], 0
    for line in lines[2:]:
        if line.startswith("@@"):
            start, _, length = line.split()[1][1:].partition(",")
            begin = int(start) - (length != "0")
            result += text[position:begin]
            position = begin
        elif line.startswith("+"):
            result.append(line[1:])
        else:
            assert text[position] == line[1:]
            if line.startswith(" "):
                result.append(line[1:])
            position += 1
    return result + text[position:]


def test_very_different_texts_are_not_searched_for_common_lines() -> None:
    old, new = service(list(range(5000))), service(list(range(5000, 10000)))

    lines = compare([old], [new]).lines

    assert len([line for line in lines if line.startswith("@@")]) == 1
    assert _patched(dump(old).splitlines(), lines) == dump(new).splitlines()
