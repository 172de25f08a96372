# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where things are in a pod with external providers; part of the contract with provider authors."""

from __future__ import annotations

from typing import Final

ROOT: Final = "/opt/llama-stack/external-providers"
"""Volume with everything that is installed. A container that installs sees its own part here."""

STAGED: Final = "staged"
"""Directory of the volume with one directory a provider, which only its own container writes."""

PACKAGES: Final = f"{ROOT}/python-packages"
"""Merged packages of all providers; first on the server's ``PYTHONPATH``."""

INSTALLED: Final = f"{ROOT}/installed-packages.txt"
"""What is merged, by provider and image (FR-X024)."""

CONFIG: Final = "/opt/llama-stack/config"
"""Volume with the merged configuration."""

MERGED_CONFIG: Final = f"{CONFIG}/run.yaml"
"""The configuration that the server starts with."""

EXTRA_PROVIDERS: Final = f"{CONFIG}/extra-providers.yaml"
"""The external providers alone, in the form that a server may read some day."""

MERGE_LOG: Final = f"{CONFIG}/merge-log.txt"
"""Every warning of the merge."""

BASE: Final = "/opt/llama-stack/base-config"
"""Directory with the configuration that providers are merged into."""

INPUT: Final = "/opt/llama-stack/crd-config"
"""Directory with what the resource says of each provider."""

TOOLS: Final = "/opt/llama-stack/tools"
"""Directory of the programs that run in images of others."""

PROVIDER_IMAGE: Final = "/opt/llama-stack/provider-image"
"""Where the image of a provider is mounted, if it is."""

MERGE_PROGRAM: Final = "/usr/local/bin/merge-run-yaml"
"""In the operator's image."""

INSTALL_SCRIPT: Final = "install.py"
"""Installs the packages of one provider, in its own image or in the server's."""

PREFLIGHT_SCRIPT: Final = "preflight.py"
"""Loads the providers once, in the server's image."""

SCRIPTS: Final = (INSTALL_SCRIPT, PREFLIGHT_SCRIPT)

BASE_INPUT: Final = "base.json"
"""In :data:`INPUT`: what the base configuration is."""


def entry_input(number: int, provider_id: str) -> str:
    """In :data:`INPUT`: the file of one provider.

    Args:
        number: in the order of all external providers of the resource, from 0.
        provider_id: of the provider.
    """
    return f"{number:02}-{provider_id}.json"


METADATA_FILE: Final = "lls-provider-spec.yaml"
"""In a provider's directory of :data:`STAGED`: its metadata, byte for byte as in the image."""

WHEELS_FILE: Final = "wheels.json"
"""Beside it: which files the image has, and the Python that installed them."""

PACKAGES_DIRECTORY: Final = "packages"
"""Beside it: what pip installed."""

IMAGE_ROOT: Final = "/lls-provider"
"""Directory of a provider's image with all that is about the provider."""
