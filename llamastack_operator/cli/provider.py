# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``provider``: for authors of images of external providers. It has ``check``, offline."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Final

from api.external_apis import API_OF_SECTION, MAX_PROVIDER_ID, PROVIDER_ID
from configs.external.distributions import DEFAULT_PYTHON
from configs.external.offline.check import RENAMED_APIS, Asked, Checked, check
from configs.external.offline.target import Target, is_python, machine_of
from configs.external.offline.together import check_together
from llamastack_operator.cli.errors import UsageError
from llamastack_operator.cli.report import MAX_FINDINGS, one_line, say, write
from llamastack_operator.provider.errors import ImageError
from llamastack_operator.provider.source import Source, opened

DESCRIPTION = """\
For whoever makes images of external providers: docs/provider-development.md
"""
EPILOG = """\
examples:
  python -m llamastack_operator provider check docs/examples/provider
  python -m llamastack_operator provider check --section vectorIo image.tar

`provider check --help` says more.

exit status: 0 nothing is wrong, 1 something is, 2 an image cannot be read
"""

CHECK = """\
Check images of external providers against everything that needs no cluster, with the messages that
a pod would give: metadata, wheels, native extensions, requirements, packages of the server itself.
All that is wrong with an image is told, not only the first. Of several images, also whether they
go together in one server, in the order given. Nothing in an image is run, installed or unpacked.

A PATH is a directory (the root of an image, or what it has at /lls-provider), or an archive, plain
or gzip: what `docker export`, `docker save` or `podman save --format oci-archive` writes.

What is right or wrong goes to standard output; warnings, and notes of what cannot be told without a
server, to standard error.
"""
CHECK_EPILOG = """\
examples:
  python -m llamastack_operator provider check docs/examples/provider
  podman save --format oci-archive -o image.tar IMAGE
  python -m llamastack_operator provider check --platform linux/arm64 image.tar
  python -m llamastack_operator provider check --section vectorIo --id my-db image.tar
  python -m llamastack_operator provider check first.tar second.tar

exit status: 0 nothing is wrong, 1 something is, 2 an image cannot be read
"""

_SAVE: Final = (
    "an image in a registry or in a store has to be saved first: "
    "podman save --format oci-archive -o image.tar IMAGE"
)
_SECTION_OF_API: Final = {
    **{api: section for section, api in API_OF_SECTION.items()},
    **RENAMED_APIS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    verbs = parser.add_subparsers(title="commands", dest="verb", metavar="COMMAND", required=True)
    _add_check_arguments(
        verbs.add_parser(
            "check",
            help="check images, offline",
            description=CHECK,
            epilog=CHECK_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="+", metavar="PATH", help="a directory or an archive")
    parser.add_argument(
        "--platform",
        default="",
        help="that wheels must fit, such as linux/amd64 (default: that of the image, if it is "
        "known; else native extensions are only named)",
    )
    parser.add_argument(
        "--python",
        default=DEFAULT_PYTHON,
        metavar="VERSION",
        help="minor version of Python that wheels must fit (default: %(default)s)",
    )
    parser.add_argument(
        "--id",
        action="append",
        default=[],
        help="providerId in the resource, once for each PATH (default: made of its name)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--section",
        action="append",
        default=[],
        choices=tuple(API_OF_SECTION),
        help="section of the resource that the provider will be in, once for each PATH: "
        "%(choices)s",
        metavar="SECTION",
    )
    where.add_argument(
        "--api",
        action="append",
        default=[],
        choices=tuple(_SECTION_OF_API),
        help="the same by the API of the section: %(choices)s",
        metavar="API",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        UsageError: an image cannot be read, or the arguments contradict each other.
    """
    paths: list[str] = arguments.path
    if arguments.platform and not machine_of(arguments.platform):
        raise UsageError(f"--platform: {arguments.platform} is no platform such as linux/amd64")
    if not is_python(arguments.python):
        raise UsageError(f"--python: {arguments.python} is no version such as {DEFAULT_PYTHON}")
    ids = _each("--id", arguments.id, len(paths))
    _check_ids(arguments.id)
    sections = _each("--section", arguments.section, len(paths))
    if arguments.api:
        named = [_SECTION_OF_API[api] for api in arguments.api]
        sections = _each("--api", named, len(paths))
    asked = [Asked(*each) for each in zip(paths, ids, sections, strict=True)]
    found = [_check(one, arguments.platform, arguments.python) for one in asked]
    failed = False
    for one in check_together(found):
        _say(one)
        failed = failed or bool(one.failures)
    return 1 if failed else 0


def _each(flag: str, values: Sequence[str], count: int) -> Sequence[str]:
    """One value for each path; empty ones if none was given."""
    if values and len(values) != count:
        raise UsageError(f"{flag}: give it once for each PATH, or not at all")
    return values or [""] * count


def _check_ids(ids: Sequence[str]) -> None:
    for number, each in enumerate(ids):
        if not re.fullmatch(PROVIDER_ID, each) or len(each) > MAX_PROVIDER_ID:
            raise UsageError(
                f"--id: {each} is no providerId: lower case letters, digits and '-', at most "
                f"{MAX_PROVIDER_ID} characters"
            )
        if each in ids[:number]:
            raise UsageError(f"--id: {each} is given twice; an id is unique in a server")


def _check(asked: Asked, platform: str, python: str) -> Checked:
    """Opens one image and checks it by itself."""
    try:
        with opened(asked.image, platform) as source:
            _warn_of_other_platform(asked.image, source, platform)
            machine = machine_of(platform or source.platform) or ""
            whole = Asked(asked.image, asked.provider_id, asked.section, source.search_path)
            return check(source.contents, whole, Target(python, machine))
    except ImageError as error:
        raise UsageError(f"{asked.image}: {error}") from error
    except OSError as error:
        hint = f"; {_SAVE}" if isinstance(error, FileNotFoundError) else ""
        raise UsageError(f"{asked.image}: {error.strerror or error}{hint}") from error


def _warn_of_other_platform(image: str, source: Source, platform: str) -> None:
    own = machine_of(source.platform)
    if platform and own and own != machine_of(platform):
        say(one_line(f"WARNING: {image} is an image for {source.platform}"), sys.stderr)


def _say(one: Checked) -> None:
    """What was found of an image; what is right in one line, what is wrong as a pod says it."""
    for text in (*_first("WARNING", one.warnings), *_first("NOTE", one.notes)):
        say(text, sys.stderr)
    found = one.described
    if found is not None and not one.failures:
        wheels = "1 wheel" if len(one.wheels) == 1 else f"{len(one.wheels)} wheels"
        what = f"type {found.provider_type}, module {found.module}, api {found.api}, {wheels}"
        say(one_line(f"{one.provider.image}: OK: {what}"))
    for failure in one.failures[:MAX_FINDINGS]:
        write(f"{failure.text()}\n")
    rest = len(one.failures) - MAX_FINDINGS
    if rest > 0:
        say(f"{one.provider.image}: and {rest} more\n")


def _first(kind: str, texts: Sequence[str]) -> list[str]:
    return [one_line(f"{kind}: {text}") for text in texts[:MAX_FINDINGS]]
