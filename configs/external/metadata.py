# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``lls-provider-spec.yaml``: what an image says of its provider (FR-X001, FR-X002).

The type and the module of a provider come from here and from nowhere else, so the file is checked
whole: every problem is found at once. What is only unknown is a warning, because a newer format may
have it.

Bare numbers are read as the text that stands there: ``version: 1.10`` is no ``1.1``.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.external_apis import API_OF_SECTION
from api.spelling import closest
from configs import scalars, yaml_reader
from configs.external import paths
from configs.external.failures import one_line

API_VERSION: Final = "llamastack.io/v1alpha1"
KIND: Final = "ProviderPackage"

APIS: Final = frozenset(API_OF_SECTION.values())
"""APIs that a provider can be of."""

MAX_BYTES: Final = 64 * 1024
"""Most that the file may have."""

MAX_FILES: Final = 10_000
"""Files of an image that are recorded; of a list of that length nobody knows what is missing."""

_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_TYPE = re.compile(r"(?:remote|inline)::[a-z0-9][a-z0-9_-]*")
_SEMANTIC_VERSION = re.compile(
    r"\d+\.\d+\.\d+(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"apiVersion", "kind", "metadata", "spec"}),
    "metadata": frozenset({"name", "version", "vendor", "description", "maintainer"}),
    "spec": frozenset({"packageName", "providerType", "api", "wheelPath", "dependencyWheels"}),
}
"""Section → its keys."""

