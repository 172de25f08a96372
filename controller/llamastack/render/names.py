# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Names of children. Binding: a cluster moves from the Go operator to this one in place (R-D10)."""

from __future__ import annotations

from configs import connection

CONFIG_HASH_LENGTHS = (8, 16, 64)
"""Hex digits of a generated ConfigMap's name; longer ones only after a collision (R-D3)."""


def deployment(cr: str) -> str:
    """The Deployment has the name of the resource."""
    return cr


def service(cr: str) -> str:
    """Service, in front of all pods."""
    return f"{cr}-service"


def service_account(cr: str) -> str:
    """ServiceAccount of the pods, unless overridden."""
    return f"{cr}-sa"


def ingress(cr: str) -> str:
    """Ingress, if the server is exposed."""
    return f"{cr}-ingress"


def claim(cr: str) -> str:
    """PersistentVolumeClaim of the data volume, if there is one."""
    return f"{cr}-pvc"


def route(cr: str) -> str:
    """Route, if the server is exposed on OpenShift."""
    return f"{cr}-route"


def role_binding(cr: str) -> str:
    """RoleBinding of the ServiceAccount, where there is one."""
    return f"{cr}-rb"


def network_policy(cr: str) -> str:
    """NetworkPolicy of the pods, where policies are switched on."""
    return f"{cr}-network-policy"


def autoscaler(cr: str) -> str:
    """HorizontalPodAutoscaler of the Deployment."""
    return f"{cr}-hpa"


def pod_disruption_budget(cr: str) -> str:
    """PodDisruptionBudget of the pods."""
    return f"{cr}-pdb"


def ca_bundle(cr: str) -> str:
    """ConfigMap of the certificates that the server trusts."""
    return f"{cr}-ca-bundle"


def storage_secret(cr: str) -> str:
    """Secret with the variables of databases."""
    return connection.secret_name(cr)


def config_map(cr: str, config_hash: str, length: int = CONFIG_HASH_LENGTHS[0]) -> str:
    """Generated ConfigMap; its content never changes under one name.

    Args:
        cr: name of the resource.
        config_hash: sha256 of config.yaml in hex.
        length: digits of it to use.
    """
    return f"{cr}-config-{config_hash[:length]}"
