# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Checks the image of a test offline, as ``provider check`` does."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from configs.external.offline.check import Asked, Checked, check
from configs.external.offline.contents import Entry
from configs.external.offline.target import Target
from configs.external.offline.together import check_together
from llamastack_operator.provider.source import opened
from tests.support.provider_wheels import ProviderImage

HERE = Target("3.12", "x86_64")


class MemoryFiles:
    """The files of an image, in memory: content by path, links by where they lead.

    Args:
        files: content by path.
        links: where each leads.
        modes: permissions of what has others than one expects.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        links: Mapping[str, str] | None = None,
        modes: Mapping[str, int] | None = None,
    ) -> None:
        self._files = dict(files)
        self._links = dict(links or {})
        self._modes = dict(modes or {})
        paths = [*self._files, *self._links]
        parts = [path.split("/") for path in paths]
        folders = {"/".join(each[:length]) for each in parts for length in range(len(each))}
        self._folders = folders | {""}

    def entry(self, path: str) -> Entry | None:
        """What is there."""
        if path in self._links:
            return Entry("link", 0o777, link=self._links[path])
        if path in self._files:
            mode = self._modes.get(path, 0o644)
            return Entry("file", mode, len(self._files[path]))
        if path in self._folders:
            return Entry("directory", self._modes.get(path, 0o755))
        return None

    def names(self, path: str) -> list[str]:
        """What is in a directory."""
        found = [*self._files, *self._links, *self._folders]
        return [
            each.rpartition("/")[2] for each in found if each and each.rpartition("/")[0] == path
        ]

    def open(self, path: str) -> io.BufferedReader:
        """The content of a file."""
        return io.BufferedReader(io.BytesIO(self._files[path]))


def files_of(image: ProviderImage) -> dict[str, bytes]:
    """What an image has, by path."""
    files = {f"lls-provider/{path}": content for path, content in image.files.items()}
    for wheel in image.wheels if image.packages else ():
        files[f"lls-provider/packages/{wheel.filename}"] = wheel.build()
    if image.metadata_text:
        files["lls-provider/lls-provider-spec.yaml"] = image.metadata_text.encode()
    return files


def checked(image: ProviderImage, target: Target = HERE, **asked: str) -> Checked:
    """What is found of one image."""
    question = Asked(asked.pop("image", "example.com/p:v1"), **asked)
    found = check(MemoryFiles(files_of(image)), question, target)
    return check_together([found])[0]


def headlines(found: Checked) -> list[str]:
    """The first line of each failure."""
    return [failure.headline for failure in found.failures]


def reasons(found: Checked) -> list[str]:
    """What the failures say besides."""
    facts = [fact for failure in found.failures for fact in failure.facts]
    return [fact.removeprefix("Reason: ") for fact in facts if fact.startswith("Reason: ")]


def checked_path(path: Path, target: Target = HERE, **asked: str) -> Checked:
    """What is found of an image in the file system."""
    with opened(str(path)) as source:
        question = Asked(str(path), search_path=source.search_path, **asked)
        return check_together([check(source.contents, question, target)])[0]
