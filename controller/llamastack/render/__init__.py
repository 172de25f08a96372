# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Desired objects as pure functions of one frozen input."""
