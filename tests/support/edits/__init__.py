# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Edits of every field, and what comes of them: helpers of the tests that prove row by row that an
edited resource has the children of a fresh one.
"""
