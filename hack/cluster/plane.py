# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One control plane: started, used, disturbed and stopped.

etcd and the API server start together (the latter retries until etcd answers), the controllers as
soon as the API server is ready; that takes three to four seconds. A port that turns out to be taken
is replaced by another one. RBAC and the audit log are always on, because least privilege and "wrote
nothing" are things the tests are about.

Every control plane is independent of every other: own directory, own certificate authority, own
port, etcd on a unix socket. It needs no privileges and no network.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from api.conditions import is_true
from hack.cluster import flags, keeper, state
from hack.cluster.audit import POLICY, AuditLog
from hack.cluster.client import Client
from hack.cluster.errors import ClusterError, ProcessFailedError
from hack.cluster.kubeconfig import write_kubeconfig
from hack.cluster.nodes import STAGES, create_nodes, nodes_are_ready
from hack.cluster.pki import ADMIN_GROUP, Credential, Pki, write_credential
from hack.cluster.ports import free_port, is_free
from hack.cluster.process import Program

_API_SECONDS = 60.0  # 2 to 3 s when the machine is idle; loaded machines have needed 11 s
_CONTROLLER_SECONDS = 30.0
_TOKEN_SECONDS = 3600
_PORT_ATTEMPTS = 5
_PORT_TAKEN = "address already in use"


@dataclass(frozen=True, slots=True)
class PlaneOptions:
    """What a control plane consists of.

    Attributes:
        controller_manager: run the controllers (garbage collection, service accounts, Deployments).
        scheduler: bind Pods to nodes.
        nodes: simulated nodes, on which Pods become Ready at once; starts kwok if not 0, and needs
            the controllers, which make a new node usable.
        port: of the API server; 0 picks a free one.
        directory: where everything is; None makes a temporary one.
        detached: outlive this process, as ``up`` needs it; otherwise a keeper cleans up after it.
        apiserver_flags: more flags for the API server; the last mention of a flag wins.
    """

    controller_manager: bool = True
    scheduler: bool = False
    nodes: int = 0
    port: int = 0
    directory: Path | None = None
    detached: bool = False
    apiserver_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.nodes and not self.controller_manager:
            raise ValueError("nodes need the controller manager")


