# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How long a config takes and how much memory, and what reading and writing YAML takes.

    make bench-configs
    python -m tests.bench.bench_configs [--rounds N] [--json]

The bars (NFR-002, tightened): p99 below 20 ms for 5 providers and 10 models, below 100 ms for 10
and 50; 1,000 different resources in less than 5 s. Exit code 1 if one is missed.

A resource is measured from the parsed spec to the text, and once more from the object on, which is
what a new generation of a resource costs the operator. Memory is what tracemalloc counts: ``peak``
is held at most at one time during a generation, ``kept`` is what is left while somebody holds the
result. The catalogue and the bases are read once a process and belong to neither.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib.resources
import io
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML

from api.v1alpha2 import Spec
from configs import engine, yaml_events, yaml_reader
from tests.support.config_specs import DISTRIBUTIONS, secret, spec_of

BARS_MS = {"1 / 1": 20.0, "5 / 10": 20.0, "10 / 50": 100.0}
"""providers / models → p99."""

BAR_1000_S = 5.0

_NAMES = ("vllm", "ollama", "openai", "groq", "together", "nvidia", "fireworks", "gemini")


def spec(providers: int, models: int, seed: int = 0) -> Spec:
    """A spec of a given size; another seed, another content."""
    inference: list[dict[str, Any]] = []
    for index in range(providers):
        name = _NAMES[index % len(_NAMES)]
        entry: dict[str, Any] = {"id": f"{name}-{index}", "provider": name}
        if name in {"vllm", "ollama"}:
            entry["endpoint"] = f"http://{name}-{seed}.models.svc:8000"
        if name != "ollama":
            entry["apiKey"] = secret(f"key-{seed}", f"k{index}")
            entry["settings"] = {"allowed_models": [f"m{seed}", "x"], "refresh_models": False}
        inference.append(entry)
    names = [
        {"name": f"org/model-{seed}-{index}", "provider": inference[index % providers]["id"]}
        for index in range(models)
    ]
    return spec_of(
        {
            "providers": {"inference": inference, "vectorIo": {"provider": "faiss"}},
            "resources": {"models": names, "tools": ["websearch"]},
            "storage": {"kv": {"type": "redis", "endpoint": "redis://redis:6379"}},
            "networking": {"port": 8443},
        }
    )


def measure(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Percentiles of the time of one call, in ms."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return {
        "p50_ms": round(times[len(times) // 2], 3),
        "p99_ms": round(times[min(len(times) - 1, len(times) * 99 // 100)], 3),
    }


def _memory(item: Spec) -> dict[str, int]:
    """KiB that a generation takes at its peak, and that its result keeps."""
    _generate(item)  # reads what is read once
    gc.collect()
    tracemalloc.start()
    result = _generate(item)
    peak = tracemalloc.get_traced_memory()[1]
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert result.config_yaml
    return {"peak_kib": peak // 1024, "kept_kib": kept // 1024}


def _generate(item: Spec) -> engine.Generated:
    return engine.generate("demo", "ns", item, distributions=DISTRIBUTIONS)


def _parse_too(providers: int, models: int) -> engine.Generated:
    return _generate(spec(providers, models))


def _ruamel(data: object) -> None:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(data, io.StringIO())


def _reading(rounds: int) -> dict[str, dict[str, float]]:
    """The largest of the embedded configs, by each parser that there is."""
    text = importlib.resources.files("configs").joinpath("data/base/starter.yaml").read_text()
    parsers = {"Python": yaml_events.in_python, "C": yaml_events.in_c}
    return {
        f"read, {name}": measure(
            functools.partial(yaml_reader.load_all, text, parser=parser), max(3, rounds // 20)
        )
        for name, parser in parsers.items()
        if name == "Python" or yaml_events.HAS_C
    }


def run(rounds: int) -> dict[str, Any]:
    """All measurements."""
    found: dict[str, Any] = {}
    for name in BARS_MS:
        providers, models = map(int, name.split(" / "))
        item = spec(providers, models)
        whole = measure(functools.partial(_parse_too, providers, models), max(3, rounds // 5))
        found[name] = {
            **measure(functools.partial(_generate, item), rounds),
            **_memory(item),
            "parsed_too_p50_ms": whole["p50_ms"],
        }
    many = [spec(5, 10, seed) for seed in range(1000)]
    start = time.perf_counter()
    hashes = {_generate(item).config_hash for item in many}
    found["1000 resources"] = {
        "seconds": round(time.perf_counter() - start, 3),
        "configs": len(hashes),
    }
    found |= _reading(rounds)
    data = yaml_reader.load(str(_generate(spec(5, 10)).config_yaml))
    found["write, own emitter"] = measure(lambda: yaml_reader.dump(data), rounds)
    found["write, ruamel"] = measure(lambda: _ruamel(data), max(3, rounds // 20))
    return found


def missed(found: dict[str, Any]) -> list[str]:
    """The bars that were not met."""
    late = [name for name, bar in BARS_MS.items() if found[name]["p99_ms"] >= bar]
    return late + (["1000 resources"] if found["1000 resources"]["seconds"] >= BAR_1000_S else [])


def main() -> int:
    """Prints the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = run(arguments.rounds)
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        for name, facts in found.items():
            print(f"{name:20}", "  ".join(f"{key} {value}" for key, value in facts.items()))
    late = missed(found)
    if late:
        print(f"missed: {', '.join(late)}", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
