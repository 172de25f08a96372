# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Makes a published provider for safety, ``llama-stack-provider-trustyai-fms``, load again."""


async def get_adapter_impl(config, _deps):
    """The server calls this once, with the validated configuration."""
    # Only here: whatever is imported above is imported by the preflight, too.
    from .shields import make

    return await make(config)
