# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""From a spec to a plan: base config, generated configuration, what is not supported."""
