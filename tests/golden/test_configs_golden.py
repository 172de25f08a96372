# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A resource in, a config out, byte for byte.

Each ``data/NAME.yaml`` is a resource; ``data/NAME.config.yaml`` is its config, with what comes
along as comments above it. After a change that is meant, ``UPDATE_GOLDEN=1`` writes the files
again, and the diff is what users will see: every changed byte restarts pods.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api.v1alpha2 import parse
from configs import engine, yaml_reader
from configs.engine import Generated
from configs.secrets import EnvFromSecret
from tests.support.config_specs import DISTRIBUTIONS

DATA = Path(__file__).parent / "data"
RESOURCES = sorted(path for path in DATA.glob("*.yaml") if not path.stem.endswith(".config"))


def rendered(path: Path) -> str:
    """The config of a resource, and what comes with it."""
    resource = parse(yaml_reader.load(path.read_bytes()))
    found = engine.generate(
        resource.metadata.name or "",
        resource.metadata.namespace or "",
        resource.spec,
        distributions=DISTRIBUTIONS,
    )
    return "\n".join([*_comments(found), found.config_yaml or "# (no config)\n"])


def _comments(found: Generated) -> list[str]:
    facts = [f"source: {found.source}", f"image: {found.image}", f"sha256: {found.config_hash}"]
    facts += [f"model: {name}" for name in found.models]
    for item in found.env:
        value = f"{item.secret_name}/{item.key}" if isinstance(item, EnvFromSecret) else item.value
        facts.append(f"env: {item.name} <- {value}")
    facts += [f"warning: {warning}" for warning in found.warnings]
    return [f"# {fact}" for fact in facts]


@pytest.mark.parametrize("path", RESOURCES, ids=[path.stem for path in RESOURCES])
def test_the_config_of_a_resource_is_this_to_the_byte(path: Path) -> None:
    expected = path.with_suffix(".config.yaml")
    found = rendered(path)
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(found, encoding="utf-8")

    assert found == expected.read_text(encoding="utf-8")
