# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Programs of several commands, as the tools here are run by hand."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Command: TypeAlias = Callable[[argparse.Namespace], int]
"""Carries out a command; its exit status."""

INTERRUPTED = 128 + signal.SIGINT


class Commands:
    """The commands of one program.

    Args:
        prog: how it is called, e.g. ``python -m hack.cluster``.
        description: for ``--help``.
    """

    def __init__(self, prog: str, description: str) -> None:
        self._parser = argparse.ArgumentParser(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._commands: Any = self._parser.add_subparsers(
            title="commands", required=True, metavar="COMMAND"
        )

    def add(
        self, name: str, run: Command, text: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        """A command with the arguments of its parents; its parser, for more of them."""
        sub: argparse.ArgumentParser = self._commands.add_parser(
            name, help=text, description=text, parents=parents
        )
        sub.set_defaults(run=run)
        return sub

    def run(
        self,
        arguments: Sequence[str] | None,
        expected: tuple[type[Exception], ...],
        *,
        status_of: Callable[[Exception], int] = lambda _: 1,
        describe: Callable[[Exception], str] = "error: {}".format,
    ) -> int:
        """Run the chosen command; the exit status.

        Args:
            arguments: those of the process by default.
            expected: what a command may end with.
            status_of: the exit status for it.
            describe: what is shown of it.
        """
        options = self._parser.parse_args(arguments)
        try:
            status: int = options.run(options)
        except expected as error:
            print(describe(error), file=sys.stderr)
            return status_of(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        return status
