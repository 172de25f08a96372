# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Asks running servers for their version and providers, in the background."""
