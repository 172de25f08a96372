# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The folder that ``render -o`` writes: one file an object, in an order that applies cleanly.

kubectl takes the files of a folder in the order of their names, so they are numbered. The names do
not hold the hash of the configuration, so that a changed resource changes files instead of making
new ones: the folder can be kept in git and read as a difference.

Each file says in its first line that it is ours. That line decides what may be replaced or
removed; whatever lacks it belongs to somebody, and nothing at all is written when it is in the way.
Links are never followed, and a file is complete or not there.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from configs.yaml_reader import dump
from llamastack_operator.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from controller.runtime.ports import Manifest

MARK = "# Made by `render` of llamastack-operator, which will replace it. Change the resource.\n"


class Refused(CommandError):
    """The folder cannot be written as asked; the message names the file."""


def write(folder: Path, rendered: Iterable[tuple[str, Sequence[Manifest]]]) -> list[str]:
    """Make the folder hold these objects.

    Args:
        folder: made if absent.
        rendered: each resource as ``namespace/name``, with its objects in the order of creation.

    Returns:
        One line for each file that is there now or is gone.

    Raises:
        Refused: something else is in the way, or the system does not allow it. In the first case
            nothing was written.
    """
    files: dict[Path, str] = {}
    stale: set[Path] = set()
    try:
        for label, manifests in rendered:
            stem = label.replace("/", ".")  # neither part can hold a dot, so this is unique
            files |= _files(folder, stem, manifests)
            stale |= {path for path in folder.glob(f"{stem}.*.yaml") if _is_ours(path)}
        stale -= files.keys()
        for path in files:
            if os.path.lexists(path) and not _is_ours(path):
                raise Refused(f"{path}: there is a file that render did not make; move it away")
        folder.mkdir(parents=True, exist_ok=True)
        return [*_replace(files), *_remove(stale)]
    except OSError as error:
        raise Refused(f"{error.filename or folder}: {error.strerror}") from error


def _files(folder: Path, stem: str, manifests: Sequence[Manifest]) -> dict[Path, str]:
    return {
        folder / f"{stem}.{number:02}-{manifest['kind'].lower()}.yaml": MARK + dump(manifest)
        for number, manifest in enumerate(manifests, start=1)
    }


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def _replace(files: Mapping[Path, str]) -> Iterator[str]:
    for path, text in files.items():
        draft = path.with_name(
            f".{path.name}.{os.getpid()}"
        )  # kubectl skips it: no .yaml at its end
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
        yield str(path)


def _remove(stale: Iterable[Path]) -> Iterator[str]:
    for path in sorted(stale):
        path.unlink()
        yield f"{path} removed"
