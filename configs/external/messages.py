# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is said of external providers when they are merged: failures, warnings, lines of the log.

Names, versions and file names come out of images of others: each is one printable line of bounded
length before it is part of a message, so that no image can write lines of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from configs.external import paths
from configs.external.failures import Provider, ProviderFailure, one_line

_REBUILD_METADATA: Final = (
    "Fix the metadata file as described in docs/external-providers.md and rebuild the provider "
    "image."
)
_METADATA: Final = f"{paths.IMAGE_ROOT}/{paths.METADATA_FILE}"


# --- metadata -------------------------------------------------------------------------------------


def missing_metadata(provider: Provider) -> ProviderFailure:
    """The image has no metadata."""
    return ProviderFailure(
        f"Missing {_METADATA} in image {provider.image}",
        provider,
        f"Add the file {_METADATA} to the provider image and push a new tag.",
    )


def invalid_metadata(provider: Provider, summary: str, problems: Sequence[str]) -> ProviderFailure:
    """The image has metadata that cannot be used.

    Args:
        provider: whose metadata it is.
        summary: the first problem, with its place if it has one.
        problems: all of them, each with what was tried.
    """
    wrapper = f"failed to load metadata for provider {provider.provider_id}"
    return ProviderFailure(
        f"Invalid {_METADATA} in image {provider.image}: {summary}",
        provider,
        _REBUILD_METADATA,
        details=tuple(f"{wrapper}: {problem}" for problem in problems),
    )


def unreadable_metadata(provider: Provider, problem: str) -> ProviderFailure:
    """The copy of the metadata is no file that is read."""
    cause = f"failed to read metadata file: {problem}"
    return invalid_metadata(provider, problem, [cause])


def metadata_warning(provider: Provider, warning: str) -> str:
    """Something in the metadata that does no harm."""
    return (
        f"Provider '{provider.provider_id}' (image: {provider.image}): "
        f"{paths.METADATA_FILE}: {warning}"
    )


# --- the resource ---------------------------------------------------------------------------------


def wrong_section(
    provider: Provider, *, section: str, declared: str, declared_section: str
) -> ProviderFailure:
    """The provider is in the section of another API (FR-X023).

    Args:
        provider: the one.
        section: of the resource that it is in.
        declared: API that its metadata names.
        declared_section: section of that API.
    """
    return ProviderFailure(
        "Provider API type mismatch",
        provider,
        f"Move the provider to externalProviders.{declared_section} section in the LLSD spec.",
        statement=(
            f"Provider '{provider.provider_id}' (image: {provider.image})",
            f"declares api={declared} in {paths.METADATA_FILE}",
            f"but is placed under externalProviders.{section}",
        ),
    )


def duplicate(first: Provider, place: str, second: Provider, other_place: str) -> ProviderFailure:
    """Two providers have one id (FR-X020).

    Args:
        first: the earlier one.
        place: of it, as ``section[index]``.
        second: the later one.
        other_place: of that.
    """
    return ProviderFailure(
        f"Duplicate provider_id '{second.provider_id}' in externalProviders: "
        f"found in {place} and {other_place}",
        second,
        "Give each external provider a unique providerId.",
        statement=(
            f"  - externalProviders.{place} (image: {first.image})",
            f"  - externalProviders.{other_place} (image: {second.image})",
        ),
    )


# --- the merge ------------------------------------------------------------------------------------


def overridden(provider_id: str, api: str, base_type: object, external_type: str) -> str:
    """Warning: a provider of a generated base has the same id (FR-X019)."""
    return (
        f"External provider '{provider_id}' overrides base provider in API '{api}'\n"
        f"  Base type: {one_line(base_type)}\n"
        f"  External type: {external_type}"
    )


def overridden_in_config_map(provider_id: str) -> str:
    """Warning: a provider of the user's ConfigMap has the same id (FR-X019)."""
    return (
        f"Provider ID '{provider_id}' in both ConfigMap and externalProviders. "
        "Using external provider."
    )


def unknown_api(provider_id: str, api: str) -> str:
    """Warning: nothing in the base says that the server has the API."""
    return (
        f"API '{api}' of external provider '{provider_id}' is neither in apis nor in providers of "
        "the base config. A server that does not know it does not start."
    )


def api_added(provider_id: str, api: str) -> str:
    """For the log: the API is served now."""
    return f"Added API '{api}' to apis list for external provider '{provider_id}'"


def provider_added(provider_id: str, api: str, provider_type: str, module: str) -> str:
    """For the log: the provider is in the configuration."""
    return (
        f"Added external provider '{provider_id}' to API '{api}' "
        f"(type: {provider_type}, module: {module})"
    )


def step_failed(step: str, problem: str) -> str:
    """Something failed that no provider is to blame for.

    Args:
        step: what was done, as in ``_STEPS``.
        problem: why that failed.
    """
    return f"ERROR: Failed to {step}: {problem}\n\nResolution: {_STEPS[step]}\n"


