# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Are the base configs right? ``make validate-configs``.

For every name in distributions.json (FR-027a): it has an image with a pinned tag, an era and a
base config; the base can be read, and looks like a config of its era; the engine finds nothing
wrong with it; and neither do the own classes of every server release of that era, which can be
asked without booting. A key that the server would ignore is a failure like any other: no server
says so itself. All of it twice: with none of the base's variables set, and with all of them.

One line a base and case; the exit code is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

from api.v1alpha2 import ConfigSource, parse
from configs import detection, engine
from configs.base import EmbeddedBaseConfigs, read_base
from configs.distributions import Distributions, Resolved
from configs.errors import ConfigError
from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.releases import RELEASES, Release
from hack.servers.validator import Validator

_VARIABLE = re.compile(r"\$\{env\.([A-Z0-9_]+)(:\+)?")
_PINNED = re.compile(r".+(:v?\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})")

_VALUES: Final[Mapping[str, str]] = {
    # 0.4 knows the models whose weights it can load by name.
    "INFERENCE_MODEL": "meta-llama/Llama-3.2-3B-Instruct",
    "SAFETY_MODEL": "meta-llama/Llama-Guard-3-1B",
    "WEAVIATE_CLUSTER_URL": "weaviate:8080",
    "MILVUS_URL": "on",
}
"""Values of variables that not every text will do for."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was found out about one base in one case.

    Attributes:
        name: of the distribution.
        case: what was looked at, for people.
        problems: what is wrong; empty if nothing is.
    """

    name: str
    case: str
    problems: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        if not self.problems:
            return f"{self.name}: {self.case}: right"
        return f"{self.name}: {self.case}: {'; '.join(self.problems)}"


def every_variable(text: str) -> dict[str, str]:
    """An environment that switches everything in a config on."""
    found: dict[str, str] = {}
    for name, switches in _VARIABLE.findall(text):
        if name in _VALUES:
            found[name] = _VALUES[name]
        elif name.endswith(("_URL", "_API_BASE")):
            found[name] = "http://127.0.0.1:9/v1"
        elif switches:
            found.setdefault(name, "on-and-no-number")
    return found


def text_of(resolved: Resolved) -> str:
    """The embedded base of a distribution, as it was written."""
    return resources.files("configs").joinpath(f"data/base/{resolved.base}").read_text("utf-8")


def bound(name: str, resolved: Resolved) -> Result:
    """Whether a name has an image, an era and a base, and the base can be one."""
    problems = []
    if not _PINNED.fullmatch(resolved.image):
        problems.append(f"the tag of the image {resolved.image} is not pinned")
    if resolved.era is None:
        problems.append("has no era")
    if resolved.base is None:
        problems.append("has no base config")
        return Result(name, "binding", tuple(problems))
    try:
        base = read_base(text_of(resolved), source=ConfigSource.EMBEDDED)
    except (ConfigError, OSError) as error:
        return Result(name, "binding", (*problems, str(error)))
    if detection.candidates(base.data) != (resolved.era,):
        problems.append(f"is bound to {resolved.era}, but looks like one of {base.era}")
    return Result(name, f"era {resolved.era}, {resolved.base}", tuple(problems))


def generated(name: str, env: Mapping[str, str]) -> str:
    """The config for a resource that asks for nothing but the distribution.

    Raises:
        ConfigError: the engine finds the base wrong.
    """
    variables = [{"name": key, "value": value} for key, value in sorted(env.items())]
    sections = {
        "distribution": {"name": name},
        "workload": {"overrides": {"env": variables}},
        # No distribution has it: a reason to generate that changes nothing.
        "disabled": ["memory"],
    }
    resource = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name, "namespace": "default"},
        "spec": sections,
    }
    found = engine.generate(
        name,
        "default",
        parse(resource).spec,
        distributions=Distributions.load(),
        bases=EmbeddedBaseConfigs(),
    )
    return str(found.config_yaml)


def cases(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What to hold a base against: nothing set, everything set."""
    yield "no variable set", {}
    env = every_variable(text)
    yield f"{len(env)} variables set", env


def validate(known: Mapping[str, Resolved], validators: Iterable[Validator]) -> Iterator[Result]:
    """Everything, base by base.

    Args:
        known: the distributions by name.
        validators: one a release, entered.
    """
    by_release = {validator.release: validator for validator in validators}
    for name, resolved in sorted(known.items()):
        result = bound(name, resolved)
        yield result
        if result.problems:
            continue
        for case, env in cases(text_of(resolved)):
            try:
                config = generated(name, env)
            except ConfigError as error:
                yield Result(name, case, (str(error),))
                continue
            for release in releases_of(resolved):
                report = by_release[release].check(config, env)
                wrong = tuple(line for line in report.lines() if not line.startswith("notes: "))
                yield Result(name, f"{case}, {release.name}", wrong)


def releases_of(resolved: Resolved) -> tuple[Release, ...]:
    """The server releases of a distribution's era."""
    return tuple(release for release in RELEASES if release.era == resolved.era)


def main() -> int:
    """Print a line a base and case; 1 if anything is wrong."""
    argparse.ArgumentParser(
        prog="python -m hack.validate_configs", description=__doc__
    ).parse_args()
    known = Distributions.load().known
    needed = {release for resolved in known.values() for release in releases_of(resolved)}
    failed = 0
    try:
        bed = Bed.open(sorted(needed, key=RELEASES.index))
        with ExitStack() as stack:
            validators = [stack.enter_context(Validator(bed, release)) for release in needed]
            for result in validate(known, validators):
                failed += bool(result.problems)
                print(result, file=sys.stderr if result.problems else sys.stdout)
    except BedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
