# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What users are told: conditions, Events, endpoints."""
