# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the administrator says in the operator's ConfigMap."""
