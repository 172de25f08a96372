# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What ``render`` prints, and which files it makes, replaces, removes and leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.yaml_reader import load, load_all
from llamastack_operator.__main__ import main
from llamastack_operator.cli.folder import MARK

RESOURCE = """\
apiVersion: llamastack.io/v1alpha2
kind: LlamaStackDistribution
metadata: {name: NAME}
spec:
  distribution: {name: starter}
  resources: {models: [{name: llama, provider: vllm}]}
  providers: {inference: {provider: vllm, endpoint: "http://vllm:8000/v1"}}
"""
DEFAULT = RESOURCE.partition("  resources:")[0]  # the image's own configuration: no ConfigMap


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def resource(tmp_path: Path, name: str = "demo", text: str = RESOURCE) -> str:
    path = tmp_path / f"{name}.yaml"
    path.write_text(text.replace("NAME", name))
    return str(path)


def render(path: str, out: Path, *words: str) -> int:
    return main(["render", "-f", path, "-o", str(out), *words])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


ALL = [
    "default.demo.01-configmap.yaml",
    "default.demo.02-serviceaccount.yaml",
    "default.demo.03-deployment.yaml",
    "default.demo.04-service.yaml",
]


def test_files_are_numbered_in_the_order_of_creation_and_name_their_namespace(
    tmp_path: Path, out: Path
) -> None:
    assert render(resource(tmp_path), out, "-n", "team") == 0

    assert names(out) == [name.replace("default", "team") for name in ALL]
    for path in out.iterdir():
        assert load(path.read_text())["metadata"]["namespace"] == "team"


