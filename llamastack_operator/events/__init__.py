# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Kubernetes Events: correlated, bounded, never in the way of a reconcile."""
