# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reviews as the API server sends them, and what is in their answers."""

from __future__ import annotations

import json
from typing import Any

import api

OLD = f"{api.GROUP}/v1alpha1"
NEW = f"{api.GROUP}/v1alpha2"


def resource(name: str = "demo", version: str = NEW, **spec: Any) -> dict[str, Any]:
    """A resource."""
    return {
        "apiVersion": version,
        "kind": api.KIND,
        "metadata": {"name": name, "namespace": "team", "uid": "u"},
        "spec": spec or {"distribution": {"name": "starter"}},
    }


def with_key(name: str, key: str = "token", **rest: Any) -> dict[str, Any]:
    """The spec of a resource whose provider takes its key from a Secret."""
    return {
        "distribution": {"name": "starter"},
        "providers": {
            "inference": {
                "provider": "vllm",
                "endpoint": "http://vllm:8000",
                "apiKey": {"secretKeyRef": {"name": name, "key": key}},
            }
        },
        **rest,
    }


def conversion(*objects: Any, to: str = NEW, uid: str = "c-1") -> bytes:
    """A ConversionReview."""
    request = {"uid": uid, "desiredAPIVersion": to, "objects": list(objects)}
    return _review("apiextensions.k8s.io/v1", "ConversionReview", request)


def admission(
    obj: Any, old: Any = None, *, operation: str = "", uid: str = "a-1", **request: Any
) -> bytes:
    """An AdmissionReview."""
    given = {
        "uid": uid,
        "operation": operation or ("CREATE" if old is None else "UPDATE"),
        "namespace": "team",
        "name": "demo",
        "object": obj,
        "oldObject": old,
        "dryRun": False,
        **request,
    }
    return _review("admission.k8s.io/v1", "AdmissionReview", given)


def response(answer: bytes) -> dict[str, Any]:
    """What a review answers."""
    found: dict[str, Any] = json.loads(answer)["response"]
    return found


def _review(version: str, kind: str, request: Any) -> bytes:
    return json.dumps({"apiVersion": version, "kind": kind, "request": request}).encode()
