# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Flags of the commands that talk to a cluster; apart from what talks, so that help needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


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
