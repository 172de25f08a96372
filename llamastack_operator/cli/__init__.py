# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The command line, one module a command.

The module of a command has its name, and four things that ``llamastack_operator.__main__`` uses
when the command is chosen: ``DESCRIPTION`` and ``EPILOG`` of its help, ``add_arguments(parser)``,
and ``run(arguments)``, which returns the exit status or raises an error of
:mod:`llamastack_operator.cli.errors`. Where 1 is not the status of a failure, ``EXIT_TROUBLE`` is.
"""
