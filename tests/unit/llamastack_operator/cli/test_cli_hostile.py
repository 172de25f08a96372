# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Files made to hurt: each is a clear line or two, in little time, in little memory.

Time is processor time of the command alone, and memory a limit that the kernel enforces, so that a
busy machine changes them little.
"""

from __future__ import annotations

import io
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llamastack_operator.__main__ import main

HEAD = """\
apiVersion: llamastack.io/v1alpha2
kind: LlamaStackDistribution
metadata: {name: d}
spec:
  distribution: {name: starter}
"""
MIB = 1 << 20
ROOM = MIB - 1000  # under the limit of a file
PROCESSOR_S = 9.0  # the slowest takes 2.2 on a calm machine; what is quadratic takes minutes
ADDRESS_SPACE = 512 * MIB  # Python with all modules takes 200 of that
MAX_OUTPUT = 150_000  # bytes: a hundred lines of a thousand characters, and some more

TEXTS: dict[str, Callable[[], str | bytes]] = {
    "aliases": lambda: "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)),
    "aliases-in-flow": lambda: "{a: &a [x,x], b: &b [*a,*a], " + ", ".join(
        f"c{i}: &c{i} [{'*b' if i == 0 else f'*c{i - 1}'},{'*b' if i == 0 else f'*c{i - 1}'}]"
        for i in range(60)) + "}",
    "merges": lambda: HEAD + "  y: &a {" + ", ".join(f"k{i}: 1" for i in range(9000)) + "}\n"
        + "".join(f"  z{i}: {{<<: *a}}\n" for i in range(1000)),
    "cycle": lambda: HEAD + "  x: &a [*a]\n",
    "brackets": lambda: "[" * 100_000,
    "dashes": lambda: "- " * (ROOM // 2),
    "ten-megabytes": lambda: HEAD + "  x: " + "a" * (10 * MIB),
    "anchors": lambda: HEAD + "  x: [" + ", ".join(f"&a{i} x" for i in range(70_000)) + "]\n",
    "words": lambda: HEAD + "  x: " + "a " * (ROOM // 2) + "\n",
    "scalar": lambda: HEAD + "  x: " + "a" * ROOM + "\n",
    "key": lambda: HEAD + "  " + "k" * ROOM + ": 1\n",
    "documents": lambda: (HEAD + "---\n") * 7000,
    "same-names": lambda: (HEAD + "---\n") * 90,
    "tag": lambda: HEAD + "  x: !!python/object/apply:os.system [id]\n",
    "long-tag": lambda: HEAD + "  x: !" + "a" * ROOM + " b\n",
    "nul": lambda: b"\0" * ROOM,
    "not-utf-8": lambda: HEAD.encode() + b"  x: \xff\n",
    "utf-16": lambda: HEAD.encode("utf-16"),
    "huge-number": lambda: HEAD + "  x: " + "9" * ROOM + "\n",
}  # fmt: skip

VLLM = {"provider": "vllm", "endpoint": "http://a/v1"}


def inference(**fields: Any) -> dict[str, Any]:
    return {"providers": {"inference": {**VLLM, **fields}}}


SPECS: dict[str, Callable[[], dict[str, Any]]] = {
    "unknown-fields": lambda: {f"k{i}": 1 for i in range(8000)},
    "providers": lambda: {
        "providers": {"inference": [{"id": f"p{i}", **VLLM} for i in range(5000)]}
    },
    "no-providers": lambda: {"providers": {"inference": ["a"] * 10_000}},
    "models": lambda: {**inference(), "resources": {"models": ["m"] * 10_000}},
    "shields": lambda: {
        "providers": {**inference()["providers"], "safety": {"provider": "llama-guard"}},
        "resources": {"shields": [f"s{i}" for i in range(95_000)]},
    },
    "disabled": lambda: {"disabled": [f"d{i}" for i in range(10_000)]},
    "deep": lambda: inference(settings={"a": nested(70)}),
    "references": lambda: inference(settings={"a": "${env." * 150_000}),
    "defaults": lambda: inference(settings={"a": "${env.A:=" * 100_000}),
    "number": lambda: {"networking": {"port": 10**90}},
    "quantity": lambda: {"workload": {"resources": {"limits": {"cpu": "1" * ROOM + "x"}}}},
}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


_MEASURED = """\
import sys, time
from llamastack_operator.__main__ import main
main(["render", "-f", sys.argv[1]])
for path in sys.argv[2:]:
    begun = time.process_time()
    status = main(["render", "-f", path])
    sys.stdout.write(f"\\0{status} {time.process_time() - begun}\\0")
    sys.stdout.flush()
    sys.stderr.write("\\0")
    sys.stderr.flush()
