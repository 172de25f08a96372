# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The RoleBinding that lets pods of OpenShift have the user id that they name.

Only where all of this is so: the ClusterRole of OpenShift exists, an administrator gave the
operator the right to bind it (``deploy/openshift-anyuid``), and pods name an id at all, which by
default they do not on OpenShift. Only the account that is the resource's own gets it: who may write
a resource must not choose whom the operator gives a right to. docs/decisions/0017 has the reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import (
    ANYUID_ROLE,
    CLUSTER_ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from controller.llamastack.render import names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs


def render(inputs: Inputs) -> Child | None:
    """Account of the resource → ClusterRole."""
    if not inputs.options.fixed_uids or inputs.spec.workload.overrides.service_account_name:
        return None
    account = {
        "kind": SERVICE_ACCOUNT.kind,
        "name": names.service_account(inputs.name),
        "namespace": inputs.namespace,
    }
    role = {"apiGroup": CLUSTER_ROLE.group, "kind": CLUSTER_ROLE.kind, "name": ANYUID_ROLE}
    content = {"roleRef": role, "subjects": [account]}
    return child(inputs, ROLE_BINDING, names.role_binding(inputs.name), content)
