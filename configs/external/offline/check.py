# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Everything that can be said of the image of a provider without a cluster.

Programs in a pod end with the first mistake. Here all are wanted at once, so a check goes on where
one of theirs would have ended, unless what is left would only repeat the mistake in other words.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Final

from api.external_apis import API_OF_SECTION, MAX_PROVIDER_ID
from configs.external import (
    containers,
    messages,
    metadata,
    packages,
    paths,
    standard_library,
)
from configs.external.distributions import Staged, path_problem
from configs.external.failures import Provider, ProviderFailure, one_line
from configs.external.metadata import Metadata, MetadataError
from configs.external.offline import messages as offline
from configs.external.offline import modules, natives, wheels
from configs.external.offline.contents import Closed, Contents, Tree
from configs.external.offline.installer import what_is_missing
from configs.external.offline.staging import Staging
from configs.external.offline.target import Target
from configs.external.offline.wheels import Wheel, WheelError

MAX_WHEELS: Final = 1_000
"""Wheels of an image that are read."""

_ROOT: Final = paths.IMAGE_ROOT
_METADATA: Final = f"{_ROOT}/{paths.METADATA_FILE}"
_PACKAGES: Final = f"{_ROOT}/{paths.PACKAGES_DIRECTORY}"
_NAMED_FILES: Final = 20  # of those with one mistake
_NO_ID = re.compile(r"[^a-z0-9]+", re.ASCII)

RENAMED_APIS: Final[Mapping[str, str]] = {"responses": "agents"}
"""Name of an API that only some servers have → section of it."""

