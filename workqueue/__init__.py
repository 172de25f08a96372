# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A rate-limited, de-duplicating, prioritised queue of keys; a library."""