class ControlPlane:
    """A control plane that this process starts and stops.

    Args:
        binaries: where each program is, by name.
        options: what to run.
        pick_port: finds a port for the API server, another one when it turns out to be taken.

    Attributes:
        directory: certificates, kubeconfigs, logs and data; removed by ``down``.
        kubeconfig: the administrator's.
        audit: what the API server was asked.
        pki: to issue more certificates; exists once ``up`` has begun.
    """

    pki: Pki

    def __init__(
        self,
        binaries: Mapping[str, Path],
        options: PlaneOptions | None = None,
        *,
        pick_port: Callable[[], int] = free_port,
    ) -> None:
        self.options = options or PlaneOptions()
        self._pick_port = pick_port
        self._binaries = binaries
        self.directory = self.options.directory or Path(tempfile.mkdtemp(prefix="llsd-"))
        self.kubeconfig = self.directory / "kubeconfig"
        self.port = self.options.port
        self.audit = AuditLog(self.directory / "audit.log", lambda: self.client)
        self._programs: dict[str, Program] = {}
        self._users: dict[tuple[str, tuple[str, ...]], Path] = {}
        self._clients: dict[tuple[str, tuple[str, ...]], Client] = {}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._ours = self.options.directory is None  # otherwise, once it is claimed

    def __enter__(self) -> ControlPlane:
        self.up()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.down()

    # --- life ------------------------------------------------------------------------------

    def up(self) -> None:
        """Start everything and wait until it is ready; leaves nothing behind if that fails.

        Raises:
            ClusterError: a program did not become ready, or the directory or port is not free.
        """
        state.claim(self.directory)
        self._ours = True
        try:
            self._up()
        except BaseException:
            self.down()
            raise

    def _up(self) -> None:
        if self.options.port and not is_free(self.options.port):
            msg = f"port {self.options.port} on 127.0.0.1 is in use: choose another one"
            raise ClusterError(msg)
        for name in ("log", "conf", "etcd"):
            (self.directory / name).mkdir(mode=0o700, exist_ok=True)
        if not self.options.detached:
            self._keeper = keeper.start_keeper(self.directory)
        self.pki = Pki(self.directory / "pki", server_names=flags.SERVER_NAMES)
        self._policy.write_text(json.dumps(POLICY), encoding="utf-8")
        self._start("etcd", flags.etcd(self._binaries["etcd"]), self.directory / "etcd")
        self._first_start_of_apiserver()
        if self.options.controller_manager:
            self._start_controller_manager()
        if self.options.scheduler:
            self._start_scheduler()
        if self.options.nodes:
            self._start_nodes()
        if self.options.controller_manager:
            # The first thing every Pod needs, and the proof that the controllers work.
            self._programs["kube-controller-manager"].wait_until(
                lambda: self.client.exists("/api/v1/namespaces/default/serviceaccounts/default"),
                seconds=_CONTROLLER_SECONDS,
            )
        self._wait_for_nodes()

    def down(self) -> None:
        """Stop everything at once and remove the directory; fine if it is stopped already."""
        try:
            for program in reversed(self._programs.values()):
                program.stop(grace=0)
        finally:
            if self._keeper is not None:
                keeper.release_keeper(self._keeper)
                self._keeper = None
            if self._ours:
                state.remove(self.directory)

    def stop_apiserver(self, *, kill: bool = True) -> None:
        """Take the API server away; etcd and everything else stay.

        Args:
            kill: SIGKILL, as a crash; otherwise SIGTERM, on which it closes watches orderly.
        """
        self._programs["kube-apiserver"].stop(grace=0 if kill else 30)

    def start_apiserver(self) -> None:
        """Bring it back on the same port with the same data; nothing happens if it runs."""
        program = self._programs["kube-apiserver"]
        if not program.running():
            program.start()
            self._record()
            self._wait_for_apiserver()

    def restart_apiserver(self, *, kill: bool = True) -> None:
        """Stop and start the API server; returns when it is ready again."""
        self.stop_apiserver(kill=kill)
        self.start_apiserver()

    @property
    def programs(self) -> Mapping[str, Program]:
        """The programs that were started, by name."""
        return self._programs

    # --- use -------------------------------------------------------------------------------

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def client(self) -> Client:
        """The administrator's client, which the audit log calls ``control-plane-fixture``."""
        return self.client_for("admin", groups=(ADMIN_GROUP,))

    def client_for(self, user: str, *, groups: tuple[str, ...] = ()) -> Client:
        """A client that the API server takes for ``user`` in ``groups``."""
        if (user, groups) not in self._clients:
            path = self._certificate_of(user, groups)
            self._clients[user, groups] = Client(
                self.port,
                ca=self.pki.certificate("ca"),
                certificate=path.with_suffix(".crt"),
                key=path.with_suffix(".key"),
            )
        return self._clients[user, groups]

    def anonymous_client(self) -> Client:
        """A client without any credential."""
        return Client(self.port, ca=self.pki.certificate("ca"))

    def kubeconfig_for(self, user: str, *, groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig of a user who may do what RBAC grants that name and those groups."""
        path = self._certificate_of(user, groups)
        credential = Credential(
            path.with_suffix(".crt").read_bytes(), path.with_suffix(".key").read_bytes()
        )
        return self._write_kubeconfig(path, user, credential=credential)

    def kubeconfig_for_service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of a service account (TokenRequest), valid for an hour.

        Raises:
            ApiFailure: there is no such service account.
        """
        answer = self.client.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": _TOKEN_SECONDS},
            },
        )
        path = self.directory / "conf" / f"sa-{namespace}-{name}-{time.time_ns()}.kubeconfig"
        return self._write_kubeconfig(path, name, token=answer["status"]["token"])

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 30.0) -> str:
        """Run kubectl as the administrator; what it prints.

        Raises:
            ClusterError: it failed or took longer than ``timeout`` seconds.
        """
        command = [
            str(self._binaries["kubectl"]),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self._kubectl_cache}",
            *arguments,
        ]
        shown = " ".join(("kubectl", *arguments))
        try:
            result = subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            msg = f"{shown}: took longer than {timeout:.0f} s"
            raise ClusterError(msg) from error
        if result.returncode:
            msg = f"{shown}: {result.stderr.strip()}"
            raise ClusterError(msg)
        return result.stdout

    def wait_for_definitions(self, seconds: float = 25.0) -> None:
        """Wait until every custom resource is served, and kubectl does not know better.

        ``kubectl wait`` ends with an error when it finds a definition that has no conditions yet.
        kubectl remembers for hours which resources there are, and looks again only after it has
        failed once for a short name.

        Raises:
            ClusterError: one is not in time.
        """
        deadline = time.monotonic() + seconds
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        while waiting := [
            d for d in self.client.get(path)["items"] if not is_true(d, "Established")
        ]:
            if time.monotonic() > deadline:
                names = ", ".join(d["metadata"]["name"] for d in waiting)
                raise ClusterError(f"not established after {seconds:.0f} s: {names}")
            time.sleep(0.05)
        shutil.rmtree(self._kubectl_cache, ignore_errors=True)

    # --- parts -----------------------------------------------------------------------------

    @property
    def _kubectl_cache(self) -> Path:
        return self.directory / "kubectl-cache"

    @property
    def _policy(self) -> Path:
        return self.directory / "conf" / "audit-policy.json"

    def _first_start_of_apiserver(self) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = self.options.port or self._pick_port()
            self._clients.clear()
            self._write_kubeconfig(
                self.kubeconfig, "admin", credential=self.pki.credential("admin")
            )
            command = flags.apiserver(
                self._binaries["kube-apiserver"],
                port=self.port,
                pki=self.pki,
                audit_policy=self._policy,
                audit_log=self.audit.path,
            )
            command += self.options.apiserver_flags
            self._start("kube-apiserver", command, self.directory / "etcd")
            try:
                self._wait_for_apiserver()
            except ProcessFailedError as error:
                taken = _PORT_TAKEN in error.output
                if self.options.port or attempt == _PORT_ATTEMPTS or not taken:
                    raise
                self.stop_apiserver()
            else:
                return

    def _wait_for_apiserver(self) -> None:
        etcd = self._programs["etcd"]

        def ready() -> bool:
            if not etcd.running():
                raise etcd.failure("etcd ended")
            return self.client.ready()

        self._programs["kube-apiserver"].wait_until(ready, seconds=_API_SECONDS)

    def _start_controller_manager(self) -> None:
        kubeconfig = self._component_kubeconfig("controller-manager")
        binary = self._binaries["kube-controller-manager"]
        command = flags.controller_manager(binary, kubeconfig=kubeconfig, pki=self.pki)
        self._start("kube-controller-manager", command)

    def _start_scheduler(self) -> None:
        kubeconfig = self._component_kubeconfig("scheduler")
        command = flags.scheduler(self._binaries["kube-scheduler"], kubeconfig=kubeconfig)
        self._start("kube-scheduler", command)

    def _start_nodes(self) -> None:
        kubeconfig = self.kubeconfig_for("kwok", groups=(ADMIN_GROUP,))
        self._start(
            "kwok", flags.kwok(self._binaries["kwok"], kubeconfig=kubeconfig, stages=STAGES)
        )
        create_nodes(self.client, self.options.nodes)

    def _wait_for_nodes(self) -> None:
        count = self.options.nodes
        if count:
            self._programs["kwok"].wait_until(
                lambda: nodes_are_ready(self.client, count), seconds=_CONTROLLER_SECONDS
            )

    def _start(self, name: str, command: list[str], directory: Path | None = None) -> None:
        self._programs[name] = Program(
            name=name,
            command=command,
            log=self.directory / "log" / f"{name}.log",
            directory=directory or self.directory,
        )
        self._programs[name].start()
        self._record()

    def _record(self) -> None:
        ids = {name: p.id for name, p in self._programs.items() if p.id is not None}
        state.Record(str(self.kubeconfig), ids).write(self.directory)

    def _component_kubeconfig(self, component: str) -> Path:
        path = self.directory / "conf" / f"{component}.kubeconfig"
        return self._write_kubeconfig(path, component, credential=self.pki.credential(component))

    def _certificate_of(self, user: str, groups: tuple[str, ...]) -> Path:
        """The kubeconfig's path for a user; certificate and key lie beside it."""
        if (user, groups) not in self._users:
            readable = re.sub(r"[^a-z0-9-]+", "-", user.lower())
            path = self.directory / "conf" / f"{len(self._users)}-{readable}.kubeconfig"
            write_credential(path, self.pki.client_cert(user, groups))
            self._users[user, groups] = path
        return self._users[user, groups]

    def _write_kubeconfig(
        self, path: Path, user: str, *, credential: Credential | None = None, token: str = ""
    ) -> Path:
        return write_kubeconfig(
            path, server=self.server, ca=self.pki.ca, user=user, credential=credential, token=token
        )
