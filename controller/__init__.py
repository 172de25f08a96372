# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Decides what should be and makes it so."""
