# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One real node: started beside a control plane, given images, and ended.

Starting takes two to three seconds. The first process is made with namespaces of its own, then
gets its end of the network, and starts everything else (``inside``); the kubelet registers itself.

Images are never pulled: ``Node.load`` puts an archive into containerd, and Pods use it with
``imagePullPolicy`` IfNotPresent or Never. A tag other than ``latest`` has the former by default.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from hack.cluster import state
from hack.cluster.errors import ClusterError
from hack.cluster.keeper import release_keeper, start_keeper
from hack.cluster.kubeconfig import write_kubeconfig
from hack.cluster.node import cgroups, config, network, objects, requirements
from hack.cluster.node.programs import library_environment
from hack.cluster.node.remains import Remains
from hack.cluster.pki import ADMIN_GROUP
from hack.cluster.plane import ControlPlane
from hack.cluster.process import Program
from hack.images import probe
from hack.root import ROOT

_READY_SECONDS = 60.0
_LOAD_SECONDS = 300.0
_OFFER_SECONDS = 20.0
_FILTER_SECONDS = 20.0

# A server's image takes 1.7 GB, once packed and once unpacked. In memory it is loaded in half
# the time, and removed in none at all.
_PLENTY = 8 * 2**30

# Who the components are. The kubelet's certificate makes it a node, with a node's rights and no
# more; RBAC knows kube-proxy; the others only read, and are trusted for simplicity.
_USERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "kubelet": ("system:node:{name}", ("system:nodes",)),
    "kube-proxy": ("system:kube-proxy", ()),
    "coredns": ("coredns", (ADMIN_GROUP,)),
    "volumes": ("hostpath-provisioner", (ADMIN_GROUP,)),
}


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What a node is like.

    Attributes:
        name: of the Node object.
        directory: where everything is; None makes a temporary one.
        images: containerd's store, to find loaded images again with the next node; by default it
            is in memory if there is plenty, else in the directory, and goes with the node. Two
            nodes cannot share one.
        detached: outlive this process; otherwise a keeper cleans up after it.
    """

    name: str = "node-0"
    directory: Path | None = None
    images: Path | None = None
    detached: bool = False


class Node:
    """A node that this process starts and ends.

    Args:
        plane: the running control plane, with a scheduler.
        programs: where each program is (``programs.obtain``).
        options: what the node is like.

    Attributes:
        directory: configuration, logs (``log/NAME.log``, ``log/pods``), images, volumes.
    """

    def __init__(
        self,
        plane: ControlPlane,
        programs: Mapping[str, Path],
        options: NodeOptions | None = None,
    ) -> None:
        self.plane = plane
        self.options = options or NodeOptions()
        self._binaries = programs
        # Short: a socket's path may not be longer than 107 bytes.
        self.directory = self.options.directory or Path(tempfile.mkdtemp(prefix="llsn-"))
        self._network: network.Network | None = None
        self._remains: Remains | None = None
        self._programs: dict[str, Program] = {}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._ours = self.options.directory is None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.down()

    @property
    def name(self) -> str:
        """Of the Node object."""
        return self.options.name

    @property
    def host(self) -> str:
        """This machine's address for Pods: servers that listen there are reached from them."""
        return self._joined.host

    @property
    def _joined(self) -> network.Network:
        if self._network is None:
            raise ClusterError("the node is not up")
        return self._network

    # --- life ------------------------------------------------------------------------------

    def up(self) -> None:
        """Start it and wait until it takes Pods; leaves nothing behind if that fails.

        Raises:
            NodeUnavailableError: this machine cannot have one; says what is missing.
            ClusterError: a program ended, or did not become ready.
        """
        requirements.check(self._binaries, self.directory)
        state.claim(self.directory)
        self._ours = True
        try:
            self._up()
        except BaseException:
            self.down()
            raise

    def _up(self) -> None:
        if not self.options.detached:
            self._keeper = start_keeper(self.directory, "hack.cluster.node.keeper")
        for name in ("log", "conf"):
            (self.directory / name).mkdir(exist_ok=True)
        joined = self._network = network.claim()
        layout = self._layout(joined)
        self._remains = Remains(joined.link, layout.cgroup, self.name, str(layout.socket))
        self._remains.write(self.directory)
        cgroups.make(layout.cgroup)
        config.write(layout, self.plane.pki.certificate("ca"))
        self._write_kubeconfigs(layout)
        probe.image(probe.PAUSE, self._binaries["pause"], layout.pause)
        objects.create(self.plane.client, joined, self.plane.port)
        objects.forget(self.plane.client, self.name)
        node = self._start_inside(layout)
        network.join(joined, node.id.pid if node.id else 0)
        self._start_relay(joined)
        node.wait_until(
            lambda: objects.is_ready(self.plane.client, self.name), seconds=_READY_SECONDS
        )

    def down(self) -> None:
        """End it at once and remove everything; fine if it is not up.

        Raises:
            ClusterError: a process stays.
        """
        try:
            for program in reversed(self._programs.values()):
                program.stop(grace=0)
            if self._remains is not None:
                self._remains.remove()
                self._remains = None
        finally:
            self._programs.clear()
            if self._ours:
                state.remove(self.directory)  # while the keeper waits: images may take a minute
            if self._keeper is not None:
                release_keeper(self._keeper)
                self._keeper = None

    # --- use -------------------------------------------------------------------------------

    def load(self, *archives: Path) -> None:
        """Put images into the node, from docker or OCI archives.

        Raises:
            ClusterError: one of them is not an image.
        """
        remains = self._remains
        if remains is None:
            raise ClusterError("the node is not up")
        for archive in archives:
            load(self._binaries["ctr"], Path(remains.socket), archive)

    def image_names(self) -> list[str]:
        """The images that are there."""
        if self._remains is None:
            raise ClusterError("the node is not up")
        text = _ctr(self._binaries["ctr"], Path(self._remains.socket), "images", "list", "--quiet")
        return [name for name in text.split() if not name.startswith("sha256:")]

    def tag(self, name: str, alias: str) -> None:
        """Give an image another name: Pods that ask for that one get it without a registry.

        Raises:
            ClusterError: there is no such image.
        """
        if self._remains is None:
            raise ClusterError("the node is not up")
        words = ("images", "tag", "--force", name, alias)
        _ctr(self._binaries["ctr"], Path(self._remains.socket), *words)

    def offer(self, port: int) -> None:
        """Make a server that listens on this machine's loopback reachable for Pods.

        Args:
            port: of the server; it is the same at ``host``.

        Raises:
            ClusterError: the port is taken there.
        """
        if (name := f"relay-{port}") not in self._programs:
            module = "hack.cluster.node.relay"
            words = ("-m", module, self.host, str(port), str(port))
            relay = self._start(name, [sys.executable, *words])
            relay.wait_until(lambda: _accepts(self.host, port), seconds=_OFFER_SECONDS)

    def kill(self, uid: str, word: str) -> int:
        """SIGKILL to the processes of a Pod that have a word in their command line.

        Args:
            uid: of the Pod; its cgroups are named after it.
            word: what to look for.

        Returns:
            How many there were.
        """
        found = [p for p in psutil.process_iter(["pid"]) if _is_of_pod(p, uid, word)]
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return len(found)

    def restart(self) -> None:
        """A power failure: all processes die at once, and the node comes back with its disk.

        Its Pods start again where they were; Deployments do not replace them.

        Raises:
            ClusterError: it does not take Pods again.
        """
        before = objects.heartbeat(self.plane.client, self.name)
        self._first().send_signal(signal.SIGHUP)
        self._programs["node"].wait_until(
            lambda: objects.heartbeat(self.plane.client, self.name) > before, seconds=_READY_SECONDS
        )

    def filter(self, rules: str) -> None:
        """Have packets between Pods filtered.

        Args:
            rules: a file for ``nft -f``.

        Raises:
            ClusterError: it is wrong.
        """
        command = ["nsenter", f"--net=/proc/{self._first().pid}/ns/net"]
        result = subprocess.run(
            [*command, str(self._binaries["nft"]), "-f", "-"],
            input=rules,
            capture_output=True,
            text=True,
            timeout=_FILTER_SECONDS,
            check=False,
            env={**os.environ, **library_environment(self._binaries)},
        )
        if result.returncode:
            raise ClusterError(f"nft: {result.stderr.strip()}")

    # --- parts -----------------------------------------------------------------------------

    def _first(self) -> psutil.Process:
        """The first process of the namespaces: the child of unshare, which passes nothing on."""
        node = self._programs.get("node")
        if node is None or node.id is None:
            raise ClusterError("the node is not up")
        (first,) = psutil.Process(node.id.pid).children()
        return first

    def _layout(self, joined: network.Network) -> config.Layout:
        return config.Layout(
            name=self.name,
            cgroup=f"{joined.link}-{self.directory.name}",
            network=joined,
            directory=self.directory,
            images=self.options.images or self.directory / "images",
            in_memory=self.options.images is None and psutil.virtual_memory().available > _PLENTY,
            programs=self._binaries,
        )

    def _write_kubeconfigs(self, layout: config.Layout) -> None:
        for component, (user, groups) in _USERS.items():
            credential = self.plane.pki.client_cert(user.format(name=self.name), groups)
            path = layout.kubeconfig(component)
            write_kubeconfig(
                path,
                server=f"https://{layout.network.host}:{self.plane.port}",
                ca=self.plane.pki.ca,
                user=component,
                credential=credential,
            )
            # The address is the relay's, which the server's certificate does not know.
            document = json.loads(path.read_text(encoding="utf-8"))
            document["clusters"][0]["cluster"]["tls-server-name"] = "localhost"
            path.write_text(json.dumps(document, indent=2), encoding="utf-8")

    def _start_inside(self, layout: config.Layout) -> Program:
        plan = layout.conf / "plan.json"
        libraries = library_environment(self._binaries)
        plan.write_text(
            json.dumps(config.first_process(layout, libraries), indent=2), encoding="utf-8"
        )
        words = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        module = "hack.cluster.node.inside"
        return self._start("node", ["unshare", *words, sys.executable, "-m", module, str(plan)])

    def _start_relay(self, joined: network.Network) -> None:
        port = str(self.plane.port)
        module = "hack.cluster.node.relay"
        self._start("relay", [sys.executable, "-m", module, joined.host, port, port])

    def _start(self, name: str, command: list[str]) -> Program:
        program = Program(
            name=name, command=command, log=self.directory / "log" / f"{name}.log", directory=ROOT
        )
        program.start()
        self._programs[name] = program
        ids = {n: p.id for n, p in self._programs.items() if p.id is not None}
        state.Record(str(self.plane.kubeconfig), ids).write(self.directory)
        return program


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_of_pod(process: psutil.Process, uid: str, word: str) -> bool:
    try:
        groups = Path(f"/proc/{process.pid}/cgroup").read_text(encoding="utf-8")
        return f"/pod{uid}/" in groups and any(word in part for part in process.cmdline())
    except (OSError, psutil.Error):  # it has ended meanwhile
        return False


def load(ctr: Path, socket: Path, archive: Path) -> None:
    """Put an archive's images into the containerd behind a socket.

    Raises:
        ClusterError: it is not an image, or containerd does not answer.
    """
    _ctr(ctr, socket, "images", "import", str(archive))


def _ctr(ctr: Path, socket: Path, *words: str) -> str:
    command = [str(ctr), "--address", str(socket), "--namespace", "k8s.io", *words]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_LOAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"ctr {' '.join(words)}: {error}") from error
    if result.returncode:
        raise ClusterError(f"ctr {' '.join(words)}: {' '.join(result.stderr.split())}")
    return result.stdout
