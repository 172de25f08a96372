# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is reported to users: conditions, Events, endpoints."""
