# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The kind-agnostic half of a controller: workers, results, consistency."""