_VOLUME: Final = "Check that the volumes of the pod are writable and have space left, then restart."
_CONFIG_MAP: Final = (
    "Correct the config.yaml of the ConfigMap that spec.overrideConfig names; a generated one is a "
    "bug of the operator, please report it."
)
_OUR_BUG: Final = "Check the config of the external providers; if it is right, report a bug."

READ_INPUT: Final = "generate extra-providers.yaml"
SERIALIZE_EXTRA: Final = "serialize extra-providers.yaml"
MAKE_DIRECTORY: Final = "create output directory"
WRITE_EXTRA: Final = "write extra-providers.yaml"
READ_BASE: Final = "read base run.yaml"
PARSE_BASE: Final = "parse base run.yaml"
MERGE: Final = "merge configurations"
SERIALIZE_MERGED: Final = "serialize merged run.yaml"
WRITE_MERGED: Final = "write merged run.yaml"
WRITE_LOG: Final = "write merge log"
MERGE_PACKAGES: Final = "merge provider packages"

_STEPS: Final[Mapping[str, str]] = {
    READ_INPUT: "Check that the input is the ConfigMap that the operator wrote.",
    SERIALIZE_EXTRA: _OUR_BUG,
    MAKE_DIRECTORY: _VOLUME,
    WRITE_EXTRA: _VOLUME,
    READ_BASE: _CONFIG_MAP,
    PARSE_BASE: _CONFIG_MAP,
    MERGE: _CONFIG_MAP,
    SERIALIZE_MERGED: _OUR_BUG,
    WRITE_MERGED: _VOLUME,
    WRITE_LOG: _VOLUME,
    MERGE_PACKAGES: _VOLUME,
}
"""Step → what to do when it fails."""


# --- packages -------------------------------------------------------------------------------------


def conflict(
    provider: Provider, causes: Sequence[str], conflicting: Sequence[Provider] = ()
) -> ProviderFailure:
    """The packages of a provider do not go together with those of the providers before it.

    Args:
        provider: the last one of those in conflict (FR-X024).
        causes: why.
        conflicting: all that are in conflict, if it is about more than one.
    """
    listed = [f"  - {one.provider_id} ({one.image})" for one in conflicting]
    return ProviderFailure(
        f"Cannot install provider '{provider.provider_id}' due to dependency conflict",
        provider,
        "Update provider images to use compatible dependency versions, or reorder providers in the "
        "CRD if one provider's dependencies are a superset of another's.",
        details=(
            "Pip installation failed with:",
            *causes,
            *(["Conflicting providers:", *listed] if listed else ()),
            "",
            f"Previously installed packages can be found in: {paths.INSTALLED}",
        ),
    )


def other_content(path: str, other: Provider) -> str:
    """Cause: one file, and two contents."""
    return (
        f"File '{one_line(path)}' was already installed with different content by provider "
        f"'{other.provider_id}' ({other.image})"
    )


def other_files(path: str, distribution: str, other: Provider) -> str:
    """Cause: one version of a distribution, but one copy of it has a file more."""
    return (
        f"File '{one_line(path)}' is not in both copies of {one_line(distribution)}, and provider "
        f"'{other.provider_id}' ({other.image}) brings one of them"
    )


def file_and_directory(path: str, other: Provider) -> str:
    """Cause: a file where another provider needs a directory, or the other way round."""
    return (
        f"'{one_line(path)}' is a file of one provider and a directory of another: provider "
        f"'{other.provider_id}' ({other.image}) installed the other"
    )


def hides_server(provider: Provider, what: str) -> ProviderFailure:
    """The provider brings a package of the server itself, which would run instead of it."""
    return ProviderFailure(
        f"Cannot install provider '{provider.provider_id}': it would hide the server's own "
        "packages",
        provider,
        f"Leave the wheel out of {paths.IMAGE_ROOT}/packages/ and rebuild the provider image. It "
        "need not be there: the server has the package, and dependencies are not resolved when "
        "providers are installed.",
        details=(f"{one_line(what)} is a package of the server itself.",),
    )


def unusable_staging(provider: Provider, problem: str) -> ProviderFailure:
    """What the provider's container left is not what pip leaves.

    Args:
        provider: whose it is.
        problem: with the path that it is about.
    """
    return ProviderFailure(
        f"Cannot use what provider '{provider.provider_id}' installed",
        provider,
        "Rebuild the provider image with wheels that hold regular files only, and nothing that "
        "changes the installed files.",
        details=(problem,),
    )


def module_left_out(provider: Provider, module: str) -> str:
    """For the log: what would hide a module of Python itself is not installed."""
    return (
        f"Left out {one_line(module)} of external provider '{provider.provider_id}': it would run "
        "instead of a module of Python itself, or at the start of every Python"
    )


def version_left_out(provider: Provider, distribution: str, version: str, by: Provider) -> str:
    """For the log: another version of a distribution runs than the one of a provider.

    Args:
        provider: whose is left out.
        distribution: name and version of that.
        version: that runs.
        by: the provider that brings it.
    """
    return (
        f"Left out {one_line(distribution)} of external provider '{provider.provider_id}': version "
        f"{one_line(version)} of '{by.provider_id}' is installed"
    )
