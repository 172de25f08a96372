# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images of providers that a real server runs, beside the good one of ``provider_wheels``."""

from __future__ import annotations

from typing import Final

from tests.support.provider_wheels import ECHO_FILES, ProviderImage, Wheel, echo_wheel

SHIELD_TYPE: Final = "inline::no-shield"
RUNTIME_TYPE: Final = "remote::echo-v2"
"""What the provider of :func:`misdescribed` calls itself, which its metadata does not."""


def updated() -> ProviderImage:
    """The good one in a later version, which says so."""
    echo = ECHO_FILES["echo_provider/echo.py"]
    return ProviderImage((echo_wheel(echo=echo.replace("text = ", 'text = "updated: " + ')),))


def misdescribed() -> ProviderImage:
    """The good one under another name, with another type than its metadata has."""
    files = {
        path.replace("echo_", "other_", 1): text.replace("echo_provider", "other_provider")
        for path, text in ECHO_FILES.items()
    }
    module = "other_provider/provider.py"
    files[module] = files[module].replace('"remote::echo"', f'"{RUNTIME_TYPE}"')
    return ProviderImage((Wheel("other-provider", files=files),), package="other_provider")


def shield() -> ProviderImage:
    """One of another API, inside of the server."""
    files = {
        "shield_provider/__init__.py": """
from pydantic import BaseModel


class ShieldConfig(BaseModel): ...


class Shield:
    shield_store = None  # the routing table puts it there

    async def initialize(self): ...

    async def shutdown(self): ...

    async def register_shield(self, shield): ...

    async def unregister_shield(self, identifier): ...

    async def run_shield(self, request):
        raise NotImplementedError

    async def run_moderation(self, request):
        raise NotImplementedError


async def get_provider_impl(_config, _deps):
    return Shield()
""",
        "shield_provider/provider.py": f"""
from llama_stack_api import Api, InlineProviderSpec


def get_provider_spec():
    return InlineProviderSpec(
        api=Api.safety,
        provider_type="{SHIELD_TYPE}",
        config_class="shield_provider.ShieldConfig",
        module="shield_provider",
        pip_packages=[],
    )
""",
    }
    wheel = Wheel("shield-provider", files=files)
    return ProviderImage((wheel,), "shield_provider", SHIELD_TYPE, "safety")
