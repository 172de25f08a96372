# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The custom resource as data: models, schema, CRD, validation; no I/O."""