"""


def measured(
    tmp_path: Path, contents: dict[str, str | bytes]
) -> dict[str, tuple[int, float, str, str]]:
    """Status, seconds of processor time, output and errors for each file, from one process."""
    warm = tmp_path / "warm.yaml"
    warm.write_text("a: 1")
    paths = []
    for name, content in contents.items():
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(warm), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        preexec_fn=limited,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    out, err = done.stdout.split("\0")[:-1], done.stderr.split("\0")[:-1]
    results = {}
    for name, text, (status, seconds), errors in zip(
        contents, out[::2], map(str.split, out[1::2]), err, strict=True
    ):
        results[name] = int(status), float(seconds), text, errors
    return results


def check(results: dict[str, tuple[int, float, str, str]]) -> None:
    for name, (status, seconds, _, errors) in results.items():
        assert seconds < PROCESSOR_S, f"{name}: {seconds:.1f} s"
        assert "Traceback" not in errors, name
        assert len(errors) < MAX_OUTPUT, name
        assert status in {0, 1, 2}, name
        for line in errors.splitlines():
            assert line.isprintable(), name
            assert len(line) <= 1000, name


def test_hostile_texts_are_refused_quickly_and_in_little_memory(tmp_path: Path) -> None:
    results = measured(tmp_path, {name: make() for name, make in TEXTS.items()})

    check(results)
    harmless = {"words", "scalar", "anchors"}  # one unknown field
    for name, (status, _, out, errors) in results.items():
        if name not in harmless:
            *_, last = errors.splitlines()
            assert (status, out) == (2, ""), name
            assert last.startswith("error: "), name


def test_hostile_resources_are_refused_quickly_and_in_little_memory(tmp_path: Path) -> None:
    documents: dict[str, str | bytes] = {
        name: json.dumps(
            {
                "apiVersion": "llamastack.io/v1alpha2",
                "kind": "LlamaStackDistribution",
                "metadata": {"name": "d"},
                "spec": {"distribution": {"name": "starter"}, **make()},
            }
        )
        for name, make in SPECS.items()
    }

    results = measured(tmp_path, documents)

    check(results)
    for name in set(SPECS) - {"unknown-fields", "providers", "models", "shields"}:
        assert results[name][0] in {1, 2}, name


def test_reading_stops_where_memory_is_measured(tmp_path: Path) -> None:
    """The limit on memory is one: a process that reads ten times the file would hit it."""
    hungry = "x = bytearray(600 << 20)"

    done = subprocess.run(
        [sys.executable, "-c", hungry],
        preexec_fn=limited,
        capture_output=True,
        check=False,
    )

    assert b"MemoryError" in done.stderr


# --- the ends of a command -----------------------------------------------------------------


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "llamastack_operator", *words]


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python is without being told otherwise: output may fail at the very end."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def test_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """What ``| head -1`` does, with more output than a pipe holds, line by line."""
    path = tmp_path / "many.yaml"
    names = (HEAD.replace("name: d}", f"name: {'d' * 30}{i:03}}}") for i in range(400))
    path.write_text("---\n".join(f"{text}  disabled: [a, b, c]\n" for text in names))

    with subprocess.Popen(
        command("validate", "-f", str(path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"default/ddd")
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("words", [["crd"], ["--help"]])
def test_reader_that_was_never_there_is_no_error(words: list[str]) -> None:
    with subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (128 + signal.SIGPIPE, b"")


def test_output_without_room_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command("crd"), stdout=full, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (1, b"error: No space left on device\n")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_without_room_is_no_traceback(word: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command(word), stdout=full, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (1, b"error: No space left on device\n")


def test_interrupt_says_so() -> None:
    """While it waits for standard input, which it says nothing about."""
    # A shell's background job ignores the signal, and so do its children.
    heard = "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    imported = f"{heard}; from llamastack_operator.__main__ import main; os.write(1, b'!')"
    with subprocess.Popen(
        [sys.executable, "-c", f"{imported}; sys.exit(main())", "validate", "-f", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"!"
        _until_reading(process.pid)
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()

    assert (process.returncode, errors) == (130, b"interrupted\n")


def _until_reading(pid: int) -> None:
    """Until the process is in read(2) of its standard input."""
    while not Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x0 "):
        pass


CLOSED = b"error: standard output is closed, or not open for writing\n"


def with_redirection(redirection: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    script = f'exec "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *command(*words)], capture_output=True, check=False
    )


@pytest.mark.parametrize("redirection", [">&-", "1</dev/null", "<&- >&-"])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["convert", "--to", "v1alpha1", "-f", "{file}"], 1),
        (["render", "-f", "{file}"], 1),
        (["validate", "-f", "{wrong}"], 1),
        (["diff", "-f", "{file}", "--against", "{file}"], 2),  # 1 is that they differ
        (["crd"], 1),
        (["--help"], 1),
        (["--version"], 1),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_closed_standard_output_is_one_line(
    tmp_path: Path, words: list[str], status: int, redirection: str
) -> None:
    file, wrong = tmp_path / "f.yaml", tmp_path / "wrong.yaml"
    file.write_text(HEAD)
    wrong.write_text(HEAD.replace("starter", "no-such"))

    done = with_redirection(redirection, *(word.format(file=file, wrong=wrong) for word in words))

    assert (done.returncode, done.stderr) == (status, CLOSED)


def test_closed_standard_output_that_nothing_is_written_to_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(HEAD)

    done = with_redirection(">&-", "validate", "-f", str(path))

    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_standard_error_sends_no_warning_among_the_output(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(f"{HEAD}  networking: {{expose: {{hostname: a.b}}}}\n")

    done = with_redirection("2>&-", "convert", "--to", "v1alpha1", "-f", str(path))

    assert done.returncode == 0
    assert done.stdout.startswith(b"---\napiVersion: llamastack.io/v1alpha1\n")
    assert b"warning" not in done.stdout


def test_output_that_the_terminal_cannot_show_is_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    path = tmp_path / "f.yaml"
    path.write_text(HEAD.replace("starter", "größe"))

    assert main(["validate", "-f", str(path)]) == 1

    assert rb"gr\xf6\xdfe" in raw.getvalue()
