# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Leader election on a Lease."""
