# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which files the offline commands take, and what they say about the others."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from llamastack_operator.__main__ import main
from llamastack_operator.cli import files
from llamastack_operator.cli.files import BadFile, read_resources

MINIMAL = """\
apiVersion: llamastack.io/v1alpha2
kind: LlamaStackDistribution
metadata: {name: demo}
spec: {distribution: {name: starter}}
"""
OTHER = MINIMAL.replace("demo", "other")
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: hunter2}\n"


def write(path: Path, content: str | bytes = MINIMAL) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def labels(*paths: str, namespace: str = "") -> list[str]:
    return [entry.label for entry in read_resources(paths, namespace=namespace)]


@pytest.mark.parametrize(
    "content",
    [
        MINIMAL,
        "\ufeff" + MINIMAL,
        MINIMAL.replace("\n", "\r\n"),
        f"---\n{SECRET}---\n---\n{MINIMAL}",
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "llamastack.io/v1alpha2", "kind": "LlamaStackDistribution",
             "metadata": {"name": "demo"}}]}),
    ],
    ids=["plain", "bom", "crlf", "among-others", "list-in-json"],
)  # fmt: skip
def test_resource_is_found(tmp_path: Path, content: str) -> None:
    assert labels(write(tmp_path / "f.yaml", content)) == ["default/demo"]


def test_folder_gives_the_resources_of_its_yaml_and_json_files_only(tmp_path: Path) -> None:
    write(tmp_path / "b.yml")
    write(tmp_path / "a.yaml", OTHER)
    write(tmp_path / "kustomization.yaml", "resources: [a.yaml]\n")
    write(tmp_path / "README.md", "{")
    (tmp_path / "below.yaml").mkdir()
    write(tmp_path / "below.yaml" / "c.yaml", "{")

    assert labels(str(tmp_path)) == ["default/other", "default/demo"]


def test_folder_without_resources_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "secret.yaml", SECRET)

    with pytest.raises(BadFile, match="no LlamaStackDistribution in the YAML and JSON files"):
        labels(str(tmp_path))


def test_namespace_is_filled_in_and_never_changed(tmp_path: Path) -> None:
    free = write(tmp_path / "free.yaml")
    bound = write(tmp_path / "bound.yaml", MINIMAL.replace("demo}", "demo, namespace: a}"))

    assert labels(free) == ["default/demo"]
    assert labels(free, namespace="b") == ["b/demo"]
    assert labels(bound) == ["a/demo"]
    with pytest.raises(BadFile, match="a/demo is not in the namespace 'b'"):
        labels(bound, namespace="b")


def test_resource_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1.yaml"), write(tmp_path / "2.yaml")

    with pytest.raises(BadFile) as caught:
        labels(first, second)

    assert str(caught.value) == f"{second}: default/demo is there twice, and in {first}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MINIMAL.replace("v1alpha2", "v1alpha9"), "apiVersion: 'llamastack.io/v1alpha9' is not"),
        (MINIMAL + "---\n" + OTHER.replace("kind: Ll", "kind: ll"), "'llamaStackDistribution'"),
        (MINIMAL + "---\nspec: {}\n", "document 2 is no Kubernetes object: it has no kind"),
        (MINIMAL + "---\n- a\n", "document 2 is no Kubernetes object"),
        (SECRET, "no LlamaStackDistribution in this file; it holds Secret"),
        ("", "no LlamaStackDistribution in this file"),
        (MINIMAL.encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        (b"a: 1\nb: \xff\n", "line 2, byte 4: not UTF-8 text"),
        ("a: 1\nb: x\0y\n", "line 2, column 5: a control character"),
        ("a: !!python/object:os.system x\n", "line 1, column 4: the tag"),
        ("a: 1\na: 2\n", "line 2, column 1: the key a is there twice"),
        ("a: [1\n", "line 2, column 1: "),
    ],
)
def test_unusable_file_is_refused_with_its_name_and_the_place(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = write(tmp_path / "f.yaml", content)

    with pytest.raises(BadFile) as caught:
        labels(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_too_many_resources_are_refused(tmp_path: Path) -> None:
    text = "---\n".join(MINIMAL.replace("demo", f"d{i}") for i in range(files.MAX_RESOURCES + 1))

    with pytest.raises(BadFile, match="1001 resources at once"):
        labels(write(tmp_path / "f.yaml", text))


def test_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    write(path)
    path.chmod(0)
    was = os.geteuid()
    try:
        if was == 0:
            os.seteuid(65534)
        with pytest.raises(BadFile, match="Permission denied"):
            labels(str(path))
    finally:
        os.seteuid(was)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(MINIMAL.encode())))

    assert labels("-") == ["default/demo"]