_SECTIONS: Final[Mapping[str, str]] = {
    **{api: section for section, api in API_OF_SECTION.items()},
    **RENAMED_APIS,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about an image.

    Attributes:
        image: what messages call it.
        provider_id: that the resource will give the provider; empty to take its name.
        section: of the resource that it will be in; empty if nobody knows.
        search_path: directories with programs in the image; ``None`` if it is not all there.
    """

    image: str
    provider_id: str = ""
    section: str = ""
    search_path: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """What pip would leave of an image.

    Attributes:
        staged: as the merge reads it.
        digests: what tells the content of each file from others.
    """

    staged: Staged
    digests: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found.

    Attributes:
        provider: as messages name it.
        described: its metadata; ``None`` if that is wrong.
        wheels: names of its wheels.
        installed: what pip would leave; ``None`` if there is something wrong with the image.
        failures: why it cannot be used.
        warnings: what somebody should look at.
        notes: what cannot be told without a server.
    """

    provider: Provider
    described: Metadata | None
    wheels: tuple[str, ...]
    installed: Installed | None
    failures: tuple[ProviderFailure, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def module(self) -> str:
        """Of the provider, for messages."""
        return self.described.module if self.described else one_line(None)


def check(contents: Contents, asked: Asked, target: Target) -> Checked:
    """Checks one image by itself.

    Args:
        contents: its files.
        asked: what is asked about it.
        target: what its wheels have to fit.

    Raises:
        OSError: a file cannot be read here, whoever might read it in a pod.
    """
    return _Check(Tree(contents), asked, target).run()


class _Check:
    """One image, and what is found."""

    def __init__(self, tree: Tree, asked: Asked, target: Target) -> None:
        self._tree = tree
        self._asked = asked
        self._target = target
        self._failures: list[ProviderFailure] = []
        self._warnings: list[str] = []
        self._notes: list[str] = []
        self._left_files, self._left_bytes = wheels.MAX_FILES, wheels.MAX_BYTES
        self._are_all_read = True  # wheels; what is in the others nobody knows
        self._raw: bytes | Closed | None = self._read_metadata()
        self._provider = self._named()

    def run(self) -> Checked:
        """All of it."""
        names = self._wheel_names()
        described = self._describe(names)
        found = [wheel for name in names if (wheel := self._wheel(name))]
        self._are_all_read = self._are_all_read and len(found) == len(names)
        if described:
            self._check_placement(described)
            if found and self._are_all_read:
                self._check_module(described, found)
        module = described.module if described else one_line(None)
        self._check_natives(module, found)
        installed = self._installed(found)
        self._check_installer()
        return Checked(
            self._provider,
            described,
            tuple(names),
            None if self._failures else installed,
            tuple(dict.fromkeys(self._failures)),
            tuple(self._warnings),
            tuple(self._notes),
        )

    # --- metadata ---------------------------------------------------------------------------------

    def _read_metadata(self) -> bytes | Closed | None:
        try:
            if self._tree.kind(_METADATA) != "file":
                return None
            with self._tree.open(_METADATA) as file:
                return file.read(metadata.MAX_BYTES + 1)
        except Closed as error:
            return error

    def _named(self) -> Provider:
        """The provider, by the id that it will have, or by one that it could have."""
        name = PurePath(self._asked.image).name
        if isinstance(self._raw, bytes):
            with contextlib.suppress(MetadataError):  # told later, with all that is wrong
                name = metadata.parse(self._raw, apis=_SECTIONS).name
        guessed = _NO_ID.sub("-", name.lower())[:MAX_PROVIDER_ID].strip("-") or "provider"
        own = self._asked.provider_id or guessed
        return Provider(own, one_line(self._asked.image), containers.install(own))

    def _describe(self, names: Sequence[str]) -> Metadata | None:
        """What the metadata says. A failure of it is the first, as in a pod."""
        if isinstance(self._raw, Closed):
            self._failures.insert(0, offline.closed(self._provider, self._raw.path))
            return None
        if self._raw is None:
            self._failures.insert(0, messages.missing_metadata(self._provider))
            return None
        # Without wheels, that the one of the metadata is missing is no news.
        wheel_paths = [f"{paths.PACKAGES_DIRECTORY}/{name}" for name in names]
        files = self._tree.files(_ROOT, wheel_paths) if names or not self._failures else None
        try:
            found = metadata.parse(self._raw, files=files, apis=_SECTIONS)
        except MetadataError as error:
            failure = messages.invalid_metadata(self._provider, error.summary, error.problems)
            self._failures.insert(0, failure)
            return None
        for warning in found.warnings:
            self._warnings.append(messages.metadata_warning(self._provider, warning))
        if found.api in RENAMED_APIS:
            self._notes.append(offline.renamed_api(self._provider, found.api))
        return found

    def _check_placement(self, described: Metadata) -> None:
        asked, right = self._asked.section, _SECTIONS[described.api]
        if asked and asked != right:
            failure = messages.wrong_section(
                self._provider, section=asked, declared=described.api, declared_section=right
            )
            self._failures.append(failure)

    # --- wheels -----------------------------------------------------------------------------------

    def _wheel_names(self) -> list[str]:
        """Wheels that are there to be read."""
        try:
            if self._tree.kind(_PACKAGES) != "directory":
                self._failures.append(offline.missing_packages(self._provider))
                return []
            names = [name for name in self._tree.names(_PACKAGES) if name.endswith(".whl")]
        except Closed as error:
            self._failures.append(offline.closed(self._provider, error.path))
            return []
        if not names:
            self._failures.append(offline.no_wheels(self._provider))
        if len(names) > MAX_WHEELS:
            problem = f"There are more than {MAX_WHEELS} wheels"
            self._failures.append(offline.broken_wheel(self._provider, problem, self._target))
        found = [name for name in names[:MAX_WHEELS] if self._is_readable(name)]
        self._are_all_read = len(found) == len(names)
        return found

    def _is_readable(self, name: str) -> bool:
        try:
            regular = self._tree.kind(f"{_PACKAGES}/{name}") == "file"
        except Closed as error:
            self._failures.append(offline.closed(self._provider, error.path))
            return False
        if not regular or not name.isprintable():
            self._failures.append(offline.odd_wheel(self._provider, name))
            return False
        return True

    def _wheel(self, name: str) -> Wheel | None:
        """A wheel, whether or not it fits; ``None`` if pip could not read it."""
        try:
            fits = self._target.takes(wheels.tags_of(name))
            if not fits:
                failure = offline.unsupported_wheel(self._provider, name, self._target)
                self._failures.append(failure)
            with self._tree.open(f"{_PACKAGES}/{name}") as file:
                found = wheels.read(
                    name, file, most_files=self._left_files, most_bytes=self._left_bytes
                )
        except WheelError as error:
            failure = offline.broken_wheel(self._provider, str(error), self._target)
            self._failures.append(failure)
            return None
        except Closed as error:
            self._failures.append(offline.closed(self._provider, error.path))
            return None
        self._left_files -= len(found.files)
        self._left_bytes -= sum(content.size for content in found.files.values())
        if fits and not found.runs_on(self._target.python):
            problem = f"Wheel {one_line(name)} requires Python {one_line(found.pythons)}"
            self._failures.append(offline.broken_wheel(self._provider, problem, self._target))
        return found

    def _check_module(self, described: Metadata, found: Sequence[Wheel]) -> None:
        files = {path for wheel in found for path in wheel.files}
        if missing := modules.missing(f"{described.module}.provider", files):
            failure = offline.module_not_found(self._provider, described.module, missing)
            self._failures.append(failure)

    def _installed(self, found: Sequence[Wheel]) -> Installed:
        """What pip would leave of all wheels."""
        staging = Staging(found)
        for problem in staging.problems:
            self._failures.append(offline.broken_wheel(self._provider, problem, self._target))
        for overwritten in staging.overwritten[:_NAMED_FILES]:
            self._warnings.append(offline.overwritten(self._provider, *overwritten))
        staged = staging.staged(self._provider, self._target)
        problems = filter(None, map(path_problem, staged.files))
        for problem in islice(problems, _NAMED_FILES):
            self._failures.append(messages.unusable_staging(self._provider, problem))
        self._failures += packages.own_problems(staged)
        for module in standard_library.hiding(staged.files):
            self._warnings.append(messages.module_left_out(self._provider, module))
        return Installed(staged, staging.digests)

    def _check_natives(self, module: str, found: Sequence[Wheel]) -> None:
        """Libraries of wheels that claim to fit; the others have been told of."""
        fitting = [wheel for wheel in found if self._target.takes(wheel.tags)]
        libraries = list(natives.libraries(fitting))
        for each in natives.mismatches(libraries, self._target):
            failure = offline.native_mismatch(
                self._provider, module, each.what, each.wanted, each.got,
                wheel=each.library.wheel, file=each.library.path, target=each.target,
            )  # fmt: skip
            self._failures.append(failure)
        if libraries and not self._target.platform:
            names = tuple(dict.fromkeys(library.wheel for library in libraries))
            self._notes.append(offline.native(self._provider, names, self._target))

    def _check_installer(self) -> None:
        with contextlib.suppress(Closed):
            if self._tree.kind(_ROOT) is None:
                self._notes.append(offline.no_root(self._provider))
                return
        if self._asked.search_path is None:
            return
        if missing := what_is_missing(self._tree, self._asked.search_path):
            self._notes.append(offline.only_mounted(self._provider, missing))
