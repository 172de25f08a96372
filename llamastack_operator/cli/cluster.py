# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the commands that talk to a cluster have in common."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from llamastack_operator.version import USER_AGENT

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """``--kubeconfig`` and ``--context``."""
    parser.add_argument(
        "--kubeconfig",
        default="",
        metavar="FILE",
        help="cluster to use (default: $KUBECONFIG, else in-cluster, else ~/.kube/config)",
    )
    parser.add_argument(
        "--context", default="", metavar="NAME", help="context of the kubeconfig to use"
    )


@asynccontextmanager
async def connected(arguments: argparse.Namespace) -> AsyncIterator[Client]:
    """A client for the cluster that the arguments name.

    Raises:
        KubeConfigError: it cannot be determined.
    """
    source = Source.find(arguments.kubeconfig, arguments.context, os.environ)
    async with Client(await connect(source), user_agent=USER_AGENT) as client:
        yield client
