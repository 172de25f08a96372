# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The hub and storage version."""