_LOOKED_AT: Final = 20  # unknown keys that a missing one is compared with
_LONGEST_KEY: Final = 40


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an image says of its provider.

    Attributes:
        name: of the package.
        version: of the package.
        vendor: who made it.
        module: Python module that the server imports.
        provider_type: ``remote::…`` or ``inline::…``.
        api: API that it is a provider of.
        wheel: the main wheel, relative to :data:`configs.external.paths.IMAGE_ROOT`.
        dependency_wheels: wheels that it needs, likewise.
        warnings: what does no harm.
    """

    name: str
    version: str
    vendor: str
    module: str
    provider_type: str
    api: str
    wheel: str
    dependency_wheels: tuple[str, ...]
    warnings: tuple[str, ...]


class MetadataError(ValueError):
    """The file cannot be used.

    Attributes:
        summary: the first problem, with its line and column if it has them.
        problems: all of them, each with what was tried.
    """

    def __init__(self, summary: str, problems: tuple[str, ...]) -> None:
        super().__init__(summary)
        self.summary = summary
        self.problems = problems


def parse(
    raw: bytes, *, files: Collection[str] | None = None, apis: Collection[str] = APIS
) -> Metadata:
    """Reads and checks the file.

    Args:
        raw: its content.
        files: what the image has, relative to :data:`configs.external.paths.IMAGE_ROOT`; ``None``
            if nobody knows.
        apis: that a provider can be of.

    Raises:
        MetadataError: not YAML, or not what the format asks for.
    """
    try:
        data = yaml_reader.load(raw, max_bytes=MAX_BYTES, resolve=_resolve)
    except yaml_reader.YamlError as error:
        raise MetadataError(str(error), (f"failed to parse metadata YAML: {error}",)) from error
    check = _Check(data if isinstance(data, dict) else {}, files, apis)
    found = check.metadata()
    if not isinstance(data, dict):
        check.problems = ["the file must be a mapping"]  # that every field is missing is no news
    if check.problems:
        problems = tuple(f"metadata validation failed: {problem}" for problem in check.problems)
        raise MetadataError(check.problems[0], problems)
    return found


def _resolve(text: str) -> scalars.Scalar:
    """The value of a bare scalar; of a number its text."""
    value = scalars.resolve(text)
    return value if value is None or isinstance(value, bool) else text


class _Check:
    """Takes the fields out of the data and collects what is wrong with them."""

    def __init__(
        self, data: Mapping[str, Any], files: Collection[str] | None, apis: Collection[str]
    ) -> None:
        self.problems: list[str] = []
        self._data = data
        self._apis = apis
        # Whether a file is in a list that ends at its limit cannot be told.
        self._files = None if files is None or len(files) >= MAX_FILES else frozenset(files)
        wheels = (path for path in sorted(files or (), reverse=True) if path.endswith(".whl"))
        self._wheels = {_package_of(path): path for path in wheels}
        self._sections: dict[str, Mapping[str, Any]] = {"": data}

    def metadata(self) -> Metadata:
        """All fields; where one is wrong there is a problem, and its value means nothing."""
        self._constant("apiVersion", API_VERSION)
        self._constant("kind", KIND)
        name, version, vendor = (
            self._text("metadata", key) for key in ("name", "version", "vendor")
        )
        module = self._matching("packageName", _MODULE, "a Python name such as my_org.echo")
        provider_type = self._matching(
            "providerType", _TYPE, "remote::NAME or inline::NAME, and NAME in lower case"
        )
        api = self._text("spec", "api")
        if api and api not in self._apis:
            near = closest(one_line(api), APIS)
            hint = f"did you mean {near}?" if near else f"one of {', '.join(sorted(APIS))}"
            self.problems.append(f"invalid spec.api: {one_line(api)} ({hint})")
        wheel = self._wheel("spec.wheelPath", self._text("spec", "wheelPath"))
        dependency_wheels = tuple(self._dependency_wheels())
        return Metadata(
            name=name,
            version=version,
            vendor=vendor,
            module=module,
            provider_type=provider_type,
            api=api,
            wheel=wheel,
            dependency_wheels=dependency_wheels,
            warnings=tuple(self._warnings(version)),
        )

    def _section(self, name: str) -> Mapping[str, Any]:
        if name not in self._sections:
            found = self._data.get(name)
            if not isinstance(found, dict):
                if found is not None:
                    self.problems.append(f"{name} must be a mapping")
                found = {}
            self._sections[name] = found
        return self._sections[name]

    def _constant(self, key: str, expected: str) -> None:
        value = self._data.get(key)
        if value != expected:
            self.problems.append(f"invalid {key}: expected {expected}, got {one_line(value)}")

    def _text(self, section: str, key: str) -> str:
        """A required field; empty if there is something wrong with it."""
        value = self._section(section).get(key)
        if value is None or value == "":
            self.problems.append(f"{section}.{key} is required{self._misspelt(section, key)}")
            return ""
        if not isinstance(value, str):
            self.problems.append(f"{section}.{key} must be a string")
            return ""
        return value

    def _misspelt(self, section: str, key: str) -> str:
        """What is there instead of a field, if anything looks like it."""
        there = (one_line(each, _LONGEST_KEY) for each in self._unknown(section))
        near = closest(key, itertools.islice(there, _LOOKED_AT))
        return f" ({near} is not known)" if near else ""

    def _unknown(self, section: str) -> Iterator[object]:
        return (key for key in self._section(section) if key not in _KNOWN[section])

    def _matching(self, key: str, pattern: re.Pattern[str], expected: str) -> str:
        value = self._text("spec", key)
        if value and not pattern.fullmatch(value):
            self.problems.append(f"invalid spec.{key}: {one_line(value)} (must be {expected})")
        return value

    def _dependency_wheels(self) -> Iterator[str]:
        value = self._section("spec").get("dependencyWheels")
        if value is None:
            return
        if not isinstance(value, list):
            self.problems.append("spec.dependencyWheels must be a list")
            return
        for index, item in enumerate(value):
            path = f"spec.dependencyWheels[{index}]"
            if isinstance(item, str) and item:
                yield self._wheel(path, item)
            else:
                self.problems.append(f"{path} must be a string")

    def _wheel(self, field: str, value: str) -> str:
        """A path in the image, relative to the directory of the provider."""
        if not value:
            return ""
        inside = posixpath.normpath(posixpath.join(paths.IMAGE_ROOT, value))
        inside = f"/{inside.lstrip('/')}"  # two slashes at the beginning are kept, and mean one
        root = f"{paths.IMAGE_ROOT}/"
        if not inside.startswith(root):
            self.problems.append(f"{field} must be below {root}: {one_line(value)}")
            return ""
        relative = inside.removeprefix(root)
        if self._files is not None and relative not in self._files:
            self.problems.append(
                f"{field} does not exist: {one_line(value)}{self._other(relative)}"
            )
        return relative

    def _other(self, wheel: str) -> str:
        """The wheel of the same package that is there, if a wheel is not."""
        near = self._wheels.get(_package_of(wheel))
        return f" (the image has {one_line(near)})" if near else ""

    def _warnings(self, version: str) -> Iterator[str]:
        if version and not _SEMANTIC_VERSION.fullmatch(version):
            yield f"metadata.version is no semantic version: {one_line(version)}"
        for section in _KNOWN:
            for key in self._unknown(section):
                where = f"{section}.{one_line(key)}" if section else one_line(key)
                yield f"unknown field {where} is ignored"


def _package_of(wheel: str) -> str:
    return posixpath.basename(wheel).partition("-")[0]