def test_files_hold_what_is_printed_without_a_folder(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = resource(tmp_path)
    render(path, out)
    capsys.readouterr()

    main(["render", "-f", path])

    printed = load_all(capsys.readouterr().out)
    assert [load((out / name).read_text()) for name in names(out)] == printed


def test_rendering_again_gives_the_same_files(tmp_path: Path, out: Path) -> None:
    path = resource(tmp_path)
    render(path, out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    assert render(path, out) == 0

    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_file_of_an_object_that_is_no_more_is_removed_and_said_so(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    render(resource(tmp_path), out)
    capsys.readouterr()

    assert render(resource(tmp_path, text=DEFAULT), out) == 0

    assert [name.partition("-")[2] for name in names(out)] == [
        "serviceaccount.yaml", "deployment.yaml", "service.yaml"]  # fmt: skip
    assert f"{out / ALL[0]} removed" in capsys.readouterr().out.splitlines()


def test_files_of_other_resources_and_of_people_are_left_alone(tmp_path: Path, out: Path) -> None:
    render(resource(tmp_path, "demo2"), out)
    for name in ("notes.md", "default.demo.99-mine.yaml", "zz.yaml"):
        (out / name).write_text("mine: true\n")
    before = names(out)

    assert render(resource(tmp_path, text=DEFAULT), out) == 0

    assert set(before) < set(names(out))
    assert (out / "default.demo.99-mine.yaml").read_text() == "mine: true\n"


@pytest.mark.parametrize("kind", ["file", "link", "link-to-ours", "dangling", "folder"])
def test_nothing_is_written_when_something_foreign_is_in_the_way(
    tmp_path: Path, out: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out.mkdir()
    target, foreign = tmp_path / "target", out / ALL[-1]
    text = MARK if kind == "link-to-ours" else "mine"
    target.write_text(text)
    if kind == "file":
        foreign.write_text("mine: true\n")
    elif kind == "folder":
        foreign.mkdir()
    else:
        foreign.symlink_to(tmp_path / "absent" if kind == "dangling" else target)

    assert render(resource(tmp_path), out) == 1

    error = f"error: {foreign}: there is a file that render did not make; move it away\n"
    assert capsys.readouterr().err.endswith(error)
    assert names(out) == [ALL[-1]]
    assert target.read_text() == text
    assert not (tmp_path / "absent").exists()


def test_folder_that_is_a_file_is_one_line(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.write_text("")

    assert render(resource(tmp_path), out) == 1

    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {out}")


def test_one_wrong_resource_among_several_writes_nothing(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = resource(tmp_path, "other", RESOURCE.replace("starter", "nope"))

    assert render(resource(tmp_path), out, "-f", wrong) == 1

    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{wrong}: default/other: spec.distribution.name: Unknown" in captured.err
    assert not out.exists()


def test_config_only_prints_the_bytes_of_the_config_map(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = resource(tmp_path)
    render(path, out)
    stored = load((out / ALL[0]).read_text())["data"]["config.yaml"]
    capsys.readouterr()

    assert main(["render", "-f", path, "--config-only"]) == 0

    assert capsys.readouterr().out == stored


def test_config_only_of_several_is_a_stream_that_says_whose_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [resource(tmp_path, name) for name in ("a", "b")]

    assert main(["render", "-f", paths[0], "-f", paths[1], "--config-only"]) == 0

    out = capsys.readouterr().out
    assert len(load_all(out)) == 2
    assert [line for line in out.splitlines() if line.startswith("---")] == [
        "--- # default/a", "--- # default/b"]  # fmt: skip


def test_config_only_without_a_generated_config_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "-f", resource(tmp_path, text=DEFAULT), "--config-only"]) == 1

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "the image's own configuration runs" in captured.err


def test_namespace_counts_in_the_config_as_it_does_in_the_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resources that share a database are kept apart by namespace and name."""
    storage = "  storage: {kv: {type: redis, endpoint: 'redis://redis:6379'}}\n"
    path = resource(tmp_path, text=RESOURCE + storage)

    main(["render", "-f", path, "-n", "team", "--config-only"])

    assert "team" in capsys.readouterr().out


def test_warnings_do_not_get_into_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = resource(tmp_path, text=RESOURCE + "  typo: 1\n")

    assert main(["render", "-f", path]) == 0

    captured = capsys.readouterr()
    assert "warning: spec.typo: is not known and has no effect" in captured.err
    assert "typo" not in captured.out


# --- images with a configuration of their own ----------------------------------------------


IMAGE = RESOURCE.replace("{name: starter}", "{image: registry.example/own:1}")
BASE = """\
version: 2
distro_name: own
apis: [inference]
providers:
  inference: [{provider_id: old, provider_type: "remote::ollama", config: {}}]
storage:
  backends:
    kv_default: {type: kv_sqlite, db_path: /data/kv.db}
    sql_default: {type: sql_sqlite, db_path: /data/sql.db}
x_of_the_image: kept
"""


def test_base_config_stands_in_for_the_labels_of_an_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    words = ["-f", resource(tmp_path, text=IMAGE), "--base-config", str(tmp_path / "base.yaml")]

    assert main(["validate", *words]) == 0
    assert main(["render", *words, "--config-only"]) == 0

    config = load(capsys.readouterr().out)
    assert config["x_of_the_image"] == "kept"
    assert [p["provider_id"] for p in config["providers"]["inference"]] == ["vllm"]


def test_image_without_a_base_config_cannot_be_rendered_but_is_not_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = resource(tmp_path, text=IMAGE)

    assert main(["validate", "-f", path]) == 0
    validated = capsys.readouterr()
    assert main(["render", "-f", path]) == 1
    rendered = capsys.readouterr()

    assert validated.out == ""
    assert validated.err.startswith("warning: spec.distribution.image: whether providers and")
    assert rendered.err.startswith("spec.distribution.image: Direct image references require")


def test_base_config_does_not_change_a_named_distribution(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    words = ["render", "-f", resource(tmp_path), "--config-only"]

    main(words)
    without = capsys.readouterr().out
    main([*words, "--base-config", str(tmp_path / "base.yaml")])

    assert capsys.readouterr().out == without


@pytest.mark.parametrize("text", ["a: [", "- 1", "version: 3"])
def test_base_config_that_is_none_is_one_line(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(text)

    status = main(["render", "-f", resource(tmp_path, text=IMAGE), "--base-config", str(base)])

    errors = capsys.readouterr().err.splitlines()
    assert status == 2
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {base}: ")


# --- external providers ---------------------------------------------------------------------------

EXTERNAL = (
    DEFAULT
    + """\
  externalProviders: {safety: [{providerId: shield, image: "registry.example/shield:1"}]}
"""
)


def merge_image(out: Path) -> str:
    deployment = load((out / "default.demo.03-deployment.yaml").read_bytes())
    containers = deployment["spec"]["template"]["spec"]["initContainers"]
    return next(str(each["image"]) for each in containers if each["name"] == "merge-config")


def test_image_that_only_a_cluster_knows_is_warned_of(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(resource(tmp_path, text=EXTERNAL), out) == 0

    assert merge_image(out) == "llamastack-operator:unknown"
    assert capsys.readouterr().err == (
        "warning: spec.externalProviders: the image of merge-config is written as "
        '"llamastack-operator:unknown", which no node can pull (a cluster knows the operator\'s '
        "image; give it with --operator-image)\n"
    )


def test_image_of_the_operator_can_be_said(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = resource(tmp_path, text=EXTERNAL)

    assert render(path, out, "--operator-image", "registry.example/operator:1") == 0

    assert merge_image(out) == "registry.example/operator:1"
    assert capsys.readouterr().err == ""


def test_resource_without_external_providers_needs_no_image_of_the_operator(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(resource(tmp_path), out) == 0

    assert "merge-config" not in capsys.readouterr().err
