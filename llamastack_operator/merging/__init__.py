# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Merges external providers in a pod that starts: reads, asks :mod:`configs.external`, writes.

==================  ==============================================================================
``staged``          reads what a provider's container left, which is a stranger's data
``tree``            makes the tree of packages
``outputs``         writes files whole, and the termination message
``steps``           the steps of a merge, one after the other
==================  ==============================================================================

Every start of a server waits for it, so nothing here imports pydantic, an HTTP client or an event
loop.
"""
