# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pure questions about one live object: whose it is, whether it is in place, how it is doing."""
