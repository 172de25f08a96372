# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``merge-run-yaml``: merges external providers into the configuration of a server.

Runs in every pod with external providers, after their containers and before the server's. Its exit
status is 0, or 1 for any failure; what is wrong is on standard error and in the termination message
of the container.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from configs.external.failures import ProviderError
from llamastack_operator.merging import outputs
from llamastack_operator.merging.steps import Options, StepError, run

USAGE: Final = (
    "Usage: merge-run-yaml --metadata-dir=<dir> --extra-providers-output=<path> --output=<path> "
    "[--base=<path>]"
)


class _UsageError(Exception):
    """The command line is wrong."""


class _Parser(argparse.ArgumentParser):
    """One that leaves it to its caller what a wrong command line leads to."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)

    def format_help(self) -> str:
        return super().format_help().replace("usage:", "Usage:", 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Merges, and says how it went.

    Args:
        argv: arguments; those of the process if ``None``.

    Returns:
        The exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a check mark is not in every encoding
    try:
        options = _options(argv)
    except _UsageError as error:
        sys.stderr.write(f"{USAGE}\nERROR: {error}\n")
        return 1
    try:
        run(options)
    except ProviderError as error:
        return _failed(error.failure.text())
    except StepError as error:
        return _failed(str(error))
    return 0


def _failed(text: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(text)
    outputs.write_termination_message(text)
    return 1


def _options(argv: Sequence[str] | None) -> Options:
    parser = _Parser(
        usage=USAGE.removeprefix("Usage: "),
        description="Merge external providers into the configuration of a Llama Stack server.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--metadata-dir", metavar="<dir>", type=Path, required=True, help="a directory a provider")
    add(
        "--extra-providers-output", metavar="<path>", type=Path, required=True,
        help="file for the external providers alone",
    )  # fmt: skip
    add("--output", metavar="<path>", type=Path, required=True, help="file for the configuration")
    add("--base", metavar="<path>", type=Path, help="configuration to add the providers to")
    add(
        "--crd-config-dir", metavar="<dir>", type=Path,
        help="what the resource says of the providers; without it, all that are there are taken, "
        "in the order of their names and without configuration",
    )  # fmt: skip
    add("--log-output", metavar="<path>", type=Path, help="file for warnings and what was done")
    add(
        "--packages-output", metavar="<dir>", type=Path,
        help="directory for the packages of all; the list of them goes beside it",
    )  # fmt: skip
    return Options(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
