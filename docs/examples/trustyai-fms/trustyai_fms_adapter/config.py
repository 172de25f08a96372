# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What ``config`` of the resource may say: the published class, by a name that can be imported."""

from .old_names import old_names

with old_names():
    from llama_stack_provider_trustyai_fms.config import FMSSafetyProviderConfig

__all__ = ["FMSSafetyProviderConfig"]
