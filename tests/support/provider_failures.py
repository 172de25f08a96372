# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers that fail in a pod, with the whole message that each has to lead to.

``...`` in a message stands for any text, and what is in braces is filled in: ``{id}``, ``{image}``
and ``{container}`` of the provider to blame; ``{platform}`` and ``{python}`` of the pods,
``{other}`` for another platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.support.hostile_images import (
    BOMB,
    GREEDY,
    HUNGRY,
    MEDDLER,
    PYTHON,
    WAITS,
    WRONG_FIELDS,
    described,
    module,
)
from tests.support.provider_archives import NodeImage
from tests.support.provider_wheels import ProviderImage, Wheel, echo_wheel, image, with_spec

_METADATA: Final = "/lls-provider/lls-provider-spec.yaml"


def _block(headline: str, resolution: str, *details: str, reason: str = "") -> str:
    """A message as all of them are made up (external-providers.md, section 7)."""
    lines = [headline, "", "Provider: {id}", "Image: {image}", "Init Container: {container}"]
    lines += [f"Reason: {reason}"] if reason else []
    lines += ["", *details] if details else []
    return "\n".join([*lines, "", f"Resolution: {resolution}"])


def _installing(*parts: str, **more: str) -> str:
    return f"Init container failed with exit code 1: ERROR: {_block(*parts, **more)}"


def _merging(headline: str, *more: str) -> str:
    return f"Init container merge-config failed with exit code 1: ERROR: {_block(headline, *more)}"


def _loading(reason: str, resolution: str, *details: str, what: str = "Provider") -> str:
    """A message of the preflight."""
    about = ("Module: ...", f"Reason: {reason}")
    said = _block(f"{what} validation failed", resolution, *about, *details)
    return f"Init container preflight failed with exit code 1: ERROR: {said}"


def _invalid(*problems: str, while_: str = "metadata validation failed") -> str:
    wrapper = f"failed to load metadata for provider {{id}}: {while_}: "
    headline = f"Invalid {_METADATA} in image {{image}}: {problems[0]}"
    return _merging(headline, _FIX_METADATA, *(f"{wrapper}{each}" for each in problems))


def _conflicting(*causes: str) -> str:
    headline = "Cannot install provider '{id}' due to dependency conflict"
    listed = (
        "Previously installed packages can be found in: "
        "/opt/llama-stack/external-providers/installed-packages.txt"
    )
    return _merging(headline, _COMPATIBLE, "Pip installation failed with:", *causes, listed)


_ADD_PACKAGES: Final = (
    "Put the provider wheel and all dependency wheels into /lls-provider/packages/ and rebuild the "
    "provider image."
)
_CHECK_WHEELS: Final = (
    "Check that all dependency wheels are in /lls-provider/packages/ and that every wheel is "
    "compatible with Python {python} on {platform}."
)
_REBUILD: Final = (
    "Rebuild provider package with native extensions compiled for {platform}{abi}, or use pure "
    "Python implementation."
)
_FIX_METADATA: Final = (
    "Fix the metadata file as described in docs/external-providers.md and rebuild the provider "
    "image."
)
_COMPATIBLE: Final = (
    "Update provider images to use compatible dependency versions, or reorder providers in the CRD "
    "if one provider's dependencies are a superset of another's."
)
_ONLY_REGULAR: Final = (
    "Rebuild the provider image with wheels that hold regular files only, and nothing that changes "
    "the installed files."
)
_CANNOT: Final = "Cannot install provider '{id}'"
_PIP: Final = "Pip installation failed with:"
_BAD_DATA: Final = "get_provider_spec() returned invalid data"
_RETURN_TYPE: Final = "Provider implementation must return ProviderSpec with provider_type field."
_SPEC: Final = "Provider spec"