def test_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    with pytest.raises(BadFile, match="standard input is closed"):
        labels("-")


def test_pipe_with_a_slow_writer_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``-f <(command)`` of a shell gives; nothing is written before the reader waits."""
    reader, writer = os.pipe()
    waiting = threading.Event()
    set_blocking = os.set_blocking

    def noticed(descriptor: int, blocking: bool, /) -> None:
        set_blocking(descriptor, blocking)
        waiting.set()

    def write_late() -> None:
        waiting.wait(10)
        with os.fdopen(writer, "w") as file:
            for line in MINIMAL.splitlines(keepends=True):
                file.write(line)
                file.flush()

    monkeypatch.setattr(os, "set_blocking", noticed)
    thread = threading.Thread(target=write_late)
    thread.start()
    try:
        assert labels(f"/dev/fd/{reader}") == ["default/demo"]
    finally:
        thread.join()
        os.close(reader)


def test_pipe_that_nobody_writes_into_is_no_wait(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(BadFile, match="no LlamaStackDistribution"):
        labels(str(path))


def test_endless_device_is_read_up_to_the_limit() -> None:
    with pytest.raises(BadFile, match="larger than 1 MiB"):
        labels("/dev/zero")


def test_name_with_a_nul_character_is_no_file() -> None:
    with pytest.raises(BadFile, match="not the name of a file"):
        labels("a\0b")


def test_findings_of_several_files_name_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = write(tmp_path / "wrong.yaml", OTHER.replace("starter", "nope"))

    assert main(["validate", "-f", write(tmp_path / "good.yaml"), "-f", wrong]) == 1

    out = capsys.readouterr().out
    assert out.startswith(f"{wrong}: default/other: spec.distribution.name: Unknown")
    assert len(out.splitlines()) == 1


def test_what_strangers_wrote_stays_on_its_line_and_paints_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\nspec.fake: error\x1b[31m\u2028"
    text = MINIMAL.replace("name: starter", f"name: {json.dumps(name)}")

    assert main(["validate", "-f", write(tmp_path / "f.yaml", text)]) == 1

    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert out.strip().isprintable()
    assert r"a\nspec.fake: error\x1b[31m\u2028" in out


def test_namespace_that_cannot_be_one_is_an_error_of_its_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "f.yaml", MINIMAL.replace("demo}", "demo, namespace: a/../b}"))

    assert main(["render", "-f", path, "-o", str(tmp_path / "out")]) == 1

    assert capsys.readouterr().err.startswith("metadata.namespace: must be at most 63")
    assert not (tmp_path / "out").exists()


# --- lists, and objects among others -------------------------------------------------------------


def listed(*items: str, kind: str = "List", version: str = "v1") -> str:
    return f"apiVersion: {version}\nkind: {kind}\nitems: [{', '.join(items)}]\n"


DEMO = (
    "{apiVersion: llamastack.io/v1alpha2, kind: LlamaStackDistribution, metadata: {name: demo},"
    " spec: {distribution: {name: starter}}}"
)
INNER = DEMO.replace("demo", "inner")
BARE = "{metadata: {name: demo}, spec: {distribution: {name: starter}}}"
TYPED = {"kind": "LlamaStackDistributionList", "version": "llamastack.io/v1alpha2"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (listed(f"{{kind: List, apiVersion: v1, items: [{INNER}]}}", DEMO), ["inner", "demo"]),
        (listed("{kind: List, apiVersion: v1}", DEMO), ["demo"]),
        (listed(BARE, INNER, **TYPED), ["demo", "inner"]),
        (listed(BARE.replace("{m", "{kind: , apiVersion: , m"), **TYPED), ["demo"]),
    ],
    ids=["in-a-list", "empty", "of-one-kind", "of-one-kind-with-nulls"],
)
def test_lists_are_unpacked_however_they_are_nested(
    tmp_path: Path, content: str, expected: list[str]
) -> None:
    entries = read_resources([write(tmp_path / "f.yaml", content)])

    assert [entry.name for entry in entries] == expected
    assert {entry.obj["kind"] for entry in entries} == {"LlamaStackDistribution"}
    assert {entry.obj["apiVersion"] for entry in entries} == {"llamastack.io/v1alpha2"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (listed(DEMO, "5"), "document 1, items[1] is no Kubernetes object: got integer"),
        (listed("null", DEMO), "document 1, items[0] is no Kubernetes object: got null"),
        (listed(BARE, DEMO), "document 1, items[0] is no Kubernetes object: it has no kind"),
        (
            MINIMAL + "---\n" + listed(DEMO, f"{{kind: List, items: [{DEMO}, [a]]}}"),
            "document 2, items[1].items[1] is no Kubernetes object: got list",
        ),
        ("kind: List\nitems: {a: 1}\n", "document 1 is no list: items must be a list, got object"),
        (
            MINIMAL + "---\n" + OTHER.replace("v1alpha2", "v9"),
            "document 2 (other): apiVersion: 'llamastack.io/v9' is not supported",
        ),
        (
            listed(DEMO, INNER.replace("kind: Ll", "kind: ll")),
            "items[1] (inner): kind: 'llamaStackDistribution' is not known",
        ),
        (MINIMAL + "---\n" + MINIMAL, "document 2: default/demo is there twice"),
    ],
)
def test_what_is_wrong_in_a_file_of_many_is_named_with_its_place(
    tmp_path: Path, content: str, message: str
) -> None:
    path = write(tmp_path / "f.yaml", content)

    with pytest.raises(BadFile) as caught:
        labels(path)

    assert str(caught.value).startswith(f"{path}: {message}")


def test_item_that_is_no_object_is_an_error_in_a_folder_too(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", listed(DEMO, "5"))
    write(tmp_path / "values.yaml", "- 1\n---\nreplicas: 2\n")

    with pytest.raises(BadFile, match=r"a\.yaml: document 1, items\[1\] is no Kubernetes object"):
        labels(str(tmp_path))


def test_resources_without_names_are_told_apart_by_their_places(tmp_path: Path) -> None:
    nameless = MINIMAL.replace("{name: demo}", "{generateName: demo-}")

    assert labels(write(tmp_path / "f.yaml", f"{nameless}---\n{nameless}")) == [
        "default/(no name, document 1)",
        "default/(no name, document 2)",
    ]


# --- metadata ------------------------------------------------------------------------------------

COMMANDS = {"validate": 1, "render": 1, "diff": 2}
"""And the status of one that finds a resource wrong."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            "{generateName: demo-}",
            "metadata.name: is required here, because all objects are called",
        ),
        ("{generateName: demo-, name: }", "metadata.name: is required here"),
        ("{}", "metadata.name: is required"),
        ("{name: 5}", "metadata.name: must be a string, got integer"),
        ("{name: [], generateName: a-}", "metadata.name: must be a string, got list"),
        ("{name: demo, namespace: []}", "metadata.namespace: must be a string, got list"),
        ("{name: demo, namespace: 0}", "metadata.namespace: must be a string, got integer"),
        ("{name: demo, annotations: [x]}", "metadata.annotations: must be an object, got list"),
        ("abc", "metadata: must be an object, got string"),
        ("", "metadata: is required"),
    ],
)
def test_metadata_that_is_missing_or_of_a_wrong_type_is_an_error_of_its_field(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    metadata: str,
    message: str,
) -> None:
    path = write(tmp_path / "f.yaml", MINIMAL.replace("{name: demo}", metadata))
    more = ["--against", write(tmp_path / "old.yaml")] if command == "diff" else []

    assert main([command, "-f", path, *more]) == COMMANDS[command]

    out, err = capsys.readouterr()
    assert (out or err).startswith(message)
    assert len((out + err).splitlines()) == 1
