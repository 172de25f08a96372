# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A cache of cluster state; a library that knows nothing of ours."""
