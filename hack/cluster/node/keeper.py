# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Cleans up after whoever started a node, as ``hack.cluster.keeper`` does for a plane."""

from __future__ import annotations

from hack.cluster.keeper import keep
from hack.cluster.node.remains import sweep

if __name__ == "__main__":
    keep(sweep)
