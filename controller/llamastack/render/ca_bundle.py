# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The ConfigMap of certificates that the server trusts, and how the server is told of it (FR-063).

Name, key, folder and ``SSL_CERT_FILE`` are those of the Go operator (R-D10). That variable is what
Python's ``ssl`` and httpx read, so all that speaks OpenAI's API, and aiohttp. Others have a list of
authorities of their own unless they are told by another name: requests and boto3, and gRPC, which
is also how traces leave the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.kinds import (
    CA_BUNDLE_HASH,
    CA_BUNDLE_NOTE,
    CA_BUNDLE_SOURCES,
    CONFIG_MAP,
)
from controller.llamastack.objects.ownership import owner_reference_to
from controller.llamastack.render import labels, names
from controller.llamastack.render.manifest import Child

if TYPE_CHECKING:
    from api.errors import FieldError
    from controller.llamastack.render.inputs import Inputs
    from informers.ports import Object

CA_BUNDLE_KEY = "ca-bundle.crt"
CA_BUNDLE_DIRECTORY = "/etc/ssl/certs/ca-bundle"
CA_BUNDLE_PATH = f"{CA_BUNDLE_DIRECTORY}/{CA_BUNDLE_KEY}"
CA_BUNDLE_VOLUME = "ca-bundle"

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
"""What tells the client libraries of real servers which certificates to trust."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the server shall trust.

    Attributes:
        text: the certificates in PEM form; empty if there are none but the public ones.
        digest: of the text; empty for an empty one.
        note: what works, but perhaps not as meant; empty without.
        problems: why there is no bundle.
    """

    text: str = ""
    digest: str = ""
    note: str = ""
    problems: tuple[FieldError, ...] = ()


def environment() -> dict[str, str]:
    """The variables of a server that has a bundle."""
    return dict.fromkeys(VARIABLES, CA_BUNDLE_PATH)


def volume(inputs: Inputs) -> dict[str, Any]:
    """The bundle as a volume of the pod."""
    items = [{"key": CA_BUNDLE_KEY, "path": CA_BUNDLE_KEY}]
    source = {"name": names.ca_bundle(inputs.name), "items": items}
    return {"name": _volume_name(inputs), "configMap": source}


def mount(inputs: Inputs) -> dict[str, Any]:
    """Where the container finds it."""
    return {"name": _volume_name(inputs), "mountPath": CA_BUNDLE_DIRECTORY, "readOnly": True}


def _volume_name(inputs: Inputs) -> str:
    """Another one where a volume of the user has it: the cluster's bundle comes unasked."""
    taken = {volume.get("name") for volume in inputs.spec.workload.overrides.volumes}
    return f"llama-stack-{CA_BUNDLE_VOLUME}" if CA_BUNDLE_VOLUME in taken else CA_BUNDLE_VOLUME


def child(cr: Object, bundle: Bundle, sources: str) -> Child:
    """The ConfigMap.

    Args:
        cr: the owner.
        bundle: not an empty one.
        sources: what it was made from.
    """
    name = cr["metadata"]["name"]
    annotations = {CA_BUNDLE_HASH: bundle.digest, CA_BUNDLE_SOURCES: sources}
    if bundle.note:
        annotations[CA_BUNDLE_NOTE] = bundle.note
    manifest = {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {
            "name": names.ca_bundle(name),
            "namespace": cr["metadata"]["namespace"],
            "labels": labels.of_ca_bundle(name),
            "annotations": annotations,
            "ownerReferences": [owner_reference_to(cr)],
        },
        "data": {CA_BUNDLE_KEY: bundle.text},
    }
    return Child(CONFIG_MAP, manifest)
