# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The command line: ``python -m llamastack_operator [COMMAND]``.

Every failure that a user can fix is one line on standard error and an exit status: 1 for "it did
not work", 2 for "the command was wrong". `diff` needs 1 for "they differ", as other programs of
that name do, so there both are 2. A traceback is a bug of ours.

Who reads our output may stop (``| head``), and who waits may interrupt: the first ends the command
without a word, the second with one, both with the status that a shell gives to a program that such
a signal ended.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from llamastack_operator import settings
from llamastack_operator.cli import crd, diff, folder, install, render, run, validate
from llamastack_operator.cli.files import BadFile
from llamastack_operator.cli.report import one_line, say
from llamastack_operator.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_UNREAD = 128 + signal.SIGPIPE

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

RUN_EPILOG = """\
examples:
  python -m llamastack_operator --kubeconfig ~/.kube/config
  python -m llamastack_operator run --namespace team-a --namespace team-b
  LLAMASTACK_OPERATOR_LOG_FORMAT=json python -m llamastack_operator run --leader-elect

exit status: 0 stopped as asked, 1 it could not start or go on, 2 a flag or variable makes no sense
"""
CRD_EPILOG = """\
examples:
  python -m llamastack_operator crd | kubectl apply --server-side -f -

exit status: 0
"""
INSTALL_EPILOG = """\
examples:
  python -m llamastack_operator install --context production
  python -m llamastack_operator install --dry-run > definition.yaml

exit status: 0 the resource is served, 1 it did not work
"""
UNINSTALL_EPILOG = """\
examples:
  python -m llamastack_operator uninstall --context playground --delete-resources

exit status: 0 it is gone, 1 it was refused or did not work
"""


def build_parser() -> argparse.ArgumentParser:
    """All commands and flags."""
    parser = argparse.ArgumentParser(
        prog="python -m llamastack_operator",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    def command(
        name: str,
        texts: tuple[str, str, str],
        arguments: Callable[[argparse.ArgumentParser], None],
        action: Callable[[argparse.Namespace], int],
        exit_failed: int = EXIT_FAILED,
    ) -> None:
        text, description, epilog = texts
        sub = commands.add_parser(
            name,
            help=text,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        arguments(sub)
        sub.set_defaults(action=action, exit_failed=exit_failed)

    command("run", (run.HELP, run.DESCRIPTION, RUN_EPILOG), settings.add_arguments, run.run)
    for module in (render, validate):
        texts = (module.HELP, module.DESCRIPTION, module.EPILOG)
        command(module.__name__.rpartition(".")[2], texts, module.add_arguments, module.run)
    command(
        "diff",
        (diff.HELP, diff.DESCRIPTION, diff.EPILOG),
        diff.add_arguments,
        diff.run,
        diff.EXIT_TROUBLE,
    )
    command("crd", (crd.HELP, crd.DESCRIPTION, CRD_EPILOG), crd.add_arguments, crd.run)
    command(
        "install",
        (install.HELP, install.DESCRIPTION, INSTALL_EPILOG),
        install.add_install_arguments,
        install.run_install,
    )
    command(
        "uninstall",
        (install.UNINSTALL_HELP, install.UNINSTALL_DESCRIPTION, UNINSTALL_EPILOG),
        install.add_uninstall_arguments,
        install.run_uninstall,
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help", "--version"}):
        words.insert(0, "run")  # the default command
    try:
        try:
            arguments = build_parser().parse_args(words)
        except SystemExit:  # --help, or a wrong command
            _flush()
            raise
        return _run(arguments)
    except BrokenPipeError:
        _forget_output()
        return EXIT_UNREAD
    except KeyboardInterrupt:
        say("interrupted", sys.stderr)
        return EXIT_INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    try:
        status = int(arguments.action(arguments))
        _flush()
    except (BadFile, settings.SettingsError) as error:
        return _fail(error, EXIT_USAGE)
    except (install.Refused, folder.Refused, diff.NotInstalled, *run.EXPECTED) as error:
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
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    for line in text.splitlines():
        say(one_line(f"error: {line}"), sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
