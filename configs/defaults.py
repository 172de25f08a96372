# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Keys that a provider cannot do without and no user wants to know: where it keeps its state.

A provider of the server does not own a database; its config points at a backend of ``storage``,
under a namespace or table of its own. Without them most do not boot. They are filled in here
(R-D16b), below whatever the user set in ``settings``.

APIs that the server routes (vector_io, datasetio, eval) can have several providers at work, so
their names carry the provider's id. Of the others only one provider works, and it gets the name
that the distributions' own configs use: its data is still there when a user puts another provider,
or the same one with another id, in the place of the distribution's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from configs.catalogue import ProviderType
from configs.eras import Era
from configs.secrets import reference

KV_BACKEND: Final = "kv_default"
"""Name of the key-value backend; the server's own default, so absent stores find it, too."""

SQL_BACKEND: Final = "sql_default"
"""Name of the SQL backend; likewise."""

INFERENCE_BACKEND: Final = "sql_inference"
"""Name of the SQL backend that only the log of completions uses: the server makes the tables of a
backend at its first use, and when the first chat and the first conversation come together, one of
them finds no table until the next restart (seen on 0.7.3, with SQLite and with PostgreSQL)."""

REGISTRY_BACKEND: Final = "kv_registry"
"""Name of the key-value backend for the registry, where a namespace does not set it apart: a file
of its own is what makes a new registry possible (``registry_key``). SQLite backends of the server
ignore namespaces."""

REGISTRY_FILE: Final = "registry"
"""Name of that file, without its number and ending."""

DATA_VARIABLE: Final = "SQLITE_STORE_DIR"
"""Variable for the folder of databases. The distributions' own configs use the same one."""

FILES_VARIABLE: Final = "FILES_STORAGE_DIR"
"""Variable for the folder of uploaded files; likewise."""

MOUNT_PATH: Final = "/.llama"
"""Where the data volume is mounted unless ``workload.storage.mountPath`` says otherwise."""


def data_folder(mount_path: str, distribution: str) -> str:
    """The folder of a distribution's data on the volume, as the images have it."""
    return f"{mount_path.rstrip('/')}/distributions/{distribution}"


def data_reference(distribution: str) -> str:
    """The same folder as a config writes it: the variable, or the default."""
    return reference(DATA_VARIABLE, data_folder(MOUNT_PATH, distribution))


def kv_reference(namespace: str) -> dict[str, str]:
    """A reference to the key-value backend."""
    return {"backend": KV_BACKEND, "namespace": namespace}


def sql_reference(table_name: str) -> dict[str, str]:
    """A reference to the SQL backend."""
    return {"backend": SQL_BACKEND, "table_name": table_name}


def files_reference(distribution: str) -> str:
    """The folder of uploaded files, likewise."""
    return reference(FILES_VARIABLE, f"{data_folder(MOUNT_PATH, distribution)}/files")


def structural(
    *, era: Era, api: str, kind: ProviderType, provider_id: str, distribution: str
) -> dict[str, Any]:
    """The structural keys that a provider type knows, with their values.

    Args:
        era: of the config.
        api: the server's name of the API.
        kind: of the provider; one that the catalogue lacks gets nothing.
        provider_id: unique in the config, so that names made from it do not clash.
        distribution: name of the distribution, for the folder of its data.
    """
    own = f"{api}::{provider_id}"
    # An id has no slash, and a colon is fine in the file names of a container.
    file = f"{data_reference(distribution)}/{provider_id}"
    makers: dict[str, Callable[[], Any]] = {
        "kvstore": lambda: kv_reference(api if api == "batches" else own),
        "sqlstore": lambda: sql_reference(api),
        "db_path": lambda: f"{file}.db",
        "path": lambda: file,
    }
    if api in {"agents", "responses"}:
        makers["persistence"] = lambda: _responses(era)
    elif api == "files":
        makers["storage_dir"] = lambda: files_reference(distribution)
        makers["metadata_store"] = lambda: sql_reference("files_metadata")
    else:
        makers["persistence"] = lambda: kv_reference(own)
    return {key: make() for key, make in makers.items() if key in kind.keys}


def _responses(era: Era) -> dict[str, Any]:
    responses = {"responses": sql_reference("responses")}
    return responses if era == "ogx" else {"agent_state": kv_reference("agents"), **responses}
