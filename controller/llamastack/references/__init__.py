# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What users made and a resource refers to: Secrets, ConfigMaps, certificates."""
