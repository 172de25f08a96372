# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The frozen input of all renderers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.defaults import MOUNT_PATH
from configs.installs import installs

if TYPE_CHECKING:
    from api.v1alpha2 import Spec
    from api.v1alpha2.networking import Expose
    from configs.engine import Generated
    from configs.installs import Install
    from informers.ports import Object


@dataclass(frozen=True, slots=True)
class Options:
    """What shapes children besides their resource: the operator's settings, and its cluster.

    Attributes:
        fixed_uids: write user and group ids into the pods; off on OpenShift, which assigns them.
        network_policies: give every server a NetworkPolicy.
        operator_namespace: where the operator runs; empty if it does not know.
        routes: the cluster has the Routes of OpenShift.
        role_bindings: the cluster has the ClusterRole to bind, and we may bind it.
        merge_image: the operator's own image, which merges external providers into a
            configuration; empty if the operator does not know it.
        image_volumes: mount the images of external providers, and install from there.
        preflight: load external providers once before the server does.
        install_memory: limit of each init container that installs or merges, where the resource
            does not say.
        install_size: most that installed packages may take, likewise.
    """

    fixed_uids: bool = True
    network_policies: bool = False
    operator_namespace: str = ""
    routes: bool = False
    role_bindings: bool = False
    merge_image: str = ""
    image_volumes: bool = False
    preflight: bool = True
    install_memory: str = "512Mi"
    install_size: str = "2Gi"


DEFAULT_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class Mounts:
    """What pods mount that is known only once it is written, before the Deployment.

    Attributes:
        config_map_name: of the server's configuration; empty if the image brings its own.
        users_key: where it is in a ConfigMap that is the user's, which pods get with all its keys,
            as the Go operator had it (R-D20); empty for one of ours.
        installs_name: of the ConfigMap with what external providers are installed from; empty
            without any.
        claim: the live claim of the data volume; ``None`` where there is none yet, or none wanted.
    """

    config_map_name: str = ""
    users_key: str = ""
    installs_name: str = ""
    claim: Object | None = None


NO_MOUNTS = Mounts()


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything else that decides what the children look like.

    Attributes:
        owner: the custom resource; only its apiVersion, name, namespace and uid are read.
        spec: its parsed spec.
        generated: image, configuration and environment that the spec resolves to.
        secrets_hash: changes with every referenced Secret; empty without any.
        config_maps_hash: changes with what the pod uses of users' ConfigMaps; empty without any.
        config_maps_seen: what is recorded of every referenced ConfigMap; empty without any.
        storage_state: what the Secret of connection strings is made from; empty without one.
        options: what shapes children besides.
        ca_bundle: changes with the certificates that the server trusts beside the public ones;
            empty without any.
    """

    owner: Object
    spec: Spec
    generated: Generated
    secrets_hash: str = ""
    config_maps_hash: str = ""
    config_maps_seen: str = ""
    storage_state: str = ""
    options: Options = DEFAULT_OPTIONS
    ca_bundle: str = ""

    @property
    def name(self) -> str:
        """Of the custom resource."""
        return str(self.owner["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Of the custom resource and of all its children."""
        return str(self.owner["metadata"]["namespace"])

    @property
    def registry(self) -> str:
        """State of the server's registry with this configuration; empty if nothing is known."""
        return self.generated.registry.dump() if self.generated.registry else ""

    @property
    def port(self) -> int:
        """On which the server listens."""
        return self.spec.networking.port

    @property
    def exposed(self) -> Expose | None:
        """How the server shall be reached from outside; ``None`` if it shall not."""
        expose = self.spec.networking.expose
        return expose if expose is not None and expose.enabled else None

    @property
    def mount_path(self) -> str:
        """Of the data volume."""
        storage = self.spec.workload.storage
        return (storage.mount_path if storage else None) or MOUNT_PATH

    @property
    def most_replicas(self) -> int:
        """How many pods there may be."""
        workload = self.spec.workload
        return workload.autoscaling.max_replicas if workload.autoscaling else workload.replicas

    @property
    def installs(self) -> tuple[Install, ...]:
        """The external providers, in order."""
        return tuple(installs(self.spec))

    @property
    def tls_secret(self) -> str:
        """Secret with the server's certificate; empty for plain HTTP."""
        tls = self.spec.networking.tls
        return (tls.secret_name or "") if tls and tls.enabled else ""

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self.tls_secret else "http"
