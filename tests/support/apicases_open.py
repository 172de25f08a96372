# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is wrong inside the nodes that the schema leaves open: the policy tells, or nobody."""

from __future__ import annotations

from tests.support.apicase import SECRET, VLLM, Case, resource, with_providers

POLICY = (
    Case(
        "provider is a string",
        with_providers(inference="vllm"),
        ("spec.providers.inference: must be an object or a list of objects, got string",),
        "policy",
        ("spec.providers.inference: must be an object or a list of objects",),
    ),
    Case(
        "one provider of a list is a string",
        with_providers(vectorIo=[{"id": "a", "provider": "faiss"}, "b"]),
        ("spec.providers.vectorIo[1]: must be an object, got string",),
        "policy",
        ("spec.providers.vectorIo[1]: must be an object",),
    ),
    Case(
        "provider has no type",
        with_providers(inference={"endpoint": "http://vllm"}),
        ("spec.providers.inference.provider: is required",),
        "policy",
    ),
    Case(
        "type of a provider is a number",
        with_providers(inference={"provider": 4}),
        ("spec.providers.inference.provider: must be a string, got integer",),
        "policy",
        ("spec.providers.inference.provider: must be a string",),
    ),
    Case(
        "endpoint is no URL",
        with_providers(inference={"provider": "vllm", "endpoint": "vllm:8000"}),
        ("spec.providers.inference.endpoint: must be a URL such as http://vllm:8000/v1",),
        "policy",
    ),
    Case(
        "settings are a list",
        with_providers(inference={**VLLM, "settings": []}),
        ("spec.providers.inference.settings: must be an object, got list",),
        "policy",
        ("spec.providers.inference.settings: must be an object",),
    ),
    Case(
        "API key in the clear",
        with_providers(inference={**VLLM, "apiKey": "sk-123"}),
        ("spec.providers.inference.apiKey: must be an object, got string",),
        "policy",
        ("spec.providers.inference.apiKey: must be {secretKeyRef: {name, key}}",),
    ),
    Case(
        "API key without a key of the Secret",
        with_providers(inference=[{**VLLM, "apiKey": {"secretKeyRef": {"name": "creds"}}}]),
        ("spec.providers.inference[0].apiKey.secretKeyRef.key: is required",),
        "policy",
        ("spec.providers.inference[0].apiKey: must be {secretKeyRef: {name, key}}",),
    ),
    Case(
        "further secret in the clear",
        with_providers(
            vectorIo={"provider": "pgvector", "secretRefs": {"host": SECRET, "db": "x"}}
        ),
        ("spec.providers.vectorIo.secretRefs.db: must be an object, got string",),
        "policy",
        ("spec.providers.vectorIo.secretRefs: each field must be {secretKeyRef: {name, key}}",),
    ),
    Case(
        "two providers without ids",
        with_providers(inference=[VLLM, {"id": "b", "provider": "openai"}, {"provider": "groq"}]),
        (
            "spec.providers.inference[0].id: is required on every provider of a list with more"
            " than one",
            "spec.providers.inference[2].id: is required on every provider of a list with more"
            " than one",
        ),
        "policy",
    ),
    Case(
        "one id in two APIs",
        with_providers(
            inference=[VLLM, {"id": "b", "provider": "openai"}],
            safety={"id": "b", "provider": "llama-guard"},
            eval={"id": "b", "provider": "x"},
        ),
        (
            "spec.providers.inference[0].id: is required on every provider of a list with more"
            " than one",
            'spec.providers.eval.id: provider id "b" is used more than once:'
            " spec.providers.inference[1], spec.providers.safety, spec.providers.eval",
        ),
        "policy",
    ),
    Case(
        "one type in two APIs gives one id",
        with_providers(inference={"provider": "nvidia"}, safety={"provider": "nvidia"}),
        (
            'spec.providers.safety.id: provider id "nvidia" is used more than once:'
            " spec.providers.inference, spec.providers.safety",
        ),
        "policy",
    ),
    Case(
        "API is configured and disabled",
        resource(disabled=["eval", "inference"], providers={"inference": [VLLM]}),
        (
            'spec.disabled[1]: "inference" is configured and disabled at the same time:'
            " spec.providers.inference",
        ),
        "policy",
    ),
    Case(
        "API is disabled and has an external provider",
        resource(
            disabled=["safety"],
            externalProviders={"safety": [{"providerId": "a", "image": "a/b:1"}]},
        ),
        (
            'spec.disabled[0]: "safety" is configured and disabled at the same time:'
            " spec.externalProviders.safety",
        ),
        "policy",
    ),
    Case(
        "model is a number",
        resource(resources={"models": ["a", 4]}),
        (
            "spec.resources.models[1]: must be the name of a model or an object with a name,"
            " got integer",
        ),
        "policy",
        ("spec.resources.models[1]: must be the name of a model or an object with a name",),
    ),
    Case(
        "model without a name",
        resource(resources={"models": [{"provider": "vllm"}]}),
        ("spec.resources.models[0].name: is required",),
        "policy",
        ("spec.resources.models[0]: must be the name of a model or an object with a name",),
    ),
    Case(
        "expose is a string",
        resource(networking={"expose": "yes"}),
        ("spec.networking.expose: must be a boolean or an object, got string",),
        "policy",
        ("spec.networking.expose: must be a boolean or an object",),
    ),
    Case(
        "expose is enabled by a string",
        resource(networking={"expose": {"enabled": "yes"}}),
        ("spec.networking.expose.enabled: must be a boolean, got string",),
        "policy",
        ("spec.networking.expose.enabled: must be a boolean",),
    ),
    Case(
        "host name is a number",
        resource(networking={"expose": {"hostname": 4}}),
        ("spec.networking.expose.hostname: must be a string, got integer",),
        "policy",
        ("spec.networking.expose.hostname: must be a string",),
    ),
    Case(
        "bedrock without a region",
        with_providers(inference={"provider": "bedrock"}),
        ('spec.providers.inference.settings.region: is required for provider "bedrock"',),
        "policy",
    ),
    Case(
        "azure without a deployment",
        with_providers(inference={"provider": "azure", "settings": {"region": "x"}}),
        ('spec.providers.inference.settings.deploymentName: is required for provider "azure"',),
        "policy",
    ),
)

PYTHON = (
    Case(
        "two references for one variable",
        with_providers(
            inference={
                "provider": "vllm",
                "apiKey": SECRET,
                "secretRefs": {"api_key": {"secretKeyRef": {"name": "other", "key": "k"}}},
            }
        ),
        (
            "spec.providers.inference.secretRefs.api_key.secretKeyRef: needs the environment"
            " variable LLSD_VLLM_API_KEY, which spec.providers.inference.apiKey.secretKeyRef needs"
            " for another value (rename the provider or the field)",
        ),
        "python",
    ),
    Case(
        "two ids that differ in punctuation only",
        with_providers(
            inference={"id": "a-b", "provider": "vllm", "apiKey": SECRET},
            safety={
                "id": "a.b",
                "provider": "x",
                "apiKey": {"secretKeyRef": {"name": "creds", "key": "other"}},
            },
        ),
        (
            "spec.providers.safety.apiKey.secretKeyRef: needs the environment variable"
            " LLSD_A_B_API_KEY, which spec.providers.inference.apiKey.secretKeyRef needs for"
            " another value (rename the provider or the field)",
        ),
        "python",
    ),
    Case(
        "context of a model is text",
        resource(resources={"models": [{"name": "a", "contextLength": "8k"}]}),
        ("spec.resources.models[0].contextLength: must be an integer, got string",),
        "python",
    ),
)
