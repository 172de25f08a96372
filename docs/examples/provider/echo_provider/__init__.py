# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A provider for inference that answers with what it was asked."""


async def get_adapter_impl(config, _deps):
    """The server calls this once, with the validated configuration.

    A provider whose type begins with ``inline::`` has ``get_provider_impl`` instead.
    """
    # Only here: whatever is imported above is imported by the preflight, too.
    from .echo import EchoAdapter

    return EchoAdapter(config)
