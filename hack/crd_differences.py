# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How our v1alpha1 differs from the Go operator's CRD, and why.

One table: a test holds it against that CRD, difference by difference, and ``make crd`` writes it
into ``docs/migration-v1alpha1-to-v1alpha2.md``.

Nothing is required here that is not required there, and no list is a set or a map that is none
there: both would be asked of stored objects, too. Everything else is asked only of what an update
changes (the API server ratchets), so a stored value that is refused today stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from api.v1alpha1.added import GENERATED, SERVED

Change: TypeAlias = tuple[str, Any, Any]
"""A keyword of the schema, its value in the Go operator's CRD, its value in ours; ``None`` for a
keyword that is not there. The keyword ``field`` is a whole field."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Fields that differ in the same way for the same reason.

    Attributes:
        paths: of the fields.
        changes: in the schema of each.
        words: what is different, for users.
        reason: why.
    """

    paths: tuple[str, ...]
    changes: tuple[Change, ...]
    words: str
    reason: str


VERSION: Final = "(version)"
"""The path of what is said beside the schema."""

_ADDED: Final = (("field", None, True),)
_NOT_EMPTY: Final = (("minLength", None, 1),)
_AT_LEAST_1: Final = (("minimum", None, 1),)

_NAME: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAMES: Final = rf"{_NAME}(\.{_NAME})*"
_GO_NUMBER: Final = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
_NUMBER: Final = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"

_VALUE_FROM: Final = "spec.server.containerSpec.env[].valueFrom"
_SPREAD: Final = "spec.server.topologySpreadConstraints[]"
_MOUNT: Final = "spec.server.podOverrides.volumeMounts[]"
_AUTOSCALING: Final = "spec.server.autoscaling"

_POD_REFUSED: Final = "the API server refuses the Deployment otherwise"


def _pattern(pattern: str, longest: int) -> tuple[Change, ...]:
    return ("pattern", None, f"^{pattern}$"), ("maxLength", None, longest)


def _rules(*cel: str, go: tuple[str, ...] | None = None) -> tuple[Change, ...]:
    return (("x-kubernetes-validations", go, cel),)


def _one_of(values: tuple[str, ...], *paths: str) -> Difference:
    words = f"one of {', '.join(values)}"
    return Difference(paths, (("enum", None, values),), words, _POD_REFUSED)


_NO_USER_CONFIG: Final = "!has(self.userConfig) || self.userConfig.configMapName == ''"

