# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A resource to start from, and a resource that breaks a rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from api.v1alpha2 import API_VERSION

Json = dict[str, Any]

SECRET: Json = {"secretKeyRef": {"name": "creds", "key": "token"}}
VLLM: Json = {"provider": "vllm", "endpoint": "http://vllm:8000/v1"}


def resource(name: str = "demo", /, **spec: Any) -> Json:
    """A resource with the least it needs, and more sections of the spec by name."""
    return {
        "apiVersion": API_VERSION,
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": {"distribution": {"name": "starter"}, **spec},
    }


@dataclass(frozen=True)
class Case:
    """A resource that breaks a rule.

    Attributes:
        name: of the case.
        obj: the resource.
        errors: the lines of ``validate``, all of them.
        by: who refuses it on a cluster without our webhook. ``schema`` says it in Kubernetes'
            words, but at the same path; ``cel`` and ``policy`` in ours; ``python`` means nobody.
        answer: what the policy says, where it is not the lines of ``validate``.
    """

    name: str
    obj: Json
    errors: tuple[str, ...]
    by: Literal["schema", "cel", "policy", "python"]
    answer: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return self.name

    @property
    def answered(self) -> tuple[str, ...]:
        """What the API server must say."""
        return self.answer or self.errors


def with_providers(**sections: Any) -> Json:
    """A resource with sections of providers."""
    return resource(providers=sections)


def with_workload(**fields: Any) -> Json:
    """A resource with fields of the workload."""
    return resource(workload=fields)
