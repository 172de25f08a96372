# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Tools of development: clusters and servers on this machine, generated files, ``make run``.

Nothing here is part of the product, and nothing of the product imports it. Tests of these tools are
in ``hack/tests``.
"""