DIFFERENCES: Final = (
    # --- added ---
    Difference(
        GENERATED,
        _ADDED,
        "new",
        "the operator generates the server's configuration",
    ),
    Difference(
        SERVED,
        _ADDED,
        "new",
        "the server's own port and certificate",
    ),
    Difference(
        (
            "status.observedGeneration",
            "status.selector",
            "status.distributionConfig.podTemplate",
            "status.resolvedDistribution",
            "status.configGeneration",
            "status.externalProviders",
            "status.generatedConfigMap",
        ),
        _ADDED,
        "new",
        "the status says everything that v1alpha2 says",
    ),
    # --- rules across fields ---
    Difference(
        ("",),
        _rules(
            "oldSelf.hasValue() || self.metadata.name.size() <= 48",
            "oldSelf.hasValue() || !self.metadata.name.contains('.')",
        ),
        "a new resource has a name of at most 48 characters, without dots",
        "the names of its objects are made from it; the Go operator admits such a resource, which"
        " then stays Failed",
    ),
    Difference(
        ("spec.server",),
        _rules(
            f"{_NO_USER_CONFIG} || !has(self.providers)",
            f"{_NO_USER_CONFIG} || !has(self.resources)",
            f"{_NO_USER_CONFIG} || !has(self.storage)"
            " || (!has(self.storage.type) && !has(self.storage.connectionString))",
            f"{_NO_USER_CONFIG} || !has(self.disabled)",
        ),
        "userConfig excludes providers, resources, disabled and the store of storage",
        "it replaces the whole configuration that those are for; all of them are new",
    ),
    Difference(
        ("spec.server.storage",),
        _rules("!has(self.type) || self.type != 'postgres' || has(self.connectionString)"),
        "the type postgres needs a connectionString",
        "both fields are new",
    ),
    Difference(
        ("spec.server.distribution",),
        _rules("has(self.name) != has(self.image)", go=("!(has(self.name) && has(self.image))",)),
        "one of name and image is set, not at most one",
        "without either there is nothing to run, and the resource stays Failed",
    ),
    Difference(
        ("spec.server.podDisruptionBudget",),
        _rules("!has(self.minAvailable) || !has(self.maxUnavailable)"),
        "not both fields",
        "the API server refuses the PodDisruptionBudget otherwise",
    ),
    Difference(
        (_AUTOSCALING,),
        _rules("!has(self.minReplicas) || self.minReplicas <= self.maxReplicas"),
        "minReplicas is at most maxReplicas",
        "the API server refuses the HorizontalPodAutoscaler otherwise",
    ),
    Difference(
        ("spec.server.containerSpec.env",),
        (
            ("maxItems", None, 1024),
            *_rules(
                "self.all(entry, !has(entry.valueFrom) || !has(entry.value) || entry.value == '')"
            ),
        ),
        "a variable with valueFrom has no value; at most 1024 variables",
        f"{_POD_REFUSED}; the limit bounds what the rule costs",
    ),
    # --- numbers ---
    Difference(
        ("spec.replicas",),
        (("minimum", None, 0),),
        "not negative",
        _POD_REFUSED,
    ),
    Difference(
        ("spec.server.containerSpec.port",),
        (("minimum", None, 0), ("maximum", None, 65535)),
        "from 0 to 65535",
        f"{_POD_REFUSED}; 0 is as if it were absent",
    ),
    Difference(
        (
            f"{_AUTOSCALING}.maxReplicas",
            f"{_AUTOSCALING}.minReplicas",
            f"{_AUTOSCALING}.targetCPUUtilizationPercentage",
            f"{_AUTOSCALING}.targetMemoryUtilizationPercentage",
        ),
        _AT_LEAST_1,
        "at least 1",
        "the API server refuses the HorizontalPodAutoscaler otherwise; of maxReplicas 0 the Go"
        " operator made an autoscaler that fought its own replicas",
    ),
    Difference(
        ("spec.server.podOverrides.terminationGracePeriodSeconds",),
        (("minimum", None, 0),),
        "not negative",
        "Kubernetes takes a negative one for 1",
    ),
    Difference(
        (f"{_SPREAD}.maxSkew", f"{_SPREAD}.minDomains"),
        _AT_LEAST_1,
        "at least 1",
        _POD_REFUSED,
    ),
    Difference(
        (
            "spec.server.containerSpec.resources.requests.*",
            "spec.server.containerSpec.resources.limits.*",
            f"{_VALUE_FROM}.resourceFieldRef.divisor",
            "spec.server.storage.size",
        ),
        (
            (
                "pattern",
                rf"^(\+|-)?{_GO_NUMBER}(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{_GO_NUMBER}))?$",
                rf"^{_NUMBER}([KMGTPE]i|[numkMGTPE]|[eE](\+|-)?{_NUMBER})?$",
            ),
        ),
        "a quantity without a sign",
        "a negative one is refused with every pod; nobody writes the other sign",
    ),
    # --- words ---
    _one_of(("DoNotSchedule", "ScheduleAnyway"), f"{_SPREAD}.whenUnsatisfiable"),
    _one_of(
        ("DoesNotExist", "Exists", "In", "NotIn"),
        f"{_SPREAD}.labelSelector.matchExpressions[].operator",
    ),
    _one_of(("Honor", "Ignore"), f"{_SPREAD}.nodeAffinityPolicy", f"{_SPREAD}.nodeTaintsPolicy"),
    _one_of(("Bidirectional", "HostToContainer", "None"), f"{_MOUNT}.mountPropagation"),
    _one_of(("Disabled", "Enabled", "IfPossible"), f"{_MOUNT}.recursiveReadOnly"),
    # --- names and texts ---
    Difference(
        ("spec.server.distribution.name",),
        (("minLength", None, 1), ("maxLength", None, 253)),
        "from 1 to 253 characters",
        "an empty one is none, and the resource stays Failed",
    ),
    Difference(
        ("spec.server.distribution.image",),
        (("minLength", None, 1), ("maxLength", None, 1024)),
        "from 1 to 1024 characters",
        "an empty one is none, and the resource stays Failed",
    ),
    Difference(
        (
            "spec.server.userConfig.configMapName",
            "spec.server.tlsConfig.caBundle.configMapName",
            "spec.server.podOverrides.serviceAccountName",
        ),
        _pattern(f"({_NAMES})?", 253),
        "the name of an object, or empty",
        "there can be no object of another name; an empty one is as if it were absent",
    ),
    Difference(
        (f"{_VALUE_FROM}.secretKeyRef.name", f"{_VALUE_FROM}.configMapKeyRef.name"),
        _pattern(f"({_NAMES})?", 253),
        "the name of an object, or empty",
        f"{_POD_REFUSED}; the empty one is refused later: it is a default of the Go operator's CRD",
    ),
    Difference(
        (
            "spec.server.userConfig.configMapNamespace",
            "spec.server.tlsConfig.caBundle.configMapNamespace",
        ),
        _pattern(f"({_NAME})?", 63),
        "the name of a namespace, or empty",
        "there can be no namespace of another name; an empty one is as if it were absent",
    ),
    Difference(
        ("spec.server.containerSpec.name",),
        _pattern(f"({_NAME})?", 63),
        "the name of a container, or empty",
        f"{_POD_REFUSED}; an empty one is as if it were absent",
    ),
    Difference(
        (f"{_VALUE_FROM}.secretKeyRef.key", f"{_VALUE_FROM}.configMapKeyRef.key"),
        _pattern("[-._a-zA-Z0-9]+", 253),
        "a key that a Secret or ConfigMap can have",
        _POD_REFUSED,
    ),
    Difference(
        ("spec.server.tlsConfig.caBundle.configMapKeys[]",),
        _pattern("[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?", 253),
        "a key that is safe as the name of a file",
        "the Go operator asks for the same, but only when it reconciles: markers in its code are"
        " misspelt",
    ),
    Difference(
        (
            "spec.server.containerSpec.env[].name",
            "spec.server.containerSpec.resources.claims[].name",
            f"{_VALUE_FROM}.fieldRef.fieldPath",
            f"{_VALUE_FROM}.resourceFieldRef.resource",
            f"{_VALUE_FROM}.fileKeyRef.volumeName",
            f"{_VALUE_FROM}.fileKeyRef.path",
            f"{_VALUE_FROM}.fileKeyRef.key",
            "spec.server.podOverrides.volumes[].name",
            f"{_MOUNT}.name",
            f"{_MOUNT}.mountPath",
            f"{_SPREAD}.topologyKey",
            f"{_SPREAD}.labelSelector.matchExpressions[].key",
        ),
        _NOT_EMPTY,
        "not empty",
        _POD_REFUSED,
    ),
    Difference(
        ("spec.network.allowedFrom.namespaces[]",),
        _pattern(r"(\*|([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?)", 63),
        "`*`, or what the value of a label may be",
        "the API server refuses the NetworkPolicy otherwise; what names no namespace lets nobody"
        " in",
    ),
    Difference(
        ("spec.network.allowedFrom.labels[]",),
        _pattern(rf"({_NAME}(\.{_NAME})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?", 317),
        "the key of a label, without a value",
        "the API server refuses the NetworkPolicy otherwise",
    ),
    Difference(
        ("spec.network.allowedFrom.namespaces",),
        (("maxItems", None, 256),),
        "at most 256",
        "the size of the NetworkPolicy is bounded",
    ),
    Difference(
        ("spec.network.allowedFrom.labels",),
        (("maxItems", None, 64),),
        "at most 64",
        "the size of the NetworkPolicy is bounded",
    ),
    # --- open nodes ---
    Difference(
        ("spec.server.podOverrides.volumes[]",),
        (("x-kubernetes-preserve-unknown-fields", None, True),),
        "every source of a volume is kept as it is written, and no default is filled in",
        "there are thirty sources, and Kubernetes adds to them; the API server checks them when it"
        " takes the Deployment",
    ),
    # --- status ---
    Difference(
        ("status.conditions",),
        (
            ("x-kubernetes-list-type", "atomic", "map"),
            ("x-kubernetes-list-map-keys", None, ["type"]),
        ),
        "a map by type",
        "each condition has its own owner under server-side apply",
    ),
    Difference(
        ("status.distributionConfig.providers[]",),
        (
            (
                "required",
                ("api", "config", "health", "provider_id", "provider_type"),
                ("api", "provider_id", "provider_type"),
            ),
        ),
        "config and health are not required",
        "a server that leaves one out would keep the whole status from being written",
    ),
    Difference(
        ("status.distributionConfig.providers[].health",),
        (("required", ("message", "status"), None),),
        "no field is required",
        "a server that leaves one out would keep the whole status from being written",
    ),
    # --- the version itself ---
    Difference(
        (VERSION,),
        (("storage", True, False),),
        "served but not stored",
        "v1alpha2 is the storage version",
    ),
)
"""All of them. What is not in this table is the same in both."""


_SHOWN: Final = {"": "`metadata.name`", VERSION: "the version itself"}


def differences_table() -> str:
    """The table as Markdown."""
    rows = [("field", "here", "why"), ("---",) * 3]
    for difference in DIFFERENCES:
        fields = ", ".join(_SHOWN.get(path, f"`{path}`") for path in difference.paths)
        rows.append((fields, difference.words, difference.reason))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
