# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the server asks for when it loads the provider.

That of the published package raises an error: it names a field that the server's class never had.
"""

_SPEC = {
    "module": "trustyai_fms_adapter",
    "config_class": "trustyai_fms_adapter.config.FMSSafetyProviderConfig",
    "adapter_type": "trustyai_fms",
}


def get_provider_spec():
    """Type and API as in ``lls-provider-spec.yaml``."""
    try:
        from llama_stack_api import Api, RemoteProviderSpec
    except ImportError:  # servers of 0.2
        from llama_stack.providers.datatypes import AdapterSpec, Api, remote_provider_spec

        return remote_provider_spec(Api.safety, AdapterSpec(**_SPEC))
    return RemoteProviderSpec(api=Api.safety, provider_type="remote::trustyai_fms", **_SPEC)