@dataclass(frozen=True)
class Failure:
    """One way to fail.

    Attributes:
        message: in the status of the provider to blame.
        provider: the one to blame.
        reason: of ``ExternalProvidersReady``.
        before: the one before it in the resource.
        install: ``spec.externalProviders.install``.
        mounted: whether it fails in the same way where images are mounted.
    """

    message: str
    provider: NodeImage
    reason: str = "ProviderInstallFailed"
    before: NodeImage | None = None
    install: Mapping[str, Any] = field(default_factory=dict)
    mounted: bool = True

    @property
    def images(self) -> tuple[NodeImage, ...]:
        """In the order of the resource."""
        return (self.before, self.provider) if self.before else (self.provider,)


def _merge(message: str, provider: ProviderImage | NodeImage, **more: Any) -> Failure:
    made = provider if isinstance(provider, NodeImage) else NodeImage(provider)
    return Failure(message, made, "ConfigMergeFailed", **more)


def _preflight(message: str, provider: ProviderImage) -> Failure:
    return Failure(message, NodeImage(provider), "PreflightFailed")


_INSTALLS: Final[Mapping[str, Failure]] = {
    "missing-metadata": Failure(
        _installing(
            f"Missing {_METADATA} in image {{image}}",
            f"Add the file {_METADATA} to the provider image and push a new tag.",
        ),
        NodeImage(image("missing-metadata")),
    ),
    "missing-packages": Failure(
        _installing("Missing /lls-provider/packages/ directory in image {image}", _ADD_PACKAGES),
        NodeImage(image("missing-packages")),
    ),
    "empty-packages": Failure(
        _installing(
            "No wheel files (*.whl) in /lls-provider/packages/ in image {image}", _ADD_PACKAGES
        ),
        NodeImage(image("empty-packages")),
    ),
    "corrupt-wheel": Failure(
        _installing(_CANNOT, _CHECK_WHEELS, _PIP, "...Wheel 'corrupt' located at ... is invalid."),
        NodeImage(image("corrupt-wheel")),
    ),
    "unsupported-wheel": Failure(
        _installing(
            _CANNOT,
            _REBUILD.replace("{abi}", ""),
            _PIP,
            "...-cp39-win32.whl is not a supported wheel on this platform.",
            reason="Wheel echo_provider-1.0.0-cp39-cp39-win32.whl does not match {platform}, "
            "Python {python}",
        ),
        NodeImage(image("unsupported-wheel")),
    ),
    # The link leads to a file of the image, which is no wheel: of this machine nothing is read.
    "wheel-links-out": Failure(
        _installing(_CANNOT, "...", "..."), NodeImage(image("wheel-links-out")), mounted=False
    ),
    "hostile-name": Failure(
        _installing(
            _CANNOT,
            _ADD_PACKAGES,
            reason=r"/lls-provider/packages/evil\nERROR: gotcha $(id) `id` 'x' \x1b[31m"
            "-1.0-py3-none-any.whl is not the name of a wheel",
        ),
        NodeImage(image("hostile-name")),
    ),
    "no-python": Failure(
        "ERROR: "
        + _block(
            "No python3 in image {image}",
            "Build the provider image on one with Python 3.11 or later and pip, e.g. "
            "python:3.12-slim.",
        ),
        NodeImage(image("good"), on_base=False),
        mounted=False,
    ),
    "no-pip": Failure(
        _installing(
            _CANNOT,
            "Use a base image with Python 3.11 or later and pip, for example python:3.12-slim, for "
            "the provider image.",
            _PIP,
            "/usr/local/bin/python3: No module named pip",
            reason="Python {python} has no pip",
        ),
        NodeImage(image("good"), removed=("usr/lib/python3/dist-packages/pip",)),
        mounted=False,
    ),
    "unreadable": Failure(
        _installing(
            _CANNOT,
            "Make /lls-provider readable for every user and rebuild the provider image.",
            reason=f"Permission denied: ...{_METADATA}",
        ),
        NodeImage(image("good"), mode=0o700),
    ),
    "large-file": Failure(
        _block(
            "The packages of external providers ...take more than they may: ...",
            "Raise spec.externalProviders.install.sizeLimit.",
        ),
        NodeImage(image("good"), programs={PYTHON: GREEDY}),
        install={"sizeLimit": "64Mi"},
        mounted=False,
    ),
    "out-of-memory": Failure(
        _block(
            "Init container ...{container} ran out of memory (exit code 137)",
            "Raise spec.externalProviders.install.resources.limits.memory.",
        ),
        NodeImage(image("good"), programs={PYTHON: HUNGRY}),
        install={"resources": {"limits": {"memory": "64Mi"}}},
        mounted=False,
    ),
}
_MERGES: Final[Mapping[str, Failure]] = {
    "invalid-yaml": _merge(
        _invalid(
            "line 2, column 8: did not find expected node content",
            while_="failed to parse metadata YAML",
        ),
        described("apiVersion: llamastack.io/v1alpha1\nkind: ["),
    ),
    "yaml-bomb": _merge(
        _invalid(
            "line 5, column 36: more than 100000 values, aliases written out",
            while_="failed to parse metadata YAML",
        ),
        described(BOMB),
    ),
    "large-metadata": _merge(
        _invalid(
            "the text is 65537 bytes long, more than the 65536 allowed",
            while_="failed to parse metadata YAML",
        ),
        described("#" * (1 << 20)),
    ),
    "no-fields": _merge(
        _invalid(
            "invalid apiVersion: expected llamastack.io/v1alpha1, got (none)",
            "invalid kind: expected ProviderPackage, got (none)",
            "metadata.name is required",
            "metadata.version is required",
            "metadata.vendor is required",
            "spec.packageName is required",
            "spec.providerType is required",
            "spec.api is required",
            "spec.wheelPath is required",
        ),
        described("metadata: {}\nspec: {}\n"),
    ),
    "wrong-fields": _merge(
        _invalid(
            "invalid apiVersion: expected llamastack.io/v1alpha1, got llamastack.io/v9",
            "invalid kind: expected ProviderPackage, got $(touch /tmp/evil)",
            "invalid spec.packageName: os; import pty (must be a Python name such as my_org.echo)",
            "invalid spec.providerType: remote::$(id) (must be remote::NAME or inline::NAME, and "
            "NAME in lower case)",
            r"invalid spec.api: telemetry\nERROR: gotcha (one of agents, datasetio, eval, "
            "inference, post_training, safety, scoring, tool_runtime, vector_io)",
            "spec.wheelPath must be below /lls-provider/: ../../../../etc/passwd",
            "spec.dependencyWheels[0] does not exist: packages/nowhere.whl",
            "spec.dependencyWheels[1] must be below /lls-provider/: /etc/shadow",
        ),
        described(WRONG_FIELDS),
    ),
    "wrong-section": _merge(
        "Init container merge-config failed with exit code 1: ERROR: Provider API type mismatch\n"
        "Provider '{id}' (image: {image})\n"
        "declares api=vector_io in lls-provider-spec.yaml\n"
        "but is placed under externalProviders.inference\n"
        + _block("", "Move the provider to externalProviders.vectorIo section in the LLSD spec."),
        replace(image("good"), api="vector_io"),
    ),
    "llama-stack": _merge(
        _merging(
            f"{_CANNOT}: it would hide the server's own packages",
            "Leave the wheel out of /lls-provider/packages/ and rebuild the provider image. It "
            "need not be there: the server has the package, and dependencies are not resolved when "
            "providers are installed.",
            "llama-stack is a package of the server itself.",
        ),
        image("llama-stack"),
    ),
    "conflict": _merge(
        _conflicting(
            "first 1.0.0 depends on shared==1.0.0",
            "second 1.0.0 depends on shared==2.0.0",
            "shared 1.0.0 comes with provider 'other'",
            "shared 2.0.0 comes with provider '{id}'",
            "Conflicting providers:",
            "  - other ({before})",
            "  - {id} ({image})",
        ),
        module("second", Wheel("shared", "2.0.0"), requires=("shared==2.0.0",)),
        before=NodeImage(module("first", Wheel("shared"), requires=("shared==1.0.0",))),
    ),
    "other-content": _merge(
        _conflicting(
            "File 'shared.py' was already installed with different content by provider 'other' "
            "({before})"
        ),
        module("fourth", Wheel("two", files={"shared.py": "2"})),
        before=NodeImage(module("third", Wheel("one", files={"shared.py": "1"}))),
    ),
    "meddler": _merge(
        _merging(
            "Cannot use what provider '{id}' installed",
            _ONLY_REGULAR,
            "other is a symbolic link and not a regular file or a directory",
        ),
        NodeImage(module("meddler"), programs={PYTHON: MEDDLER}),
        before=NodeImage(module("victim")),
        mounted=False,
    ),
}
_PREFLIGHTS: Final[Mapping[str, Failure]] = {
    "no-module": _preflight(
        _loading(
            "Module not found",
            "Ensure provider packages are installed and PYTHONPATH is set correctly. "
            "Put a wheel with the module into the provider image, or correct spec.packageName.",
            "Traceback:",
            "  ModuleNotFoundError: No module named 'no_such_module'",
        ),
        replace(image("good"), package="no_such_module"),
    ),
    "import-exits": _preflight(
        _loading(
            "Import failed: SystemExit",
            "Make echo_provider.provider importable in the server's image.",
            "Traceback:...SystemExit: 0",
        ),
        image("import-exits"),
    ),
    "import-ends": _preflight(
        _loading(
            "The process ended with status 0",
            "Remove what ends the process from the import and from get_provider_spec().",
        ),
        ProviderImage((echo_wheel(__init__="import os\nos._exit(0)\n"),)),
    ),
    "import-hangs": _preflight(
        _loading(
            "Not finished after 30 s",
            "Remove what waits or computes from the import and from get_provider_spec().",
            "Traceback:...echo_provider/__init__.py...",
        ),
        image("import-hangs"),
    ),
    "spec-none": _preflight(
        _loading(_BAD_DATA, _RETURN_TYPE, "Returned: None", what=_SPEC), image("spec-none")
    ),
    "spec-raises": _preflight(
        _loading(
            "get_provider_spec() raised RuntimeError",
            "Make get_provider_spec() of echo_provider.provider return ProviderSpec.",
            "Traceback:...RuntimeError: no spec today",
            what=_SPEC,
        ),
        image("spec-raises"),
    ),
    "spec-without-type": _preflight(
        _loading(_BAD_DATA, _RETURN_TYPE, "Missing required field: provider_type", what=_SPEC),
        with_spec("return Spec(**{**FINE, 'provider_type': None})"),
    ),
    "wrong-abi": _preflight(
        _loading(
            "Native extension ABI mismatch",
            _REBUILD.replace("{abi}", " and {abi}"),
            "Package: echo_provider-1.0.0-py3-none-any.whl",
            "Expected ABI: {abi}",
            "Found ABI: cpython-39",
            "File: echo_provider/native.cpython-39-x-y.so",
        ),
        image("wrong-abi"),
    ),
    "wrong-architecture": _preflight(
        _loading(
            "Native extension architecture mismatch",
            _REBUILD.replace("{abi}", ""),
            "Package: echo_provider-1.0.0-py3-none-any.whl",
            "Expected architecture: {platform}",
            "Found architecture: {other}",
            "File: echo_provider/native.abi3.so",
        ),
        image("wrong-architecture"),
    ),
    "missing-dependency": _preflight(
        _loading(
            "Missing dependency",
            "Add a wheel for nowhere-to-be-found>=2 to /lls-provider/packages/ of the provider "
            "image.",
            "Package: echo-provider 1.0.0",
            "Requirement: nowhere-to-be-found>=2",
            "Installed: nothing",
        ),
        image("missing-dependency"),
    ),
}

_EVERY: Final = {**_INSTALLS, **_MERGES, **_PREFLIGHTS}
_SLOWEST: Final = ("large-file", "import-hangs")
FAILURES: Final = {case: _EVERY[case] for case in dict.fromkeys((*_SLOWEST, *_EVERY))}
"""Case → how it fails; first those that take longest."""

SLOW: Final = NodeImage(image("good"), programs={PYTHON: WAITS})
"""An image whose container never ends."""
