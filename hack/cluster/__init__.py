# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A real Kubernetes control plane on loopback, for tests and for ``make run``.

Programs at pinned versions (``versions``) are obtained once (``binaries``), and started with
certificates of their own (``pki``), on a port of their own (``ports``), as processes that are known
by PID and start time (``process``). ``plane`` puts these together, ``audit`` says what the API
server was asked, and ``python -m hack.cluster`` is the same by hand.

This module imports none of them: the keeper, a process that each control plane starts to be cleaned
up after, would pay for it.
"""
