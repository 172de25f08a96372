# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the server asks for when it loads an external provider."""

try:
    from llama_stack_api import Api, RemoteProviderSpec
except ImportError:  # servers of ogx
    from ogx_api import Api, RemoteProviderSpec


def get_provider_spec():
    """Type and API are those of lls-provider-spec.yaml."""
    return RemoteProviderSpec(
        api=Api.inference,
        adapter_type="echo",
        provider_type="remote::echo",
        config_class="echo_provider.config.EchoConfig",
        module="echo_provider",
        pip_packages=[],
    )
