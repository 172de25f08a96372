# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``convert``, and that the other offline commands take both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.yaml_reader import MAX_BYTES, load_all
from llamastack_operator.__main__ import main
from llamastack_operator.cli.files import MAX_RESOURCES

OLD = """\
apiVersion: llamastack.io/v1alpha1
kind: LlamaStackDistribution
metadata: {name: demo}
spec:
  replicas: 2
  server: {distribution: {name: starter}, containerSpec: {port: 9000}}
"""
NEW = """\
apiVersion: llamastack.io/v1alpha2
kind: LlamaStackDistribution
metadata: {name: demo}
spec:
  distribution: {name: starter}
  networking: {port: 9000}
  workload: {replicas: 2}
"""


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_an_object_is_printed_in_the_other_version_and_gets_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "-f", write(tmp_path / "a.yaml", OLD), "--to", "v1alpha2"]) == 0
    out, err = capsys.readouterr()
    assert load_all(out) == load_all(NEW)
    assert not err


def test_an_object_of_that_version_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "-f", write(tmp_path / "a.yaml", NEW), "--to", "v1alpha2"]) == 0
    assert load_all(capsys.readouterr().out) == load_all(NEW)


def test_what_the_other_version_cannot_say_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = NEW.replace("port: 9000", "port: 9000, expose: {hostname: a.b}")
    assert main(["convert", "-f", write(tmp_path / "a.yaml", text), "--to", "v1alpha1"]) == 0
    out, err = capsys.readouterr()
    assert err == (
        "warning: spec.networking.expose: is not in v1alpha1; it is kept in the annotation"
        " llamastack.io/v1alpha2-fields\n"
    )
    back = write(tmp_path / "b.yaml", out)
    assert main(["convert", "-f", back, "--to", "v1alpha2"]) == 0
    assert load_all(capsys.readouterr().out) == load_all(text)


def test_what_the_go_operator_drops_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = NEW + "  providers: {inference: {provider: ollama, endpoint: 'http://o:11434'}}\n"
    assert main(["convert", "-f", write(tmp_path / "a.yaml", text), "--to", "v1alpha1"]) == 0
    assert capsys.readouterr().err == (
        "warning: spec.server.providers: is not in the v1alpha1 of the Go operator,"
        " which drops it\n"
    )


def test_thousands_of_objects_are_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = 3 * MAX_RESOURCES
    text = "---\n".join(OLD.replace("demo", f"demo-{i}") + f"# {'x' * 400}\n" for i in range(count))
    assert len(text) > MAX_BYTES
    assert main(["convert", "-f", write(tmp_path / "a.yaml", text), "--to", "v1alpha2"]) == 0
    assert capsys.readouterr().out.count("apiVersion: llamastack.io/v1alpha2") == count


def test_render_makes_the_same_of_both_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for text in (OLD, NEW):
        assert main(["render", "-f", write(tmp_path / "a.yaml", text)]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_diff_sees_no_change_in_another_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = write(tmp_path / "old.yaml", OLD), write(tmp_path / "new.yaml", NEW)
    assert main(["diff", "-f", new, "--against", old]) == 0
    assert "nothing changes" in capsys.readouterr().out


def test_an_unknown_version_is_refused_with_those_that_are_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = OLD.replace("v1alpha1", "v1")
    assert main(["convert", "-f", write(tmp_path / "a.yaml", text), "--to", "v1alpha2"]) == 2
    assert "use llamastack.io/v1alpha1 or llamastack.io/v1alpha2" in capsys.readouterr().err
