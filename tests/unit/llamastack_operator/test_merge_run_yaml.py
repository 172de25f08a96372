# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``merge-run-yaml`` on real files: what it writes, and what it says."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from configs import yaml_reader
from hack.root import ROOT
from llamastack_operator.merge_run_yaml import main
from tests.support.staged_pod import REBUILD, Pod, metadata, tail

USAGE = (
    "Usage: merge-run-yaml --metadata-dir=<dir> --extra-providers-output=<path> --output=<path> "
    "[--base=<path>]\n"
)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    made = Pod(tmp_path)
    monkeypatch.setenv("TERMINATION_LOG", str(made.termination_log))
    return made


# --- what is written, and said --------------------------------------------------------------------


def test_everything_is_merged_and_said(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add("vllm", files={"vllm.py": "x"}, units={"vllm 1.0": ()}, config={"token": "hunter2"})
    pod.add("ollama", files={"ollama.py": "y"}, units={"ollama 2.0": ()})
    pod.add("pg", section="vectorIo", api="vector_io", declared="vector_io")

    assert main(pod.arguments) == 0

    out, err = capsys.readouterr()
    config = pod.config
    assert out == (
        "Generating extra-providers.yaml from provider metadata...\n"
        f"✓ Generated extra-providers.yaml: {config}/extra-providers.yaml\n"
        f"Reading base run.yaml from: {pod.base}\n"
        f"✓ Generated merged run.yaml: {config}/run.yaml\n"
        "Merge completed successfully!\n"
    )
    warnings = (
        "WARNING: External provider 'ollama' overrides base provider in API 'inference'\n"
        "  Base type: remote::ollama\n"
        "  External type: remote::ollama\n"
        "WARNING: API 'vector_io' of external provider 'pg' is neither in apis nor in providers of "
        "the base config. A server that does not know it does not start.\n"
    )
    assert err == warnings
    assert (config / "run.yaml").read_text() == (
        'version: "2"\n'
        "image_name: starter\n"
        "apis:\n"
        "- inference\n"
        "- vector_io\n"
        "providers:\n"
        "  inference:\n"
        "  - provider_id: vllm\n"
        "    provider_type: remote::vllm\n"
        "    module: my_org.vllm\n"
        "    config:\n"
        "      token: hunter2\n"
        "  - provider_id: ollama\n"
        "    provider_type: remote::ollama\n"
        "    module: my_org.ollama\n"
        "  vector_io:\n"
        "  - provider_id: pg\n"
        "    provider_type: remote::pg\n"
        "    module: my_org.pg\n"
        "odd:\n"
        "- kept\n"
    )
    extra = yaml_reader.load((config / "extra-providers.yaml").read_bytes())
    assert extra["kind"] == "ExternalProviders"
    assert [each["provider_id"] for each in extra["providers"]["inference"]] == ["vllm", "ollama"]
    log = (config / "merge-log.txt").read_text()
    assert log == warnings + (
        "Added external provider 'vllm' to API 'inference' "
        "(type: remote::vllm, module: my_org.vllm)\n"
        "Added external provider 'ollama' to API 'inference' "
        "(type: remote::ollama, module: my_org.ollama)\n"
        "Added API 'vector_io' to apis list for external provider 'pg'\n"
        "Added external provider 'pg' to API 'vector_io' (type: remote::pg, module: my_org.pg)\n"
    )
    assert (pod.root / "volume/installed-packages.txt").read_text() == (
        "# provider: vllm image: example.com/vllm:v1\nvllm==1.0\n"
        "# provider: ollama image: example.com/ollama:v1\nollama==2.0\n"
        "# provider: pg image: example.com/pg:v1\n"
    )
    assert (pod.packages / "vllm.py").read_text() == "x"
    assert (pod.packages / "ollama-2.0.dist-info/METADATA").exists()
    assert "hunter2" not in out + err + log


def test_module_of_python_is_left_out_with_a_warning(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    pod.add("a")
    (pod.staged / "a/packages/argparse.py").write_text("")

    assert main(pod.arguments) == 0

    warning = (
        "WARNING: Left out argparse of external provider 'a': it would run instead of a module of "
        "Python itself, or at the start of every Python\n"
    )
    assert capsys.readouterr().err == warning
    assert warning in (pod.root / "config/merge-log.txt").read_text()
    assert not (pod.packages / "argparse.py").exists()


def test_warning_about_the_users_config_map_and_about_metadata(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    (pod.input / "base.json").write_text('{"source": "override", "apis": null}')
    pod.add("ollama")
    (pod.staged / "ollama/lls-provider-spec.yaml").write_text(metadata("ollama", extra="1"))

    assert main(pod.arguments) == 0

    assert capsys.readouterr().err == (
        "WARNING: Provider 'ollama' (image: example.com/ollama:v1): lls-provider-spec.yaml: "
        "unknown field spec.extra is ignored\n"
        "WARNING: Provider ID 'ollama' in both ConfigMap and externalProviders. "
        "Using external provider.\n"
    )


def test_without_a_base_and_without_a_resource_every_directory_is_a_provider(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    pod.add("b", section="safety", api="safety", declared="safety")
    pod.add("a")

    assert main(pod.arguments[:3]) == 0

    assert "No base run.yaml provided, creating minimal structure\n" in capsys.readouterr().out
    found = yaml_reader.load((pod.config / "run.yaml").read_bytes())
    assert found == {
        "version": 2,
        "providers": {
            "inference": [{"provider_id": "a", "provider_type": "remote::a", "module": "my_org.a"}],
            "safety": [{"provider_id": "b", "provider_type": "remote::b", "module": "my_org.b"}],
        },
    }
    assert not pod.packages.exists()


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_and_directories_are_readable_for_the_server(pod: Pod, umask: int) -> None:
    packages = pod.add(files={"org/deep/a.py": "", "bin/run": ""})
    (packages / "bin/run").chmod(0o4777)
    (packages / "org/deep/a.py").chmod(0o600)
    before = os.umask(umask)
    try:
        assert main(pod.arguments) == 0
        assert os.umask(umask) == umask
    finally:
        os.umask(before)

    modes = {path: mode for path, (_, mode) in pod.tree().items()}
    assert modes == {
        "installed-packages.txt": 0o644,
        "python-packages": 0o755,
        "python-packages/bin": 0o755,
        "python-packages/bin/run": 0o755,
        "python-packages/org": 0o755,
        "python-packages/org/deep": 0o755,
        "python-packages/org/deep/a.py": 0o644,
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in pod.config.iterdir()} == {0o644}
    assert stat.S_IMODE((packages / "bin/run").stat().st_mode) == 0o4777


def test_files_are_on_the_disk_once(pod: Pod) -> None:
    packages = pod.add(files={"a.py": "x"})
    (packages / "a.py").chmod(0o644)

    assert main(pod.arguments) == 0

    assert (pod.packages / "a.py").stat().st_ino == (packages / "a.py").stat().st_ino


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV])
def test_files_are_copied_where_they_cannot_be_linked(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    packages = pod.add(files={"a.py": "x", "run": "y"})
    os.utime(packages / "a.py", ns=(5_000_000_000, 7_000_000_000))
    (packages / "run").chmod(0o750)

    def refuse(*_args: Any, **_more: Any) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert main(pod.arguments) == 0

    copied = pod.packages / "a.py"
    assert copied.read_text() == "x"
    assert copied.stat().st_mtime_ns == 7_000_000_000
    assert copied.stat().st_ino != (packages / "a.py").stat().st_ino
    assert stat.S_IMODE((pod.packages / "run").stat().st_mode) == 0o755


def test_version_of_a_later_provider_is_left_out_and_noted(pod: Pod) -> None:
    pod.add("a", files={"dep.py": "1"}, units={"dep 1": ()})
    pod.add("b", files={"dep.py": "2"}, units={"dep 2": ()})

    assert main(pod.arguments) == 0

    assert (pod.packages / "dep.py").read_text() == "1"
    assert (
        (pod.config / "merge-log.txt")
        .read_text()
        .endswith("Left out dep 2 of external provider 'b': version 1 of 'a' is installed\n")
    )
    assert (
        "# dep==2 is left out: 1 of provider a is installed\n"
        in (pod.root / "volume/installed-packages.txt").read_text()
    )


@pytest.mark.parametrize(("python", "taken"), [("3.11", "2"), ("3.12", "1")])
def test_requirements_are_those_of_the_python_that_installed(
    pod: Pod, python: str, taken: str
) -> None:
    pod.add("a", files={"dep.py": "1"}, units={"dep 1": ()})
    pod.add("b", files={"dep.py": "2"}, units={"dep 2": ()})
    pod.add("c", units={"c 1": ("dep>=2; python_version < '3.12'",)})
    path = pod.staged / "a/wheels.json"
    path.write_text(path.read_text().replace("3.12", python))

    assert main(pod.arguments) == 0
    assert (pod.packages / "dep.py").read_text() == taken


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_stays_open(pod: Pod, *, fails: bool) -> None:
    pod.add("a", files={"org/deep/a.py": "1", "org/b.py": "1"}, units={"dep 1": ()})
    packages = pod.add("b", files={"org/deep/a.py": "1"}, units={"dep 2": ()})
    if fails:
        (packages / "org/link").symlink_to("b.py")
    before = os.listdir("/proc/self/fd")

    assert main(pod.arguments) == int(fails)

    assert os.listdir("/proc/self/fd") == before


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            [],
            "the following arguments are required: --metadata-dir, --extra-providers-output, "
            "--output",
        ),
        (["--metadata-dir=a", "--output=b"],
         "the following arguments are required: --extra-providers-output"),
        (["--nonsense"],
         "the following arguments are required: --metadata-dir, --extra-providers-output, "
         "--output"),
        (["--metadata-dir=a", "--output=b", "--extra-providers-output=c", "--met=d"],
         "unrecognized arguments: --met=d"),
    ],
)  # fmt: skip
def test_wrong_command_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"{USAGE}ERROR: {problem}\n"


