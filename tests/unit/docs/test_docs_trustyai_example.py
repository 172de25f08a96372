# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``docs/examples/trustyai-fms`` fits together; ``tests/servers`` has it in real servers."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import Any

from configs.external import metadata
from hack.servers import places, wheels
from hack.servers.releases import newest
from tests.support.trustyai_fms import EXAMPLE, PUBLISHED, TYPE

PROJECT: dict[str, Any] = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = places.PROVIDER_LOCK.read_text("utf-8")
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", LOCK, re.MULTILINE))


def test_metadata_is_right_and_names_what_the_image_holds() -> None:
    stem = f"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}"
    published = f"{PUBLISHED}-{PINS[PUBLISHED.replace('_', '-')]}"
    files = tuple(f"packages/{name}-py3-none-any.whl" for name in (stem, published))

    found = metadata.parse((EXAMPLE / "lls-provider-spec.yaml").read_bytes(), files=files)

    assert found.warnings == ()
    assert (found.module, found.provider_type, found.api) == (
        "trustyai_fms_adapter", TYPE, "safety",
    )  # fmt: skip
    assert (found.version, found.wheel) == (PROJECT["version"], files[0])


def test_spec_is_that_of_the_metadata() -> None:
    source = (EXAMPLE / "trustyai_fms_adapter" / "provider.py").read_text("utf-8")
    texts = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}

    assert {TYPE, TYPE.removeprefix("remote::"), "trustyai_fms_adapter"} <= texts


def test_adapter_depends_on_the_locked_release() -> None:
    assert PROJECT["dependencies"] == [wheels.PROVIDER]
    name, _, version = wheels.PROVIDER.partition("==")
    assert PINS[name] == version


def test_every_wheel_is_pinned_by_hash_and_none_is_the_servers() -> None:
    parts = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)[2:]
    server = newest("0.7").lock.read_text("utf-8")

    assert len(parts) == len(PINS) > 10
    assert [part for part in parts if "--hash=sha256:" not in part] == []
    assert [name for name in PINS if re.search(f"^{name}==", server, re.MULTILINE)] == []


def test_containerfile_installs_what_is_locked() -> None:
    text = (EXAMPLE / "Containerfile").read_text("utf-8")
    last = text[text.rindex("\nFROM ") :]

    assert "--require-hashes --only-binary :all: -r packages.lock -d packages" in text
    assert "pip wheel --no-deps -w packages ." in text
    assert "COPY lls-provider-spec.yaml /lls-provider/\n" in last
    assert "COPY --from=build /build/packages /lls-provider/packages\n" in last


def test_pins_keep_their_hashes() -> None:
    one, two = "a==1 \\\n    --hash=x\n", "b==2 \\\n    --hash=y \\\n    --hash=z\n"

    assert list(wheels._pins(one + two)) == [one, two]
