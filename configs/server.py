# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The ``server`` section: port, workers, TLS files (FR-060, FR-061, FR-062, R-D14).

``llama stack run`` takes the port from its environment, not from here; it is written all the same,
so that the file says what runs. TLS files and workers are read from here and from nowhere else. The
key ``tls_cafile`` is never set: it makes the server demand client certificates, and then nothing
can probe it; a CA bundle reaches the server as ``SSL_CERT_FILE``.

A server of the era ogx refuses to serve plain HTTP unless ``insecure`` says that it is meant. It
is: TLS is off by default, and then the traffic stays in the cluster or a proxy in front ends it.
"""

from __future__ import annotations

from typing import Final

from api.v1alpha2 import Spec
from configs.draft import Draft

TLS_FOLDER: Final = "/etc/llama-stack-tls"
"""Where the pod mounts the Secret of ``networking.tls``. Not below /etc/llama-stack: that is a
mount of its own, read-only, in which no folder can be made."""

LOWEST_PORT: Final = 1024
"""The server's own limit."""


ANY_ADDRESS: Final = "::"
"""Every address of the pod, IPv4 as well; what servers from 0.7 on bind by themselves."""

_TWO_HOSTS: Final = frozenset({"0.4", "0.5-0.6"})
"""Eras whose servers bind a list of two hosts by default, and die of it with several workers."""


def apply(spec: Spec, draft: Draft) -> None:
    """Writes the section; keys of the base that are not the user's stay."""
    server = draft.data["server"]
    port = spec.networking.port
    if port < LOWEST_PORT:
        draft.findings.error(
            "spec.networking.port", f"the server takes no port below {LOWEST_PORT}"
        )
    server["port"] = port
    if spec.workload.workers is not None:
        server["workers"] = spec.workload.workers
    if draft.era in _TWO_HOSTS and server.get("workers", 1) > 1:
        server.setdefault("host", ANY_ADDRESS)
    tls = spec.networking.tls
    if tls and tls.enabled:
        server["tls_certfile"] = f"{TLS_FOLDER}/tls.crt"
        server["tls_keyfile"] = f"{TLS_FOLDER}/tls.key"
    if draft.era == "ogx" and not (server.get("tls_certfile") and server.get("tls_keyfile")):
        server["insecure"] = True