def test_help_begins_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(USAGE)


def test_missing_metadata(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    (pod.staged / "p/lls-provider-spec.yaml").unlink()

    assert pod.failure(capsys) == (
        "ERROR: Missing /lls-provider/lls-provider-spec.yaml in image example.com/p:v1\n\n"
        f"{tail()}"
        "Resolution: Add the file /lls-provider/lls-provider-spec.yaml to the provider image and "
        "push a new tag.\n"
    )


def test_provider_that_left_nothing(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    (pod.staged / "p").rename(pod.staged / "q")

    assert pod.failure(capsys).startswith("ERROR: Missing /lls-provider/lls-provider-spec.yaml in")


def test_metadata_that_is_no_yaml(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    (pod.staged / "p/lls-provider-spec.yaml").write_text("kind: a\nkind: b\n")
    problem = "line 2, column 1: the key kind is there twice"

    assert pod.failure(capsys) == (
        "ERROR: Invalid /lls-provider/lls-provider-spec.yaml in image example.com/p:v1: "
        f"{problem}\n\n{tail()}"
        f"failed to load metadata for provider p: failed to parse metadata YAML: {problem}\n\n"
        f"{REBUILD}"
    )


def test_metadata_that_breaks_rules(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    path = pod.staged / "p/lls-provider-spec.yaml"
    path.write_text(metadata("p", wheelPath="packages/x.whl", api=""))

    assert pod.failure(capsys) == (
        "ERROR: Invalid /lls-provider/lls-provider-spec.yaml in image example.com/p:v1: "
        f"spec.api is required\n\n{tail()}"
        "failed to load metadata for provider p: metadata validation failed: spec.api is required\n"
        "failed to load metadata for provider p: metadata validation failed: "
        f"spec.wheelPath does not exist: packages/x.whl\n\n{REBUILD}"
    )


def test_metadata_that_is_too_long(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    with (pod.staged / "p/lls-provider-spec.yaml").open("ab") as file:
        file.truncate(10 * 1024**4)

    assert "the text is 65537 bytes long, more than the 65536 allowed\n" in pod.failure(capsys)


def test_wrong_section(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add(declared="vector_io")

    assert pod.failure(capsys) == (
        "ERROR: Provider API type mismatch\n\n"
        "Provider 'p' (image: example.com/p:v1)\n"
        "declares api=vector_io in lls-provider-spec.yaml\n"
        f"but is placed under externalProviders.inference\n\n{tail()}"
        "Resolution: Move the provider to externalProviders.vectorIo section in the LLSD spec.\n"
    )


def test_one_id_twice(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    entry = json.loads((pod.input / "00-p.json").read_text())
    entry |= {"index": 3, "image": "example.com/other:v1"}
    (pod.input / "01-p.json").write_text(json.dumps(entry))

    assert pod.failure(capsys).startswith(
        "ERROR: Duplicate provider_id 'p' in externalProviders: found in inference[0] and "
        "inference[3]\n\n"
        "  - externalProviders.inference[0] (image: example.com/p:v1)\n"
        "  - externalProviders.inference[3] (image: example.com/other:v1)\n\n"
        "Provider: p\nImage: example.com/other:v1\n"
    )


def test_packages_that_do_not_go_together(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add("a", units={"main-a 1": ("dep<2",), "dep 1": ()})
    pod.add("p", units={"main-p 1": ("dep>=2",), "dep 2": ()})

    assert pod.failure(capsys) == (
        "ERROR: Cannot install provider 'p' due to dependency conflict\n\n"
        f"{tail()}"
        "Pip installation failed with:\n"
        "main-a 1 depends on dep<2\n"
        "main-p 1 depends on dep>=2\n"
        "dep 1 comes with provider 'a'\n"
        "dep 2 comes with provider 'p'\n"
        "Conflicting providers:\n"
        "  - a (example.com/a:v1)\n"
        "  - p (example.com/p:v1)\n\n"
        "Previously installed packages can be found in: "
        "/opt/llama-stack/external-providers/installed-packages.txt\n\n"
        "Resolution: Update provider images to use compatible dependency versions, or reorder "
        "providers in the CRD if one provider's dependencies are a superset of another's.\n"
    )
    listed = (pod.root / "volume/installed-packages.txt").read_text()
    assert "dep==1\n" in listed
    assert "dep==2\n" in listed
    assert not pod.packages.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "a: [\n",
            "ERROR: Failed to parse base run.yaml: line 2, column 1: ",
        ),
        ("- a\n", "ERROR: Failed to parse base run.yaml: the file must be a mapping\n"),
        (
            "providers: {inference: {a: 1}}",
            "ERROR: Failed to merge configurations: providers.inference must be a list\n",
        ),
        (None, "ERROR: Failed to read base run.yaml: "),
    ],
)
def test_base_that_cannot_be_used(
    pod: Pod, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    pod.add()
    if content is None:
        pod.base.unlink()
    else:
        pod.base.write_text(content)

    text = pod.failure(capsys)

    assert text.startswith(said)
    assert "\n\nResolution: Correct the config.yaml of the ConfigMap" in text


def test_empty_base_gets_providers(pod: Pod) -> None:
    pod.add()
    pod.base.write_text("")

    assert main(pod.arguments) == 0
    assert list(yaml_reader.load((pod.config / "run.yaml").read_bytes())) == ["providers"]


def test_input_that_cannot_be_read(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    (pod.input / "00-p.json").write_text('{"token": hunter2}')

    assert pod.failure(capsys) == (
        "ERROR: Failed to generate extra-providers.yaml: 00-p.json: not JSON (line 1)\n\n"
        "Resolution: Check that the input is the ConfigMap that the operator wrote.\n"
    )


def test_configuration_that_cannot_be_written_as_yaml(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    config: dict[str, Any] = {"token": "hunter2"}
    for _ in range(120):
        config = {"a": config}
    pod.add(config=config)

    assert pod.failure(capsys).startswith(
        "ERROR: Failed to serialize extra-providers.yaml: data is nested deeper than 100 levels\n"
    )


def test_output_that_cannot_be_made(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    pod.config.write_text("a file")

    assert pod.failure(capsys).startswith("ERROR: Failed to create output directory: ")


def test_output_that_cannot_be_written(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add()
    (pod.config / "run.yaml").mkdir(parents=True)

    assert pod.failure(capsys).startswith("ERROR: Failed to write merged run.yaml: ")


def test_without_a_termination_log_none_is_made(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.termination_log.unlink()
    pod.base.unlink()

    assert main(pod.arguments) == 1
    assert not pod.termination_log.exists()


# --- the program ----------------------------------------------------------------------------------


def test_program_loads_nothing_that_is_slow_to_load() -> None:
    """It is on the way of every start of a server; each of these takes longer than all of it."""
    code = (
        "import sys, llamastack_operator.merge_run_yaml;"
        "print(*sorted(sys.modules.keys() & {'pydantic', 'kubernetes_asyncio', 'aiohttp', "
        "'uvloop', 'asyncio', 'structlog', 'cryptography'}))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout == "\n"


def test_program_speaks_in_any_encoding(pod: Pod) -> None:
    pod.add()

    ran = subprocess.run(
        [sys.executable, "-m", "llamastack_operator.merge_run_yaml", *pod.arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "\\u2713 Generated merged run.yaml" in ran.stdout
