# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The program: starts and owns everything; the only place that knows everything."""
