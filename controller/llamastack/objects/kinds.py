# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The kinds of object this controller reads and writes, and the names it is known by."""

from __future__ import annotations

import api
from informers.ports import Resource

LLAMA_STACK = Resource(api.GROUP, api.VERSION, api.KIND, api.PLURAL)
DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments")
REPLICA_SET = Resource("apps", "v1", "ReplicaSet", "replicasets")
POD = Resource("", "v1", "Pod", "pods")
SERVICE = Resource("", "v1", "Service", "services")
SERVICE_ACCOUNT = Resource("", "v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps")
PERSISTENT_VOLUME_CLAIM = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SECRET = Resource("", "v1", "Secret", "secrets")
AUTOSCALER = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
POD_DISRUPTION_BUDGET = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
INGRESS = Resource("networking.k8s.io", "v1", "Ingress", "ingresses")
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
ROUTE = Resource("route.openshift.io", "v1", "Route", "routes")
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = Resource(
    "rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False
)
SECURITY_CONTEXT_CONSTRAINTS = Resource(
    "security.openshift.io",
    "v1",
    "SecurityContextConstraints",
    "securitycontextconstraints",
    namespaced=False,
)
EVENT = Resource("events.k8s.io", "v1", "Event", "events")

ANYUID_ROLE = "system:openshift:scc:anyuid"
"""ClusterRole of OpenShift: its pods may have any user id. The Go operator's servers had it."""

FIELD_MANAGER = "llamastack-operator"
"""Owns the fields of children. Part of the API: renaming it orphans fields (G1)."""

STATUS_FIELD_MANAGER = "llamastack-operator-status"
"""Owns the status of the custom resource."""

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY_VALUE = "llama-stack-operator"
MANAGED_BY_SELECTOR = f"{MANAGED_BY}={MANAGED_BY_VALUE}"
"""Selects what our caches of children hold; a child that lost the label looks deleted (B10)."""

UNMANAGED_SELECTOR = f"{MANAGED_BY}!={MANAGED_BY_VALUE}"
"""Selects what others made, with the label or without; spares us our own objects twice."""

APPLIED_HASH = "llamastack.io/applied-hash"
"""Annotation on a child: hash of the manifest last applied, so that a field which we no longer
send is noticed without keeping managed fields in memory."""

AUTOSCALED = "llamastack.io/autoscaled"
"""Annotation on the Deployment: its replicas were handed over to an autoscaler."""

CONFIG_HASH = "llamastack.io/config-hash"
"""Annotation on a generated ConfigMap: sha256 of config.yaml; proves content to a cache that
holds metadata only."""

REGISTRY_STATE = "llamastack.io/registry-state"
"""Annotation on the Deployment, and on generated ConfigMaps: which registry the server uses, and
what that may know (R-D16c)."""

CONFIG_MAPS_HASH = "llamastack.io/config-maps-hash"
"""Annotation on the pod template: hash of what the pod uses of the users' ConfigMaps; changed
content rolls the pods, an equal rewrite does not."""

CONFIG_MAPS_SEEN = "llamastack.io/config-maps-seen"
"""Annotation on the Deployment: hash of uid and resourceVersion of the referenced ConfigMaps, the
content hash that they led to, and the digest of the user's own configuration, if there is one."""

MERGE_REVISION = "llamastack.io/merge-revision"
"""Annotation on the pod template: what the merge of external providers does; another revision of
it may come to another configuration, so it rolls the pods; another image of it alone does not."""

TEMPLATE_HASH = "llamastack.io/template-hash"
"""Annotation on the Deployment of a server with external providers: hash of its pod template, so
that what concerns no pod, such as scaling, does not bring another image for the merge."""

RETAINED_FOR = "llamastack.io/retained-for"
"""Annotation on a claim without an owner: name of the resource that it belongs to, whichever
incarnation of it there is."""

CA_BUNDLE_HASH = "llamastack.io/ca-bundle-hash"
"""Annotation on the pod template, and on the ConfigMap of trusted certificates: hash of them; other
certificates roll the pods, the same in another order or object do not."""

CA_BUNDLE_SOURCES = "llamastack.io/ca-bundle-sources"
"""Annotation on that ConfigMap: hash of uid and resourceVersion of what it was made from."""

CA_BUNDLE_NOTE = "llamastack.io/ca-bundle-note"
"""Annotation on that ConfigMap: what is wrong with a certificate that is used all the same."""

SECRETS_HASH = "llamastack.io/secrets-hash"
"""Annotation on the pod template: hash of uid and resourceVersion of the referenced Secrets,
never of their values; a rotated Secret rolls the pods (R-D16)."""

STORAGE_SOURCES = "llamastack.io/storage-sources"
"""Annotation on the Secret of connection strings, and on the pod template that uses it: hash of
what it is made from, uid and resourceVersion of the user's Secrets included, never of values."""

OPERATOR_CONFIG_NAME = "llama-stack-operator-config"
"""The administrator's ConfigMap, in the operator's namespace; the Go operator's name."""

FEATURE_FLAGS = "featureFlags"
"""A key of it."""

IMAGE_OVERRIDES = "image-overrides"
"""Another key of it."""

NETWORK_POLICY_FLAG = "enableNetworkPolicy"
"""A flag in the first key."""

NETWORK_POLICY_PATH = f"{FEATURE_FLAGS}: {NETWORK_POLICY_FLAG}.enabled"
"""How messages name it."""
