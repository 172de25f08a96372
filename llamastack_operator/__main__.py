# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The command line: ``python -m llamastack_operator [COMMAND]``.

Every failure that a user can mend is one line on standard error and an exit status: 1 for "it did
not work", 2 for "the command was wrong". A traceback is a bug of ours.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from llamastack_operator import settings
from llamastack_operator.cli import crd, install, render, run, validate
from llamastack_operator.cli.files import BadFile
from llamastack_operator.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_FAILED = 1
EXIT_USAGE = 2

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
        text: str,
        description: str,
        arguments: Callable[[argparse.ArgumentParser], None],
        action: Callable[[argparse.Namespace], int],
    ) -> None:
        sub = commands.add_parser(
            name,
            help=text,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        arguments(sub)
        sub.set_defaults(action=action)

    command("run", run.HELP, run.DESCRIPTION, settings.add_arguments, run.run)
    command("render", render.HELP, render.DESCRIPTION, render.add_arguments, render.run)
    command("validate", validate.HELP, validate.DESCRIPTION, validate.add_arguments, validate.run)
    command("crd", crd.HELP, crd.DESCRIPTION, crd.add_arguments, crd.run)
    command(
        "install",
        install.HELP,
        install.DESCRIPTION,
        install.add_install_arguments,
        install.run_install,
    )
    command(
        "uninstall",
        install.UNINSTALL_HELP,
        install.UNINSTALL_DESCRIPTION,
        install.add_uninstall_arguments,
        install.run_uninstall,
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help", "--version"}):
        words.insert(0, "run")  # the default command
    arguments = build_parser().parse_args(words)
    try:
        return int(arguments.action(arguments))
    except (BadFile, settings.SettingsError) as error:
        return _fail(error, EXIT_USAGE)
    except install.Refused as error:
        return _fail(error, EXIT_FAILED)
    except BrokenPipeError:
        return EXIT_FAILED  # the reader of our output went away, e.g. `| head`
    except KeyboardInterrupt:
        return 130
    except run.EXPECTED as error:
        return _fail(error, EXIT_FAILED)


def _fail(error: BaseException, status: int) -> int:
    for line in str(error).splitlines() or [type(error).__name__]:
        print(f"error: {line}", file=sys.stderr)  # noqa: T201 -- for people
    return status


if __name__ == "__main__":
    sys.exit(main())
