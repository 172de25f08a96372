# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The config engine: turns a spec into a config.yaml; pure, reads only its own data."""
