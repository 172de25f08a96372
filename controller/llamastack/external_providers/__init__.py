# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The external providers of a server: whether they can be had, and how far they are."""
