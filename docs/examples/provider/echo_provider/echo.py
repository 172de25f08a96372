# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The adapter: what requests for inference end up in."""

import time
import uuid

import humanize

try:
    from llama_stack_api import Model, ModelType, OpenAIChatCompletion
except ImportError:  # servers of ogx
    from ogx_api import Model, ModelType, OpenAIChatCompletion


class EchoAdapter:
    """Serves one model, ``echo-1``; clients write ``<providerId>/echo-1``."""

    model_store = None  # the server puts it there

    def __init__(self, config):
        self.config = config

    async def initialize(self): ...

    async def shutdown(self): ...

    async def health(self):
        return {"status": "OK"}

    async def list_models(self):
        return [
            Model(
                identifier="echo-1",
                provider_resource_id="echo-1",
                provider_id=self.__provider_id__,
                model_type=ModelType.llm,
            )
        ]

    async def should_refresh_models(self):
        return False

    async def register_model(self, model):
        return model

    async def unregister_model(self, model_id): ...

    async def openai_chat_completion(self, params):
        asked = str(params.messages[-1].content)
        size = humanize.naturalsize(len(asked.encode()))
        message = {"role": "assistant", "content": f"{self.config.prefix}{asked} ({size})"}
        return OpenAIChatCompletion.model_validate(
            {
                "id": f"chatcmpl-{uuid.uuid4().hex}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": params.model,
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        )

    async def openai_chat_completions_with_reasoning(self, params):
        raise NotImplementedError

    async def openai_completion(self, params):
        raise NotImplementedError

    async def openai_embeddings(self, params):
        raise NotImplementedError

    async def rerank(self, request):
        raise NotImplementedError
