# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What commands import, and what that costs: most of a short command is its start."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hack.root import ROOT
from llamastack_operator.__main__ import COMMANDS

SAMPLE = "deploy/samples/v1alpha2-simple.yaml"
NO_CLUSTER = "--kubeconfig=/nonexistent"

ALWAYS = {"__main__", "cli", "cli.errors", "cli.report"}
FILES = {"cli.documents", "cli.files"}
OFFLINE = {
    "--help": set[str](),
    "--version": {"version"},
    f"validate -f {SAMPLE}": {*FILES, "cli.planning", "cli.validate"},
    f"render -f {SAMPLE}": {*FILES, "cli.folder", "cli.planning", "cli.render"},
    f"diff -f {SAMPLE} --against {SAMPLE}": {
        *("cli.arguments", "cli.diff", "cli.difference", *FILES, "cli.planning"),
    },
    "crd": {"cli.crd"},
    "provider check docs/examples/provider": {
        *("cli.provider", "merging", "merging.staged", "provider", "provider.archive"),
        *("provider.directory", "provider.errors", "provider.layers", "provider.source"),
        "provider.tar",
    },
}
"""Modules of ours below ``llamastack_operator`` that a command imports, besides those of all."""

ONLINE = (
    f"diff -f {SAMPLE} {NO_CLUSTER}",
    f"install {NO_CLUSTER}",
    f"uninstall {NO_CLUSTER}",
)

NOT_OFFLINE = {
    *("aiohttp", "asyncio", "cryptography", "informers.informer", "kubernetes_asyncio", "logging"),
    *("prometheus_client", "ssl", "structlog", "subprocess", "uvloop", "workqueue", "yarl"),
    "controller.runtime",
}
NOT_TO_VALIDATE = {"controller.llamastack.children", "difflib", "informers", "orjson"}
NOT_TO_CHECK_PROVIDERS = {"controller", "informers", "orjson", "pydantic"}
NOT_TO_HELP = {"api", "configs", "controller", "dataclasses", "importlib.metadata", "pydantic"}
NOT_ONLINE = {
    *("cryptography", "prometheus_client", "structlog", "uvloop"),
    *("controller.llamastack.reconciler", "llamastack_operator.manager"),
}

BARS = {"--help": 1.5, f"validate -f {SAMPLE}": 6.0, f"render -f {SAMPLE}": 7.0, "crd": 8.0}
"""What a command may cost, in units of the processor time that importing pydantic alone takes."""

_RUN = """\
import json, sys
from llamastack_operator.__main__ import main
try:
    main(sys.argv[2].split())
finally:
    found = sorted(sys.modules)
    built = []
    if "api.model" in found:
        classes = [sys.modules["api.model"].ApiModel]
        for model in classes:
            classes += model.__subclasses__()
        built = [model.__name__ for model in classes if model.__pydantic_complete__]
    with open(sys.argv[1], "w") as file:
        json.dump([found, built], file)
"""


def after(command: str, folder: Path) -> tuple[set[str], list[str]]:
    """What a command imported, and which models it built."""
    told = folder / "told.json"
    subprocess.run(
        [sys.executable, "-c", _RUN, str(told), command],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    modules, models = json.loads(told.read_text("utf-8"))
    return set(modules), models


@pytest.mark.parametrize("command", OFFLINE)
def test_offline_command_imports_nothing_of_another_nor_what_speaks(
    command: str, tmp_path: Path
) -> None:
    modules, _ = after(command, tmp_path)

    package = "llamastack_operator."
    ours = {name.removeprefix(package) for name in modules if name.startswith(package)}
    assert ours == ALWAYS | OFFLINE[command]
    # What reads the tags of wheels asks others about its own platform, and so can.
    by_tags = {"logging", "subprocess"} if "provider" in command else set()
    assert modules & NOT_OFFLINE == by_tags
    assert "provider" not in command or modules & NOT_TO_CHECK_PROVIDERS == set()
    assert "validate" not in command or modules & NOT_TO_VALIDATE == set()


def test_help_imports_nothing_that_a_command_needs(tmp_path: Path) -> None:
    modules, _ = after("--help", tmp_path)

    assert modules & NOT_TO_HELP == set()


@pytest.mark.parametrize("command", ONLINE)
def test_command_for_a_cluster_imports_no_operator(command: str, tmp_path: Path) -> None:
    modules, _ = after(command, tmp_path)

    assert "llamastack_operator.kube.rest" in modules
    assert modules & NOT_ONLINE == set()
    words = command.split()
    assert {f"llamastack_operator.cli.{name}" for name in COMMANDS} & modules == {
        f"llamastack_operator.cli.{words[0]}"
    }


def test_only_the_model_that_is_read_is_built(tmp_path: Path) -> None:
    modules, models = after(f"validate -f {SAMPLE}", tmp_path)

    assert models == ["LlamaStackDistribution"]
    assert "api.v1alpha2.status" not in modules


# --- what it costs -----------------------------------------------------------------------------


def processor_s(*words: str) -> float:
    """Processor time of a Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, check=True, timeout=60)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime - before.ru_utime + usage.ru_stime - before.ru_stime


@pytest.mark.bench
def test_short_command_costs_a_few_times_what_importing_pydantic_does() -> None:
    """The least of several runs, for whoever else is running only adds; in turns, for the same."""
    runs = {command: ("-m", "llamastack_operator", *command.split()) for command in BARS}
    least = dict.fromkeys(BARS, float("inf"))
    unit = float("inf")
    for _ in range(10):
        unit = min(unit, processor_s("-c", "import pydantic"))
        least = {name: min(best, processor_s(*runs[name])) for name, best in least.items()}

    ratios = {command: best / unit for command, best in least.items()}
    assert {name: cost for name, cost in ratios.items() if cost > BARS[name]} == {}, ratios
