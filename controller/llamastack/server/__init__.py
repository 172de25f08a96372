# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The running server: how it is reached, what it answers, what is made of that."""
