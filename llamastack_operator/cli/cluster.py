# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A connection to the cluster, for the commands that need one."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from informers.errors import ApiError
from llamastack_operator.cli.errors import CommandError
from llamastack_operator.kube.config import KubeConfigError, Source, connect
from llamastack_operator.kube.patience import COMMAND_PATIENCE_S
from llamastack_operator.kube.rest import Client
from llamastack_operator.version import USER_AGENT

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator


class ClusterFailed(CommandError):
    """The cluster cannot be determined, does not answer, or refuses; the message says which."""


@asynccontextmanager
async def connected(arguments: argparse.Namespace) -> AsyncIterator[Client]:
    """A client for the cluster that the arguments name.

    Raises:
        ClusterFailed: there is none, or a request in the block failed and nobody handled it.
    """
    source = Source.find(arguments.kubeconfig, arguments.context, os.environ)
    try:
        async with Client(
            await connect(source), user_agent=USER_AGENT, patience_s=COMMAND_PATIENCE_S
        ) as client:
            yield client
    except (ApiError, KubeConfigError) as error:
        raise ClusterFailed(str(error)) from error
