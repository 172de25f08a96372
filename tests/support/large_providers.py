# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Provider images of the size that real ones have: ten dependency wheels, none of another image.

The wheels are as those of a client for some service are: three small ones of a handful of modules,
four of sixty to a hundred, two of some hundred generated modules, and one with large data files.
Together they have about 1,300 files in 13 MiB, in 6 MiB of wheels. The same image is the same
bytes everywhere.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.support.provider_wheels import ECHO_TYPE, ProviderImage, Wheel


class Size(NamedTuple):
    """What one dependency holds.

    Attributes:
        modules: how many.
        lines: of each module.
        imported: how many of the modules an import of the package imports.
        data_kib: of data that hardly can be compressed.
    """

    modules: int
    lines: int
    imported: int
    data_kib: int = 0


SIZES: Final = (
    Size(5, 80, 5), Size(8, 120, 8), Size(12, 100, 12),
    Size(60, 150, 40), Size(70, 200, 30), Size(80, 180, 40), Size(100, 160, 20),
    Size(350, 140, 30), Size(500, 120, 30),
    Size(40, 150, 20, data_kib=6144),
)  # fmt: skip
"""Of the ten dependencies."""

_WORDS: Final = (
    "account", "batch", "client", "cursor", "default", "encoder", "filter", "handle", "index",
    "limit", "message", "option", "policy", "query", "request", "schema", "token", "value",
)  # fmt: skip


def large_image(number: int) -> ProviderImage:
    """One of them; another number, other packages."""
    package = f"large_{number}"
    dependencies = [f"{package}_dep_{index}" for index in range(len(SIZES))]
    wheels = [
        _dependency(name, size, seed=f"{number} {index}")
        for index, (name, size) in enumerate(zip(dependencies, SIZES, strict=True))
    ]
    own = Wheel(
        package,
        files={
            f"{package}/__init__.py": "".join(f"import {name}\n" for name in dependencies),
            f"{package}/provider.py": _provider(package, number),
        },
        requires=tuple(f"{name}>=1,<2" for name in dependencies),
    )
    return ProviderImage((own, *wheels), package, f"{ECHO_TYPE}-{number}")


def _provider(package: str, number: int) -> str:
    return f"""\
from types import SimpleNamespace


def get_provider_spec():
    return SimpleNamespace(
        provider_type="{ECHO_TYPE}-{number}", api="inference", config_class="{package}.Config"
    )
"""


def _dependency(name: str, size: Size, seed: str) -> Wheel:
    draw = random.Random(seed)
    modules = {f"{name}/part_{i}.py": _module(draw, size.lines) for i in range(size.modules)}
    imports = "".join(f"from . import part_{i}\n" for i in range(size.imported))
    data = {f"{name}/data.bin": base64.b85encode(draw.randbytes(size.data_kib * 820))}
    return Wheel(
        name,
        files={
            f"{name}/__init__.py": imports,
            f"{name}/py.typed": "",
            **modules,
            **(data if size.data_kib else {}),
        },
    )


def _module(draw: random.Random, lines: int) -> str:
    """Functions as somebody might have generated them."""
    return "".join(_functions(draw, lines // 5))


def _functions(draw: random.Random, count: int) -> Iterator[str]:
    for number in range(count):
        one, two, three = draw.choices(_WORDS, k=3)
        yield f"def {one}_{two}_{number}({three}, {one}_{two}={draw.randrange(9999)}):\n"
        yield f'    """Give the {two} of a {one} that has this {three}."""\n'
        yield f"    if {three} is None:\n        return {{'{two}': {one}_{two}}}\n"
        yield f"    return [{one}_{two}, {three}, '{draw.choice(_WORDS)}']\n\n\n"
