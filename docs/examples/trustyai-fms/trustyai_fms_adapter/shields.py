# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The published provider, with the methods that servers have come to expect since."""

from .old_names import IN_NEW_SERVER, old_names

with old_names():
    from llama_stack_provider_trustyai_fms import get_adapter_impl
    from llama_stack_provider_trustyai_fms.detectors import base

_MESSAGES = {
    "user": lambda message: base.UserMessage(content=_text(message)),
    "system": lambda message: base.SystemMessage(content=_text(message)),
    "developer": lambda message: base.SystemMessage(content=_text(message)),
    "assistant": lambda message: base.CompletionMessage(content=_text(message)),
    "tool": lambda message: base.ToolResponseMessage(
        call_id=message.tool_call_id, content=_text(message)
    ),
}


class Provider(base.DetectorProvider):
    """For servers of 0.2."""

    @property
    def shield_store(self):
        """Its own: the one that the server sets knows no detectors."""
        return self._shield_store

    @shield_store.setter
    def shield_store(self, _value): ...

    async def run_moderation(self, input, model):
        raise NotImplementedError("trustyai_fms runs shields only")


class RequestProvider(Provider):
    """For servers since 0.5, which hand over a request with the messages of OpenAI."""

    async def run_shield(self, request):
        messages = [_MESSAGES[message.role](message) for message in request.messages]
        return await super().run_shield(request.shield_id, messages)

    async def run_moderation(self, request):
        raise NotImplementedError("trustyai_fms runs shields only")

    async def unregister_shield(self, identifier):
        """The routing table forgets it; the detectors are those of the configuration."""


async def make(config):
    """The provider that fits the server it runs in."""
    published = await get_adapter_impl(config, {})
    fitting = RequestProvider if IN_NEW_SERVER else Provider
    return fitting(published.detectors, config)


def _text(message):
    """The text of a message, whose content may be parts."""
    if not isinstance(message.content, list):
        return message.content or ""
    return " ".join(getattr(part, "text", "") for part in message.content)
