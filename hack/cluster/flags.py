# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The command lines of the programs: which flags, and why.

Everything that decides *behaviour* is left as upstream has it (watch cache, event lifetime, feature
gates, admission), so that a test here says something about a real cluster. What differs is speed
(nothing survives a crash of the machine, limits are high) and isolation (loopback, own files).
etcd listens on a unix socket in the control plane's own directory: no ports to collide with, and
nobody else on the machine can read or write it. The API server runs in the same working directory
and names the socket relatively, because a socket's path may not be longer than 107 bytes.
"""

from __future__ import annotations

from pathlib import Path

from hack.cluster.pki import Pki

SERVICE_CIDR = "10.96.0.0/16"
SERVER_NAMES = (
    "127.0.0.1",
    "10.96.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)

# Never reached: nothing runs in the cluster that would ask for kubernetes.default. Without it the
# server takes the address of the default route, and fails on a machine without one.
# 192.0.2.0/24 is for documentation (RFC 5737).
_ADVERTISED = "192.0.2.1"

# They must look like host:port, and become file names in the working directory.
_ETCD_CLIENT = "unix://etcd:0"
_ETCD_PEER = "unix://peer:0"

POD_ROUTING = ("--enable-aggregator-routing=true",)
"""For a control plane with a real node: the API server calls a webhook at the address of a Pod
behind its Service. The Service's own address is translated on the node only."""

FAKE_NODE_ANNOTATION = ("kwok.x-k8s.io/node", "fake")
"""kwok plays the kubelet of the nodes that have it, and leaves all others alone."""


def etcd(binary: Path) -> list[str]:
    """Etcd with one member; its working directory holds data and sockets."""
    return [
        str(binary),
        "--name=test",
        "--data-dir=data",
        "--log-level=warn",
        "--unsafe-no-fsync",  # the data die with the control plane
        f"--listen-client-urls={_ETCD_CLIENT}",
        f"--advertise-client-urls={_ETCD_CLIENT}",
        f"--listen-peer-urls={_ETCD_PEER}",
        f"--initial-advertise-peer-urls={_ETCD_PEER}",
        f"--initial-cluster=test={_ETCD_PEER}",
        "--quota-backend-bytes=4294967296",
    ]


def apiserver(
    binary: Path, *, port: int, pki: Pki, audit_policy: Path, audit_log: Path
) -> list[str]:
    """The API server on 127.0.0.1 with RBAC, the aggregation layer and the audit log.

    To be started in etcd's working directory.
    """
    return [
        str(binary),
        f"--etcd-servers={_ETCD_CLIENT}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--advertise-address={_ADVERTISED}",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--client-ca-file={pki.certificate('ca')}",
        f"--tls-cert-file={pki.certificate('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki.directory / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki.key('service-account')}",
        f"--kubelet-client-certificate={pki.certificate('kubelet-client')}",
        f"--kubelet-client-key={pki.key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",  # a node's host name means nothing here
        f"--requestheader-client-ca-file={pki.certificate('front-proxy-ca')}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki.certificate('front-proxy')}",
        f"--proxy-client-key-file={pki.key('front-proxy')}",
        "--allow-privileged=true",
        "--profiling=false",
        "--delete-collection-workers=10",
        # Priority and Fairness stays on; only the sum of its seats is raised.
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=1500",
        # Without it a server that is told to end waits up to a minute for open watches.
        "--shutdown-watch-termination-grace-period=1s",
        f"--audit-policy-file={audit_policy}",
        f"--audit-log-path={audit_log}",
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=100000",  # MB: readers hold offsets, so it is never rotated
    ]


def controller_manager(binary: Path, *, kubeconfig: Path, pki: Pki) -> list[str]:
    """All controllers, without a port and without leader election."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki.key('service-account')}",
        f"--root-ca-file={pki.certificate('ca')}",
        f"--cluster-signing-cert-file={pki.certificate('ca')}",
        f"--cluster-signing-key-file={pki.key('ca')}",
        # There are no metrics: all that an autoscaler does is to say so, every 15 s each.
        "--horizontal-pod-autoscaler-sync-period=1h",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]


def scheduler(binary: Path, *, kubeconfig: Path) -> list[str]:
    """The scheduler, without a port and without leader election."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def kwok(binary: Path, *, kubeconfig: Path, stages: Path) -> list[str]:
    """The simulated kubelets, doing what the stages say."""
    annotation, value = FAKE_NODE_ANNOTATION
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        f"--manage-nodes-with-annotation-selector={annotation}={value}",
        "--cidr=10.250.0.0/16",
        "--node-lease-duration-seconds=40",
    ]
