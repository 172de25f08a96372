# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""docs/cli.md is run: its files are made, its sessions repeated, its commands parsed.

In a session a line is a command if it begins with ``$``, else output; ``...`` in it stands for
anything in that line, and alone for any number of lines. Standard error is part of the output, as
on a terminal.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from configs.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_NODES
from hack.root import ROOT
from llamastack_operator.__main__ import build_parser, main
from llamastack_operator.cli.files import MAX_RESOURCES

PAGE = (ROOT / "docs" / "cli.md").read_text("utf-8")
PROGRAM = "python -m llamastack_operator "
_FENCE = re.compile(r"(?:`([\w.-]+)`:\n\n)?```(\w+)\n(.*?)```\n", re.DOTALL)


def fences(language: str) -> list[tuple[str, str]]:
    return [(name, text) for name, kind, text in _FENCE.findall(PAGE) if kind == language]


def sessions() -> list[tuple[str, str]]:
    """Each command with its output."""
    parts = [part for _, text in fences("console") for part in text.split("$ ")[1:]]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def pattern(output: str) -> str:
    """A regular expression for an output."""
    return "".join(
        r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
        for line in output.splitlines()
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in fences("yaml"):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sessions_give_what_they_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = -1
    ran = 0
    for command, expected in sessions():
        if command == "echo $?":
            assert expected == f"{status}\n"
            continue
        assert command.startswith(PROGRAM)
        status = main(shlex.split(command.removeprefix(PROGRAM)))
        ran += 1
        captured = capsys.readouterr()
        shown = captured.out + captured.err
        assert re.fullmatch(pattern(expected), shown), f"{command}\n{shown}"
    assert ran == 9
    assert (folder / "rendered" / "team-a.demo.04-service.yaml").exists()


MIGRATION = (ROOT / "docs" / "migration-from-go-operator.md").read_text("utf-8")
LINES = [
    *(line for _, text in fences("sh") for line in text.splitlines()),
    *(line for line in MIGRATION.splitlines() if line.startswith(PROGRAM)),
]
COMMANDS = [re.split(r" [|>] ", line.removeprefix(PROGRAM))[0] for line in LINES]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_need_a_cluster_exist_with_their_flags(command: str) -> None:
    words = shlex.split(command)

    assert callable(build_parser(words[0]).parse_args(words).action)


def test_every_command_has_a_section() -> None:
    names = re.findall(r"^    ([a-z]+)\b", build_parser().format_help(), re.MULTILINE)
    headings = " ".join(re.findall(r"^## (.*)$", PAGE, re.MULTILINE))

    assert set(names) <= set(re.findall(r"\w+", headings))


def test_limits_on_the_page_are_those_of_the_code() -> None:
    assert MAX_BYTES in {1024 * 1024, 128 * 1024}
    assert f"1 MiB (128 KiB with the YAML parser in Python) and {MAX_NODES:,} values" in PAGE
    assert f"{MAX_RESOURCES:,} resources in all" in PAGE
    assert f"nesting beyond {MAX_DEPTH} levels" in PAGE
