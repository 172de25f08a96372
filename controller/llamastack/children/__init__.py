# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Everything that writes a child."""
