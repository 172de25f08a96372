# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the installer and the preflight in a pod say, as messages of ours.

The programs are copied into images and import nothing, so their texts stand there once more.
``test_provider_check_pod.py`` holds these against what they really say.
"""

from __future__ import annotations

from typing import Final

from configs.external import paths
from configs.external.failures import Provider, ProviderFailure, one_line
from configs.external.offline.target import Target

_PACKAGES: Final = f"{paths.IMAGE_ROOT}/{paths.PACKAGES_DIRECTORY}/"
_ADD_PACKAGES: Final = (
    f"Put the provider wheel and all dependency wheels into {_PACKAGES} "
    "and rebuild the provider image."
)
_INVALID: Final = "Provider validation failed"
_LINE: Final = 2_000  # characters of a line of a traceback


# --- the installer --------------------------------------------------------------------------------


def missing_packages(provider: Provider) -> ProviderFailure:
    """The image has no directory of packages."""
    headline = f"Missing {_PACKAGES} directory in image {provider.image}"
    return ProviderFailure(headline, provider, _ADD_PACKAGES)


def no_wheels(provider: Provider) -> ProviderFailure:
    """There is no wheel in it."""
    headline = f"No wheel files (*.whl) in {_PACKAGES} in image {provider.image}"
    return ProviderFailure(headline, provider, _ADD_PACKAGES)


def odd_wheel(provider: Provider, name: str) -> ProviderFailure:
    """What is called like a wheel is no file, or has a name that cannot be shown."""
    what = "a regular file" if name.isprintable() else "the name of a wheel"
    return _cannot_install(provider, f"{one_line(_PACKAGES + name)} is not {what}", _ADD_PACKAGES)


def closed(provider: Provider, path: str) -> ProviderFailure:
    """Not every user may read something in the image."""
    return _cannot_install(
        provider,
        f"Permission denied: {one_line(path)}",
        f"Make {paths.IMAGE_ROOT} readable for every user and rebuild the provider image.",
    )


def unsupported_wheel(provider: Provider, name: str, target: Target) -> ProviderFailure:
    """A wheel is for another platform or another Python."""
    where = f"{target.platform}, " if target.platform else ""
    compiled = target.platform or f"Python {target.python}"
    return _cannot_install(
        provider,
        f"Wheel {one_line(name)} does not match {where}Python {target.python}",
        _rebuild(compiled),
    )


def broken_wheel(provider: Provider, problem: str, target: Target) -> ProviderFailure:
    """Pip would fail at a wheel.

    Args:
        provider: whose it is.
        problem: with the name of the wheel.
        target: what wheels are for.
    """
    resolution = (
        f"Check that all dependency wheels are in {_PACKAGES} and that every wheel is "
        f"compatible with {target.where}."
    )
    return _cannot_install(provider, problem, resolution)


def _cannot_install(provider: Provider, reason: str, resolution: str) -> ProviderFailure:
    headline = f"Cannot install provider '{provider.provider_id}'"
    return ProviderFailure(headline, provider, resolution, facts=(f"Reason: {reason}",))


def _rebuild(target: str) -> str:
    return (
        f"Rebuild provider package with native extensions compiled for {target}, "
        "or use pure Python implementation."
    )


# --- the preflight --------------------------------------------------------------------------------


def module_not_found(provider: Provider, module: str, missing: str) -> ProviderFailure:
    """The module of the provider is in no wheel.

    Args:
        provider: whose it is.
        module: that its metadata names.
        missing: what Python says of it, after "No module named".
    """
    said = f"  ModuleNotFoundError: No module named {one_line(missing, _LINE)}"
    return ProviderFailure(
        _INVALID,
        provider,
        "Ensure provider packages are installed and PYTHONPATH is set correctly. "
        "Put a wheel with the module into the provider image, or correct spec.packageName.",
        facts=(f"Module: {one_line(module)}", "Reason: Module not found"),
        details=("Traceback:", said),
    )


def native_mismatch(
    provider: Provider, module: str, what: str, wanted: str, got: str, *, wheel: str, file: str,
    target: str,
) -> ProviderFailure:  # fmt: skip
    """A library cannot be loaded.

    Args:
        provider: who brings it.
        module: of the provider.
        what: does not match, ``architecture`` or ``ABI``.
        wanted: what would.
        got: what it was compiled for.
        wheel: that it is in.
        file: the library.
        target: what to compile for.
    """
    return ProviderFailure(
        _INVALID,
        provider,
        _rebuild(target),
        facts=(f"Module: {one_line(module)}", f"Reason: Native extension {what} mismatch"),
        details=(
            f"Package: {one_line(wheel)}",
            f"Expected {what}: {wanted}",
            f"Found {what}: {one_line(got)}",
            f"File: {one_line(file)}",
        ),
    )


def missing_dependency(
    provider: Provider, module: str, package: str, requirement: str, installed: str
) -> ProviderFailure:
    """A package requires another version than the one that providers bring.

    Args:
        provider: whose package it is.
        module: of the provider.
        package: name and version of what requires.
        requirement: as it is written.
        installed: name and version of what runs.
    """
    text = one_line(requirement)
    return ProviderFailure(
        _INVALID,
        provider,
        f"Add a wheel for {text} to {_PACKAGES} of the provider image.",
        facts=(f"Module: {one_line(module)}", "Reason: Missing dependency"),
        details=(
            f"Package: {one_line(package)}",
            f"Requirement: {text}",
            f"Installed: {one_line(installed)} (provider)",
        ),
    )


# --- warnings and notes ---------------------------------------------------------------------------


def overwritten(provider: Provider, path: str, first: str, second: str) -> str:
    """Warning: two wheels bring one file with different content, and pip keeps one of them."""
    return (
        f"Provider '{provider.provider_id}' (image: {provider.image}): {one_line(first)} and "
        f"{one_line(second)} bring {one_line(path)} with different content: one of them is lost"
    )


def other_version(provider: Provider, package: str, requirement: str, installed: str) -> str:
    """Warning: as the preflight, of a package of the server's family."""
    return (
        f"Provider '{provider.provider_id}' (image: {provider.image}): {one_line(package)} "
        f"requires {one_line(requirement)}, and {one_line(installed)} is installed"
    )


def needed(provider: Provider, requirements: tuple[str, ...]) -> str:
    """Note: what no wheel brings, so that the server has to."""
    listed = ", ".join(one_line(each) for each in requirements)
    return f"'{provider.provider_id}' needs of the server: {listed}"


def native(provider: Provider, wheels: tuple[str, ...], target: Target) -> str:
    """Note: wheels that run on one platform only, where nobody knows on which they will."""
    listed = ", ".join(one_line(each) for each in wheels)
    return (
        f"'{provider.provider_id}' has native extensions, which were not checked because the "
        f"platform is not known (Python {target.python}): {listed}"
    )


def renamed_api(provider: Provider, api: str) -> str:
    """Note: only servers of some releases know the API by this name."""
    return f"'{provider.provider_id}': only servers that have the API '{api}' take this name of it"


def no_root(provider: Provider) -> str:
    """Note: most likely the path is of something else than an image of a provider."""
    return (
        f"'{provider.provider_id}': there is no {paths.IMAGE_ROOT} in {provider.image}. An archive "
        "has to be of a whole image; a directory may be the root of one, or what it has there"
    )


def only_mounted(provider: Provider, what: str) -> str:
    """Note: the image cannot run the installer."""
    return (
        f"'{provider.provider_id}': the image has no {what}, so it can only be delivered by image "
        "volumes (--external-provider-delivery)"
    )
