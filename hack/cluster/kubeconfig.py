# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Kubeconfig files with embedded credentials, so that a file can be copied and used anywhere.

They are written as JSON, which is YAML too: no YAML library is needed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from hack.cluster.pki import Credential, write_private


def write_kubeconfig(
    path: Path,
    *,
    server: str,
    ca: bytes,
    user: str,
    credential: Credential | None = None,
    token: str = "",
) -> Path:
    """Write a kubeconfig for one user of one server, readable by its owner only.

    Args:
        path: the file; its directory is made.
        server: URL of the API server.
        ca: certificate (PEM) that the server is verified with.
        user: name of the entry; what the server believes comes from the credential.
        credential: client certificate, or None for a token or an anonymous user.
        token: bearer token.
    """
    login: dict[str, str] = {}
    if credential is not None:
        login["client-certificate-data"] = _base64(credential.certificate)
        login["client-key-data"] = _base64(credential.key)
    if token:
        login["token"] = token
    document: Mapping[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": server, "certificate-authority-data": _base64(ca)},
            }
        ],
        "users": [{"name": user, "user": login}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(document, indent=2).encode() + b"\n")
    return path


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
