# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Lease object of ``coordination.k8s.io/v1``: the only module that knows its shape.

Times are written in UTC with six decimals always, as Go's ``metav1.MicroTime`` does (E11): other
electors parse exactly that. They are never parsed here (E2). A replace keeps what is not ours in
the object: labels, annotations, owner references, and fields of the spec that newer servers know
(``strategy``, ``preferredHolder``).
"""

from __future__ import annotations

from typing import Any

from controller.llamastack.objects.kinds import FIELD_MANAGER
from informers.errors import NotFound, ProtocolError
from informers.ports import Object, Resource
from llamastack_operator.election.core import Lease, Record
from llamastack_operator.kube.ports import Requester

LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
REQUEST_TIMEOUT_S = 5.0  # the elector bounds each request too; this is the transport's own limit


def record_of(obj: Object) -> Record:
    """What a Lease says. Absent fields mean a Lease that nobody holds."""
    spec = obj.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        duration_s=spec.get("leaseDurationSeconds") or 0,
        acquire_time=spec.get("acquireTime") or "",
        renew_time=spec.get("renewTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
    )


def spec_of(record: Record) -> dict[str, Any]:
    """The fields of the spec that an elector owns."""
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration_s,
        "acquireTime": record.acquire_time or record.renew_time,
        "renewTime": record.renew_time,
        "leaseTransitions": record.transitions,
    }


class KubeLeaseStore:
    """The one Lease of an election, in the cluster. See ``elector.LeaseStore``.

    Args:
        client: transport; best one with connections of its own, so that the lease never waits
            behind other requests (E12).
        namespace: of the Lease.
        name: of the Lease.
    """

    def __init__(self, client: Requester, namespace: str, name: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._collection = LEASES.path(namespace=namespace)
        self._path = LEASES.path(namespace=namespace, name=name)
        self._object: Object = {}

    async def get(self) -> Lease | None:
        """The Lease, or ``None`` if there is none."""
        try:
            return self._seen(await self._request("GET", self._path))
        except NotFound:
            return None

    async def create(self, record: Record) -> Lease:
        """Create it.

        Raises:
            AlreadyExists: somebody else did.
        """
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": spec_of(record),
        }
        return self._seen(await self._request("POST", self._collection, body))

    async def update(self, record: Record, resource_version: str) -> Lease:
        """Replace it if it still has this version.

        Raises:
            Conflict: it has another version.
            NotFound: it is gone.
        """
        known = self._object.get("metadata") or {}
        same = known.get("resourceVersion") == resource_version
        metadata = {
            **(known if same else {}),
            "namespace": self._namespace,
            "name": self._name,
            "resourceVersion": resource_version,
        }
        metadata.pop("managedFields", None)  # the server's business
        spec = (self._object.get("spec") or {}) if same else {}
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {**spec, **spec_of(record)},
        }
        return self._seen(await self._request("PUT", self._path, body))

    async def _request(self, method: str, path: str, body: Any = None) -> Object:
        query = {"fieldManager": FIELD_MANAGER} if body is not None else None
        answer = await self._client.request(
            method, path, query=query, body=body, timeout_s=REQUEST_TIMEOUT_S
        )
        if not isinstance(answer, dict):
            raise ProtocolError(f"{method} {path}: the answer is not a Lease")
        return answer

    def _seen(self, obj: Object) -> Lease:
        try:
            version = obj["metadata"]["resourceVersion"]
            record = record_of(obj)
        except (KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"{self._path}: the answer is not a Lease") from error
        self._object = obj
        return Lease(record, version)
