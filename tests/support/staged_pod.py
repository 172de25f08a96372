# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The volumes of a pod with external providers, as the containers before the merge leave them."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llamastack_operator.merge_run_yaml import main

BASE = """\
version: '2'
image_name: starter
apis: [inference]
providers:
  inference:
  - {provider_id: '${env.OLLAMA_URL:+ollama}', provider_type: 'remote::ollama', config: {a: 1}}
odd: [kept]
"""


REBUILD = (
    "Resolution: Fix the metadata file as described in docs/external-providers.md and rebuild the "
    "provider image.\n"
)


class Pod:
    """The volumes of a pod, as the containers before the merge leave them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staged = root / "volume" / "staged"
        self.packages = root / "volume" / "python-packages"
        self.input = root / "input"
        self.config = root / "config"
        self.termination_log = root / "termination-log"
        self.termination_log.write_text("of an earlier run, " * 100)
        for folder in (self.staged, self.input):
            folder.mkdir(parents=True)
        self.base = root / "base.yaml"
        self.base.write_text(BASE)
        self._entries = 0

    def add(
        self,
        provider_id: str = "p",
        *,
        files: Mapping[str, str] | None = None,
        units: Mapping[str, tuple[str, ...]] | None = None,
        section: str = "inference",
        api: str = "inference",
        declared: str = "inference",
        config: dict[str, Any] | None = None,
    ) -> Path:
        """One provider; ``units`` is ``{"name version": requirements}``. Returns its packages."""
        own = self.staged / provider_id
        packages = own / "packages"
        packages.mkdir(parents=True)
        (own / "lls-provider-spec.yaml").write_text(metadata(provider_id, declared))
        (own / "wheels.json").write_text(
            json.dumps(
                {
                    "wheels": ["main.whl"],
                    "files": ["packages/main.whl"],
                    "python": "3.12",
                    "platform": "linux/x86_64",
                }
            )
        )
        for path, text in (files or {}).items():
            self.write(packages / path, text)
        for unit, requires in (units or {}).items():
            name, version = unit.split()
            described = packages / f"{name.replace('-', '_')}-{version}.dist-info"
            lines = [f"Name: {name}", f"Version: {version}"]
            lines += [f"Requires-Dist: {each}" for each in requires]
            self.write(described / "METADATA", "\n".join([*lines, ""]))
            self.write(described / "RECORD", "".join(f"{path},,\n" for path in files or {}))
        entry: dict[str, Any] = {
            "providerId": provider_id,
            "api": api,
            "section": section,
            "index": self._entries,
            "image": f"example.com/{provider_id}:v1",
            "initContainerName": f"install-provider-{provider_id}",
        }
        if config is not None:
            entry["config"] = config
        (self.input / f"{self._entries:02}-{provider_id}.json").write_text(json.dumps(entry))
        self._entries += 1
        return packages

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def arguments(self) -> list[str]:
        return [
            f"--metadata-dir={self.staged}",
            f"--extra-providers-output={self.config / 'extra-providers.yaml'}",
            f"--output={self.config / 'run.yaml'}",
            f"--base={self.base}",
            f"--crd-config-dir={self.input}",
            f"--log-output={self.config / 'merge-log.txt'}",
            f"--packages-output={self.packages}",
        ]

    def failure(self, capsys: pytest.CaptureFixture[str]) -> str:
        """What a run that fails says, which is the termination message as well."""
        assert main(self.arguments) == 1
        said = capsys.readouterr().err
        assert self.termination_log.read_text() == said
        return said

    def tree(self) -> dict[str, tuple[bytes, int]]:
        """Content and permissions of everything in the tree of packages, and beside it."""
        paths = sorted((self.root / "volume").rglob("*"))
        return {
            str(path.relative_to(self.root / "volume")): (
                path.read_bytes() if path.is_file() else b"",
                stat.S_IMODE(path.stat().st_mode),
            )
            for path in paths
            if not path.is_relative_to(self.staged)
        }


def metadata(provider_id: str, api: str = "inference", **other: str) -> str:
    spec = {
        "packageName": f"my_org.{provider_id.replace('-', '_')}",
        "providerType": f"remote::{provider_id}",
        "api": api,
        "wheelPath": "/lls-provider/packages/main.whl",
        **other,
    }
    return json.dumps(
        {
            "apiVersion": "llamastack.io/v1alpha1",
            "kind": "ProviderPackage",
            "metadata": {"name": "n", "version": "1.0.0", "vendor": "v"},
            "spec": spec,
        }
    )


def tail(provider_id: str = "p") -> str:
    return (
        f"Provider: {provider_id}\nImage: example.com/{provider_id}:v1\n"
        f"Init Container: install-provider-{provider_id}\n\n"
    )


def unusable(problem: str) -> str:
    return (
        f"ERROR: Cannot use what provider 'p' installed\n\n{tail()}{problem}\n\n"
        "Resolution: Rebuild the provider image with wheels that hold regular files only, and "
        "nothing that changes the installed files.\n"
    )
