# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What we hold of the cluster, and how it is indexed."""
