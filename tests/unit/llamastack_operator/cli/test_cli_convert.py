# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``convert``, and that the other offline commands take both versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.yaml_reader import MAX_BYTES, load, load_all
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


ANNOTATION = "metadata.annotations[llamastack.io/v1alpha2-fields]"
HOST = '{"path":["spec","networking","expose"],"value":{"hostname":"a.b"}}'
LABELS = '[{"path":["spec","workload","overrides","labels"],"value":{"a":"b"}}]'


def with_annotation(name: str, text: str, obj: str = OLD) -> str:
    annotations = json.dumps({name: text})
    return obj.replace("{name: demo}", f"{{name: demo, annotations: {annotations}}}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[{HOST}]", ["spec.networking.expose: is dropped, because it does not go with"]),
        ("[{", ["is not what the operator writes there"]),
        (f'[{HOST}, {{"path": 1}}]', [
            "spec.networking.expose: is dropped",
            "is not what the operator writes there",
        ]),
        (LABELS, []),
    ],
    ids=["contradicted", "unreadable", "both", "kept"],
)  # fmt: skip
def test_what_an_annotation_held_and_the_result_lacks_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: list[str]
) -> None:
    obj = with_annotation("llamastack.io/v1alpha2-fields", text)
    file = write(tmp_path / "a.yaml", f"{obj}  network: {{exposeRoute: false}}\n")

    assert main(["convert", "-f", file, "--to", "v1alpha2"]) == 0

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(said)
    for line, start in zip(lines, said, strict=True):
        assert line.startswith(f"warning: {ANNOTATION}: {start}")


def test_annotation_of_the_version_itself_is_dropped_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a.yaml", with_annotation("llamastack.io/v1alpha1-fields", LABELS))

    assert main(["convert", "-f", file, "--to", "v1alpha2"]) == 0

    out, err = capsys.readouterr()
    assert load_all(out) == load_all(NEW)
    assert err == (
        "warning: metadata.annotations[llamastack.io/v1alpha1-fields]: means nothing in v1alpha1,"
        " and is dropped\n"
    )


def test_a_view_without_what_was_too_large_for_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = "labels: {llamastack.io/v1alpha2-fields: too-large}"
    file = write(tmp_path / "a.yaml", OLD.replace("{name: demo}", f"{{name: demo, {label}}}"))

    assert main(["convert", "-f", file, "--to", "v1alpha2"]) == 2

    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith(f"error: {file}: demo: metadata.labels[llamastack.io/v1alpha2-fields]: ")
    assert "fetch the object as v1alpha2" in err
    assert main(["convert", "-f", file, "--to", "v1alpha1"]) == 0


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("abc", "(no name): metadata: must be an object, got string"),
        ("{name: demo, annotations: [x]}", "demo: metadata.annotations: must be an object, got li"),
    ],
)
def test_what_metadata_of_a_wrong_type_cannot_keep_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metadata: str, said: str
) -> None:
    wrong = NEW.replace("{name: demo}", metadata)
    file = write(tmp_path / "a.yaml", wrong.replace("9000", "9000, expose: {hostname: a.b}"))

    assert main(["convert", "-f", file, "--to", "v1alpha1"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {file}: {said}")
    assert err.endswith("has no field for: spec.networking.expose\n")


@pytest.mark.parametrize("metadata", ["abc", "{generateName: demo-}", "{name: a, annotations: 5}"])
def test_metadata_comes_along_whatever_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metadata: str
) -> None:
    file = write(tmp_path / "a.yaml", OLD.replace("{name: demo}", metadata))

    assert main(["convert", "-f", file, "--to", "v1alpha2"]) == 0

    out, err = capsys.readouterr()
    assert load_all(out) == load_all(NEW.replace("{name: demo}", metadata))
    assert err == ""


def test_objects_that_are_passed_over_are_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "kind: Secret\nmetadata: {{name: s{}}}\n"
    one = write(tmp_path / "a.yaml", f"{OLD}---\n{other.format(0)}")
    many = write(tmp_path / "b.yaml", "---\n".join([OLD, *map(other.format, range(7))]))

    assert main(["convert", "-f", one, "-f", many, "--to", "v1alpha2"]) == 0

    assert capsys.readouterr().err == (
        f"warning: {one}: 1 other object was passed over: Secret s0\n"
        f"warning: {many}: 7 other objects were passed over:"
        " Secret s0, Secret s1, Secret s2, Secret s3, Secret s4, 2 more\n"
    )


def test_every_object_of_nested_lists_is_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = [{**load(OLD), "metadata": {"name": name}} for name in "abc"]
    bare = [{key: obj[key] for key in ("metadata", "spec")} for obj in objects[1:]]
    of_one_kind = {
        "apiVersion": "llamastack.io/v1alpha1",
        "kind": "LlamaStackDistributionList",
        "items": bare,
    }
    nested = {"apiVersion": "v1", "kind": "List", "items": [objects[0], of_one_kind]}
    file = write(tmp_path / "a.json", json.dumps(nested))

    assert main(["convert", "-f", file, "--to", "v1alpha2"]) == 0

    out, err = capsys.readouterr()
    expected = [{**load(NEW), "metadata": {"name": name}} for name in "abc"]
    assert load_all(out) == expected
    assert err == ""


def test_warnings_about_two_of_one_name_say_where_each_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = NEW.replace("port: 9000", "port: 9000, expose: {hostname: a.b}")
    file = write(tmp_path / "a.yaml", f"{text}---\n{text}")

    assert main(["convert", "-f", file, "--to", "v1alpha1"]) == 0

    starts = [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines()]
    assert starts == ["document 1 (demo)", "document 2 (demo)"]


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
