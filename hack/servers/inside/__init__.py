# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What runs inside a server's environment, with its packages and not with ours."""
