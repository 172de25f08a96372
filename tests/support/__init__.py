# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Helpers of the tests: servers, strategies and a control plane. Nothing here is shipped."""
