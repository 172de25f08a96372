# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Logs, metrics, health endpoints and the loop watchdog."""
