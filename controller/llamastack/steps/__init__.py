# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The steps of a reconcile that write: children, then the status and its Events."""
