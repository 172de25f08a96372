# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The command line: ``python -m llamastack_operator [COMMAND]``.

Every failure that a user can fix is one line on standard error and an exit status: 1 for "it did
not work", 2 for "the command was wrong". ``diff`` needs 1 for "they differ", as other programs of
that name do, so there both are 2. A traceback is a bug of ours.

Who reads our output may stop (``| head``), and who waits may interrupt: the first ends the command
without a word, the second with one, both with the status that a shell gives to a program that such
a signal ended.

Most of a short command is its start. So this module knows only the names of the commands and what
they are for; the module of a command is imported when it is chosen, and ``--help`` needs none.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from llamastack_operator.cli.errors import CommandError, UsageError
from llamastack_operator.cli.report import one_line, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_UNREAD = 128 + signal.SIGPIPE

_REASONS: dict[int | None, str] = {
    errno.EBADF: "standard output is closed, or not open for writing",
}
"""What the words of the system leave open."""

COMMANDS = {
    "run": "run the operator (the default command)",
    "render": "show the objects that resources lead to, offline",
    "validate": "check resources in files, offline",
    "diff": "show what changed resources would change",
    "convert": "write resources in the other version, offline",
    "provider": "check images of external providers, offline",
    "crd": "print the CustomResourceDefinition",
    "install": "teach the cluster the custom resource",
    "uninstall": "take the custom resource out of the cluster",
}
"""What each command is for. Its module is that of its name in :mod:`llamastack_operator.cli`."""

DESCRIPTION = """\
Run Llama Stack servers on Kubernetes: a LlamaStackDistribution in, a running, correctly
configured server out. Without a command the operator runs until it is told to stop.
"""

EPILOG = """\
examples:
  python -m llamastack_operator install                    teach the cluster the resource
  python -m llamastack_operator --kubeconfig FILE          run the operator on this machine
  python -m llamastack_operator validate -f resource.yaml  check a resource, offline
  python -m llamastack_operator render -f resource.yaml    see what it leads to, offline
  python -m llamastack_operator diff -f resource.yaml      see what a change of it would change

`python -m llamastack_operator COMMAND --help` says more about each. All of it: docs/cli.md
"""


def build_parser(chosen: str = "") -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        chosen: the command whose arguments it knows; of the others it knows the purpose alone.
    """
    parser = argparse.ArgumentParser(
        prog="python -m llamastack_operator",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show program's version number and exit"
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(
            name, help=purpose, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            _complete(command, name)
    return parser


def _complete(parser: argparse.ArgumentParser, name: str) -> None:
    module = _imported(f"llamastack_operator.cli.{name}")
    parser.description, parser.epilog = module.DESCRIPTION, module.EPILOG
    module.add_arguments(parser)
    exit_failed = getattr(module, "EXIT_TROUBLE", EXIT_FAILED)
    parser.set_defaults(action=module.run, exit_failed=exit_failed)


def _imported(name: str) -> ModuleType:
    """A module. What it defines stays, so the garbage collector need not look at it, ever."""
    if name in sys.modules:
        return sys.modules[name]
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        if collects:
            gc.enable()


class _Version(argparse.Action):
    """Asks for the version when it is asked for: reading the package's metadata takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from llamastack_operator.version import VERSION  # noqa: PLC0415

        parser._print_message(f"{VERSION}\n", sys.stdout)  # noqa: SLF001 -- as argparse does it
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help", "--version"}):
        words.insert(0, "run")  # the default command
    _stand_in_for_closed_streams(words[0])
    try:
        try:
            arguments = build_parser(words[0]).parse_args(words)
        except SystemExit:  # --help, or a wrong command
            _flush()
            raise
        return _run(arguments)
    except BrokenPipeError:
        _forget_output()
        return EXIT_UNREAD
    except OSError as error:  # no room for the help
        return _fail(error, EXIT_FAILED)
    except KeyboardInterrupt:
        say("interrupted", sys.stderr)
        return EXIT_INTERRUPTED


def _stand_in_for_closed_streams(command: str) -> None:
    """Give a stream to what Python has none for, because its descriptor was closed at the start.

    Standard output then fails like any other that cannot be written, and only if something is
    written. What is said on standard error reaches nobody, and does not end up among the output.
    The operator itself writes no output that anybody could miss.
    """
    if sys.stdout is None and command != "run":
        sys.stdout = os.fdopen(
            os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), "w", encoding="utf-8"
        )
    if sys.stderr is None:
        sys.stderr = os.fdopen(
            os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), "w", encoding="utf-8"
        )


def _run(arguments: argparse.Namespace) -> int:
    try:
        status = int(arguments.action(arguments))
        _flush()
    except UsageError as error:
        return _fail(error, EXIT_USAGE)
    except CommandError as error:
        return _fail(error, arguments.exit_failed)
    except BrokenPipeError:
        raise
    except OSError as error:  # no room for the output, no answer in time
        with contextlib.suppress(OSError):
            _flush()
        return _fail(error, arguments.exit_failed)
    return status


def _flush() -> None:
    """Write what is left while a failure can still be told; at the end of Python it cannot.

    Raises:
        OSError: nobody reads it, or there is no room for it.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()
        raise


def _forget_output() -> None:
    """Keep Python from writing the rest at its end, which would fail again, with a trace."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())


def _fail(error: BaseException, status: int) -> int:
    reason = isinstance(error, OSError) and (_REASONS.get(error.errno) or error.strerror)
    text = reason or str(error) or type(error).__name__
    for line in text.splitlines():
        say(one_line(f"error: {line}"), sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
