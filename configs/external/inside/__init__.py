# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What runs in images of others: each module is a whole program, and none imports anything of ours.

A pod gets them as files of a ConfigMap; to the operator they are data.
"""
