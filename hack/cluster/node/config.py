# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The configuration of the node's programs, as plain data.

Files are written as JSON, which is YAML too; only containerd and CoreDNS have formats of their own.
What decides behaviour is as upstream has it. Different are: cgroup version 1 is allowed, a full
machine evicts nothing (what was evicted or deleted could not be pulled again), a crash loop is
retried after 5 s at most, and states are told sooner.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.cluster.node.network import DNS_SERVICE, Network
from hack.images.probe import PAUSE

STORAGE_CLASS = "standard"
PROVISIONER = "llamastack.io/hostpath"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things of one node are, and its name and addresses.

    Attributes:
        name: of the node; also of its cgroup.
        network: its addresses.
        directory: everything that is its own.
        images: containerd's store.
        in_memory: whether that is a file system in memory, in the node's namespace.
        programs: where each program is.
    """

    name: str
    cgroup: str
    network: Network
    directory: Path
    images: Path
    in_memory: bool
    programs: Mapping[str, Path]

    @property
    def conf(self) -> Path:
        """Configuration."""
        return self.directory / "conf"

    @property
    def log(self) -> Path:
        """Logs of the programs, and below ``pods`` of the containers."""
        return self.directory / "log"

    @property
    def socket(self) -> Path:
        """Containerd's; a file system that both sides see."""
        return self.directory / "containerd.sock"

    @property
    def pause(self) -> Path:
        """The archive of the sandbox image."""
        return self.directory / "pause.tar"

    def kubeconfig(self, user: str) -> Path:
        """A component's kubeconfig."""
        return self.conf / f"{user}.kubeconfig"

    def program(self, name: str) -> str:
        """The path of a program."""
        return str(self.programs[name])


def write(layout: Layout, ca: Path) -> None:
    """Write every file but the kubeconfigs.

    Args:
        layout: of the node.
        ca: certificate that the kubelet's clients are verified with.
    """
    files = {
        "containerd.toml": containerd(layout),
        "cni/10-pods.conflist": _json(cni(layout)),
        "kubelet.json": _json(kubelet(layout, ca)),
        "kube-proxy.json": _json(kube_proxy(layout)),
        "Corefile": corefile(layout),
        "resolv.conf": "",  # nothing of this machine's leaks into Pods
        # An image that was not loaded is not found at once, instead of after many time-outs.
        "node-resolv.conf": f"nameserver {layout.network.address}\n",
    }
    for name, text in files.items():
        path = layout.conf / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for place in (layout.images, layout.directory / "volumes", layout.log / "pods"):
        place.mkdir(parents=True, exist_ok=True)


def containerd(layout: Layout) -> str:
    """Containerd with runc; without CAP_SYS_RESOURCE the OOM score cannot be lowered."""
    cni_bin = layout.programs["ptp"].parent
    return f"""\
version = 3
root = "{layout.images}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.erofs"]
[grpc]
  address = "{layout.socket}"
[ttrpc]
  address = "/run/containerd/ttrpc.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/run/containerd/opt"
[plugins."io.containerd.metadata.v1.bolt"]
  no_sync = true
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{cni_bin}"]
    conf_dir = "{layout.conf}/cni"
    use_internal_loopback = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    runtime_path = "{layout.program("containerd-shim-runc-v2")}"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "{layout.program("runc")}"
"""


def cni(layout: Layout) -> Json:
    """A pair of interfaces for each Pod, without a bridge.

    Everything between Pods is routed, so Service addresses work without br_netfilter.
    """
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": layout.network.pods}]],
        "dataDir": "/run/cni-ipam",
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": ipam}]}


def kubelet(layout: Layout, ca: Path) -> Json:
    """The kubelet; its serving certificate is its own, which the API server does not verify."""
    never = [f"nodefs.{what}" for what in ("available", "inodesFree")]
    never += [f"imagefs.{what}" for what in ("available", "inodesFree")]
    never.append("memory.available")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "address": layout.network.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.conf / "resolv.conf"),
        "podLogsDir": str(layout.log / "pods"),
        "volumePluginDir": str(layout.directory / "volume-plugins"),
        "protectKernelDefaults": True,  # rather end than change this machine
        "makeIPTablesUtilChains": False,
        "failSwapOn": False,
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "evictionHard": dict.fromkeys(never, "0%"),
        "imageGCHighThresholdPercent": 100,
        "crashLoopBackOff": {"maxContainerRestartPeriod": "5s"},
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "5s",
        "volumeStatsAggPeriod": "5s",
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    }


def kube_proxy(layout: Layout) -> Json:
    """Services by nftables; connection tracking is not configured, it may not be writable."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("kube-proxy"))},
        "hostnameOverride": layout.name,
        "bindAddress": layout.network.address,
        "mode": "nftables",
        "clusterCIDR": layout.network.pods,
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
        "nftables": {"minSyncPeriod": "100ms"},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def corefile(layout: Layout) -> str:
    """Names of the cluster; no other name exists, and that is said at once."""
    return f"""\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {{
  bind {layout.network.address}
  errors
  kubernetes {{
    kubeconfig {layout.kubeconfig("coredns")}
    pods insecure
    ttl 5
  }}
}}
.:53 {{
  bind {layout.network.address}
  errors
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def first_process(layout: Layout, libraries: Mapping[str, str]) -> Json:
    """What the node's first process does (``inside``)."""
    network, program = layout.network, layout.program
    places = [str(layout.programs[name].parent) for name in ("nft", "runc", "kubelet")]
    path = ":".join([*dict.fromkeys(places), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    environment = {**libraries, "PATH": path}
    ctr = [program("ctr"), "--address", str(layout.socket), "--namespace", "k8s.io"]
    programs = {
        "containerd": [program("containerd"), "--config", f"{layout.conf}/containerd.toml"],
        "kube-proxy": [program("kube-proxy"), "--config", f"{layout.conf}/kube-proxy.json"],
        "coredns": [program("coredns"), "-conf", f"{layout.conf}/Corefile"],
        "hostpath-provisioner": [
            program("hostpath-provisioner"), "--kubeconfig", str(layout.kubeconfig("volumes")),
            "--name", PROVISIONER, "--dir", f"{layout.directory}/volumes", "--node", layout.name,
        ],
        "kubelet": [
            program("kubelet"), "--config", f"{layout.conf}/kubelet.json",
            "--kubeconfig", str(layout.kubeconfig("kubelet")),
            "--root-dir", f"{layout.directory}/kubelet",
            "--node-ip", network.address, "--hostname-override", layout.name,
        ],
    }  # fmt: skip
    before = {"kubelet": [[*ctr, "version"], [*ctr, "images", "import", str(layout.pause)]]}
    return {
        "address": f"{network.address}/30",
        "gateway": network.host,
        "log": str(layout.log),
        "kubelet": f"{layout.directory}/kubelet",
        "names": str(layout.conf / "node-resolv.conf"),
        "memory": [str(layout.images)] if layout.in_memory else [],
        "programs": [
            {
                "name": name,
                "command": command,
                "environment": environment,
                "before": before.get(name, []),
            }
            for name, command in programs.items()
        ],
    }


def _json(document: Json) -> str:
    return json.dumps(document, indent=2) + "\n"
